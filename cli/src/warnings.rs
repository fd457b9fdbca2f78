//! Warnings of settings that are valid, but probably not meant.

mod leases;
mod rate_limits;
mod settlements;

use cellgate_routing::source::Place;
use cellgate_routing::{Case, Config, ContentTypes, Format};
use rate_limits::{of_concurrency_limits, of_rate_limits};

/// The warnings about a configuration, each with its path, in the order of the fields.
pub(crate) fn warnings(config: &Config) -> Vec<String> {
    let sources = config.sources.iter().enumerate().flat_map(|(index, source)| {
        let place = of_place(&format!("key[{index}]"), &source.place, "routes");
        let nested =
            source.rule.then.as_deref().and_then(|place| of_place(&format!("key[{index}].then"), place, "routes"));
        place.into_iter().chain(nested)
    });
    let limits = of_rate_limits(config).into_iter().chain(of_concurrency_limits(config)).chain(leases::of_sync(config));
    of_content_types(config).chain(sources).chain(of_keys(config)).chain(limits).collect()
}

/// Lists of media types that no source reads. The opposite cannot be: each format has a type.
fn of_content_types(config: &Config) -> impl Iterator<Item = String> {
    let defaults = ContentTypes::default();
    let in_limits = || {
        let rates = config.rate_limits.iter().flat_map(rate_limits::sources);
        let concurrency = config.concurrency_limits.iter().flat_map(|limit| rate_limits::key_sources(&limit.key));
        rates.chain(concurrency).map(|(_, source)| source)
    };
    let is_unread = move |format: &Format| {
        config.content_types.of(*format) != defaults.of(*format)
            && config.sources.iter().chain(in_limits()).all(|source| source.format() != Some(*format))
    };
    Format::ALL.into_iter().filter(is_unread).map(|format| {
        let name = format.name();
        format!(
            "content_types.{name}: no source reads these types, so a request with one of them is refused with \
             `content_type_unsupported`: add a source `{name}`, or remove the list"
        )
    })
}

/// `verb` says what is done with a request by the value.
fn of_place(path: &str, place: &Place, verb: &str) -> Option<String> {
    let (format, pointer) = match place {
        Place::Header(name) => return of_header(path, name),
        Place::Json(pointer) => ("json", pointer),
        Place::Ndjson(pointer) => ("ndjson", pointer),
        Place::Msgpack(pointer) => ("msgpack", pointer),
        Place::Cbor(pointer) => ("cbor", pointer),
        _ => return None,
    };
    let pointer = pointer.to_string();
    let index = pointer.split('/').skip(1).find(|token| is_index(token))?;
    Some(format!(
        "{path}.{format}: `{pointer}` {verb} a batch by element {index} alone, even if other elements belong to other tenants: \
         write `*` instead of {index} if all elements must agree"
    ))
}

/// An array's index (RFC 6901, 4).
fn is_index(token: &str) -> bool {
    token == "0" || !token.is_empty() && !token.starts_with('0') && token.bytes().all(|byte| byte.is_ascii_digit())
}

fn and_more(count: usize) -> String {
    if count == 0 { String::new() } else { format!(" (and {count} more of this table)") }
}

/// Envoy may refuse or drop such headers before any filter sees them.
fn of_header(path: &str, name: &str) -> Option<String> {
    name.contains('_').then(|| {
        format!(
            "{path}.header: \"{name}\" has an underscore: Envoy answers 400 to requests with this header if it is configured \
             with `headers_with_underscores_action: REJECT_REQUEST`; use hyphens, or let Envoy allow underscores"
        )
    })
}

/// Keys and prefixes that match no request, because every key is in lower case.
fn of_keys(config: &Config) -> impl Iterator<Item = String> {
    let all_lower = config.sources.iter().all(|source| source.rule.case == Case::Lower);
    let tables = all_lower.then(|| config.placement.tables()).into_iter().flatten();
    tables.filter_map(|(table, keys)| {
        let mut upper = keys.into_iter().filter(|key| key.bytes().any(|byte| byte.is_ascii_uppercase()));
        let first = upper.next()?;
        let more = and_more(upper.count());
        Some(format!(
            "placement.{table}: \"{first}\" matches no key, because every source has `case: lower`: write \"{}\"{more}",
            first.to_ascii_lowercase()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings_of(lines: &str) -> Vec<String> {
        let text = format!("routing_header: x-cell\ncells: [a]\n{lines}");
        warnings(&cellgate_config::from_yaml(&text, "a.yaml").unwrap())
    }

    #[test]
    fn an_index_in_a_pointer_is_shown_with_its_source() {
        let warned = warnings_of(
            "key: [{ json: /a/0/b }, { json: /0 }, { msgpack: /12/a }, { form: a, then: { cbor: /1 } }, { json: /01/-/a0/0a }]\n\
             placement: { default: a }",
        );
        let starts: Vec<_> = warned.iter().map(|text| text.split(" alone").next().unwrap()).collect();
        assert_eq!(
            starts,
            [
                "key[0].json: `/a/0/b` routes a batch by element 0",
                "key[1].json: `/0` routes a batch by element 0",
                "key[2].msgpack: `/12/a` routes a batch by element 12",
                "key[3].then.cbor: `/1` routes a batch by element 1",
            ]
        );
    }

    #[test]
    fn types_that_no_source_reads_are_a_mistake() {
        let rest = "key: [{ form: a }, { query: b, then: { json: /a } }]\nplacement: { default: a }";
        let types = "content_types: { json: [text/json], form: [text/form], cbor: [application/x-cbor] }";
        let text = |name| {
            format!(
                "content_types.{name}: no source reads these types, so a request with one of them is refused with \
                 `content_type_unsupported`: add a source `{name}`, or remove the list"
            )
        };
        assert_eq!(warnings_of(&format!("{types}\n{rest}")), [text("json"), text("cbor")]);
        assert_eq!(warnings_of(rest), [""; 0]);
    }

    #[test]
    fn upper_case_is_a_mistake_only_if_every_key_is_lower_case() {
        let placement = "placement: { exact: { b: a, Z1: a, A1: a, É: a }, prefixes: { Eu-: a }, overrides: { x: a } }";
        let warned =
            warnings_of(&format!("key: [{{ json: /a, case: lower }}, {{ header: b, case: lower }}]\n{placement}"));
        let tail = "matches no key, because every source has `case: lower`: write";
        assert_eq!(
            warned,
            [
                format!("placement.exact: \"Z1\" {tail} \"z1\" (and 1 more of this table)"),
                format!("placement.prefixes: \"Eu-\" {tail} \"eu-\""),
            ]
        );
        assert_eq!(warnings_of(&format!("key: [{{ json: /a, case: lower }}, {{ header: b }}]\n{placement}")), [""; 0]);
    }
}
