//! Head sources: headers, cookies, query parameters and path segments.

use std::borrow::Cow;

use super::Template;
use super::encoding::{Plus, decode, decode_valid};
use crate::field::PhpName;
use crate::format::Format;
use crate::head::Head;
use crate::key::Duplicates;
use crate::reason::Reason;
use crate::scope::{path_of, query_of};
use crate::value::KeyRule;

type FoundBytes<'a> = Option<Result<Cow<'a, [u8]>, Reason>>;

/// The value of a header. A comma separates two values, because Envoy and the proxies before it may join fields with the
/// same name (RFC 9110, 5.3). A value in which the rule finds nothing does not count.
///
/// A header with a document has one value for each field, because documents have commas of their own. Two documents that
/// were joined are not a document, except for forms, which encode their commas.
pub(super) fn header<'a, H: Head + ?Sized>(
    head: &'a H,
    name: &str,
    duplicates: Duplicates,
    rule: &KeyRule,
) -> FoundBytes<'a> {
    let by_comma = |field: &'a [u8]| field.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    match rule.nested_format() {
        None | Some(Format::Form) => {
            let takes_every_value = rule.takes_every_value();
            let counts = |value: &&[u8]| takes_every_value || rule.read(value).is_some();
            // Most requests have one field with one value.
            let mut fields = head.values(name);
            let first = fields.next()?;
            if fields.next().is_none() && !first.contains(&b',') {
                return Some(first.trim_ascii()).filter(counts).map(|value| Ok(Cow::Borrowed(value)));
            }
            duplicates.pick(head.values(name).flat_map(by_comma).filter(counts).map(Cow::Borrowed))
        }
        Some(_) => duplicates.pick(head.values(name).map(|field| Cow::Borrowed(field.trim_ascii()))),
    }
}

/// The value of a cookie. Servers differ on quotes, escapes and spaces, so a value with one cannot be a key.
///
/// JSON is percent-encoded, because its quotes are not allowed in a cookie (RFC 6265, 4.1.1). A server that does not decode
/// it has no JSON. Some servers read `+` as a space.
pub(super) fn cookie<'a, H: Head + ?Sized>(
    head: &'a H,
    name: &str,
    duplicates: Duplicates,
    rule: &KeyRule,
) -> FoundBytes<'a> {
    let is_encoded = matches!(rule.nested_format(), Some(Format::Json | Format::Ndjson));
    let pairs = || head.values("cookie").flat_map(|value| value.split(|byte| *byte == b';')).map(split_pair);
    if duplicates == Duplicates::Reject && has_variant(pairs().map(|(pair_name, _)| pair_name), name, Plus::Plus) {
        return Some(Err(Reason::KeyAmbiguous));
    }
    let values =
        pairs().filter_map(|(pair_name, value)| if pair_name.trim_ascii() == name.as_bytes() { value } else { None });
    Some(duplicates.pick(values)?.and_then(|value| {
        let differs = |byte: &u8| match byte {
            b'"' | b',' | b'\\' | b' ' | b'\t' => true,
            b'%' => !is_encoded,
            b'+' => is_encoded,
            _ => false,
        };
        if value.iter().any(differs) {
            Err(Reason::KeyMalformed)
        } else if is_encoded {
            decode(value, Plus::Plus)
        } else {
            Ok(Cow::Borrowed(value))
        }
    }))
}

pub(super) fn query<'a, H: Head + ?Sized>(head: &'a H, name: &str, duplicates: Duplicates) -> FoundBytes<'a> {
    let pairs = || query_of(head).split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(split_pair);
    if duplicates == Duplicates::Reject && has_variant(pairs().map(|(pair_name, _)| pair_name), name, Plus::Space) {
        return Some(Err(Reason::KeyAmbiguous));
    }
    // A parameter without `=` has an empty value.
    let values = pairs()
        .filter(|(pair_name, _)| decode(pair_name, Plus::Space).is_ok_and(|decoded| *decoded == *name.as_bytes()));
    let picked = duplicates.pick(values.map(|(_, value)| value.unwrap_or_default()))?;
    Some(picked.and_then(|value| decode(value, Plus::Space)))
}

pub(super) fn path<'a, H: Head + ?Sized>(head: &'a H, template: &Template) -> FoundBytes<'a> {
    template.capture(path_of(head)).map(|segment| decode(segment?, Plus::Plus))
}

/// Whether one of these names of parameters or cookies is another one than `wanted`, and a server may take it for it: one
/// that ignores case, PHP, or for cookies a server that decodes their names.
fn has_variant<'a>(mut names: impl Iterator<Item = &'a [u8]>, wanted: &str, plus: Plus) -> bool {
    let wanted = wanted.as_bytes();
    names.any(|name| match plus {
        _ if name == wanted => false,
        Plus::Plus if name.trim_ascii() == wanted => false,
        _ if !name.iter().any(|byte| matches!(byte, b'%' | b'+')) => PhpName { name, is_cut: false }.may_be(wanted),
        _ => {
            let decoded = decode_valid(name, plus);
            let is_exact = plus == Plus::Space && decoded == wanted;
            !is_exact && PhpName { name: &decoded, is_cut: false }.may_be(wanted)
        }
    })
}

fn split_pair(pair: &[u8]) -> (&[u8], Option<&[u8]>) {
    match pair.iter().position(|byte| *byte == b'=') {
        Some(equals) => {
            let (name, rest) = pair.split_at(equals);
            (name, rest.get(1..))
        }
        None => (pair, None),
    }
}

#[cfg(test)]
mod tests;
