//! The sources of the key.

use super::super::bounds::{MAX_ELEMENT_PATH, MAX_SOURCE_NAME, MAX_SOURCES};
use super::super::path::Step;
use super::super::raw::{NamedPlace, RawField, RawSource};
use super::super::report::Report;
use super::super::text::quote;
use super::headers::source_header;
use cellgate_routing::ValueRule;
use cellgate_routing::document::Pointer;
use cellgate_routing::is_token;
use cellgate_routing::source::{EscapedSlashes, Place, Source};

pub(super) fn sources(raw: &[RawField<RawSource>], routing_header: &str, report: &mut Report<'_>) -> Vec<Source> {
    if raw.is_empty() || raw.len() > MAX_SOURCES {
        report.problem(&[Step::Field("key")], &|| {
            format!("expected from 1 to {MAX_SOURCES} sources, found {}", raw.len())
        });
    }
    let mut sources: Vec<Source> = Vec::with_capacity(raw.len().min(MAX_SOURCES));
    for (index, raw) in raw.iter().enumerate().take(MAX_SOURCES) {
        let Some(raw) = raw.given() else { continue };
        let item = [Step::Field("key"), Step::Item(index)];
        let Some((name, source)) = source(raw, &item, routing_header, report) else { continue };
        if sources.contains(&source) {
            report.problem(&[&item[..], &[Step::Field(name)]].concat(), &|| "duplicate source".into());
        } else if let Some(message) = clash(&source.place, &sources) {
            report.problem(&[&item[..], &[Step::Field(name)]].concat(), &|| message.clone());
        } else {
            sources.push(source);
        }
    }
    sources
}

/// One source, and the name of its place.
pub(super) fn source(
    raw: &RawSource<'_>,
    path: &[Step<'_>],
    routing_header: &str,
    report: &mut Report<'_>,
) -> Option<(&'static str, Source)> {
    let place = place(&raw.places, path, routing_header, report);
    let rule = rule(raw, path, routing_header, report);
    let slashes = escaped_slashes(raw, path, report);
    let ((name, place), rule, slashes) = (place?, rule?, slashes?);
    let place = match place {
        Place::Path(template) => Place::Path(template.with_escaped_slashes(slashes)),
        other => other,
    };
    if let (Place::Header(_), ValueRule { then: None, part: Some(part), .. }) = (&place, &rule)
        && part.to_string().contains(',')
    {
        report.problem(&[path, &[Step::Field("value")]].concat(), &|| {
            format!("a comma separates the values of a header, so no value matches {}", quote(&part.to_string()))
        });
    }
    Some((name, Source { place, rule }))
}

/// Why a place cannot be in one query with an earlier one.
pub(super) fn clash(place: &Place, earlier: &[Source]) -> Option<String> {
    earlier.iter().find_map(|source| match (place, &source.place) {
        (Place::Protobuf(path), Place::Protobuf(other)) => {
            path.check_beside(other).err().map(|why| format!("{why}: \"{path}\" and \"{other}\""))
        }
        (Place::Json(pointer), Place::Json(other))
        | (Place::Ndjson(pointer), Place::Ndjson(other))
        | (Place::Msgpack(pointer), Place::Msgpack(other))
        | (Place::Cbor(pointer), Place::Cbor(other)) => pointer.clashes_with(other).then(|| {
            format!(
                "`{}` and `{place}` have an index and `*` or a selector in the same array: use `*` or selectors in both, \
                 or remove one of the sources",
                source.place
            )
        }),
        _ => None,
    })
}

/// The one place of a source, and its name. A place that is refused, or perhaps misspelt, has its own problem.
fn place(
    places: &[NamedPlace],
    path: &[Step<'_>],
    routing_header: &str,
    report: &mut Report<'_>,
) -> Option<(&'static str, Place)> {
    let given: Vec<_> = places.iter().filter_map(|(name, place)| Some((*name, place.given()?))).collect();
    let is_complete = given.len() == places.len() && !report.is_incomplete(path);
    match given.as_slice() {
        [] if is_complete => report.problem(path, &|| "expected a place such as `json: /tenant/id`".into()),
        [] => {}
        [(name, text)] => match parse_place(name, text, routing_header) {
            Ok(place) => return Some((name, place)),
            Err(message) => report.problem(&[path, &[Step::Field(name)]].concat(), &|| message.clone()),
        },
        given => report.problem(path, &|| {
            let names: Vec<_> = given.iter().map(|(name, _)| format!("`{name}`")).collect();
            format!("expected one place, found {}: write one source for each", names.join(" and "))
        }),
    }
    None
}

/// How the value becomes the key.
fn rule(raw: &RawSource<'_>, path: &[Step<'_>], routing_header: &str, report: &mut Report<'_>) -> Option<ValueRule> {
    let then = optional(&raw.then, |nested| {
        let path = [path, &[Step::Field("then")]].concat();
        place(&nested.places, &path, routing_header, report).map(|(_, place)| Box::new(place))
    });
    let part = optional(&raw.value, |text| match check_length(text).and_then(parse) {
        Ok(part) => Some(part),
        Err(message) => {
            report.problem(&[path, &[Step::Field("value")]].concat(), &|| message.clone());
            None
        }
    });
    let case = optional(&raw.case, |case| Some((*case).into()));
    Some(ValueRule { then: then?, part: part?, case: case?.unwrap_or_default() })
}

/// The meaning of escaped slashes. Another place than a path has none.
fn escaped_slashes(raw: &RawSource<'_>, path: &[Step<'_>], report: &mut Report<'_>) -> Option<EscapedSlashes> {
    match (&raw.escaped_slashes, raw.places.as_slice()) {
        (RawField::Refused, _) => None,
        (RawField::Given(_), [(place, _)]) if *place != "path" => {
            report.problem(&[path, &[Step::Field("escaped_slashes")]].concat(), &|| {
                format!("only a `path` may have `escaped_slashes`: remove it from this `{place}`")
            });
            None
        }
        (RawField::Given(slashes), _) => Some((*slashes).into()),
        (RawField::Absent, _) => Some(EscapedSlashes::default()),
    }
}

/// Builds an optional part. There is none if the field is absent, and no source if it is refused.
#[expect(clippy::option_option, reason = "absent is not refused")]
fn optional<'a, T, R>(field: &'a RawField<T>, build: impl FnOnce(&'a T) -> Option<R>) -> Option<Option<R>> {
    match field {
        RawField::Absent => Some(None),
        RawField::Refused => None,
        RawField::Given(value) => build(value).map(Some),
    }
}

fn parse_place(name: &str, text: &str, routing_header: &str) -> Result<Place, String> {
    Ok(match name {
        "json" => Place::Json(pointer(text)?),
        "ndjson" => Place::Ndjson(pointer(text)?),
        "form" => Place::Form(field_name(text)?),
        "multipart" => Place::Multipart(multipart_name(text)?),
        "protobuf" => Place::Protobuf(parse(check_length(text)?)?),
        "xml" => Place::Xml(parse(check_length_to(text, MAX_ELEMENT_PATH)?)?),
        "msgpack" => Place::Msgpack(pointer(text)?),
        "cbor" => Place::Cbor(pointer(text)?),
        "header" => Place::Header(source_header(text, routing_header)?),
        "query" => Place::Query(field_name(text)?),
        "path" => Place::Path(parse(check_length(text)?)?),
        "cookie" => Place::Cookie(cookie_name(text)?),
        "host" => Place::Host(parse(check_length(text)?)?),
        "claim" => Place::Claim(claim(text)?),
        other => return Err(format!("unknown place `{other}`")),
    })
}

fn pointer(text: &str) -> Result<Pointer, String> {
    parse(check_length(text)?)
}

/// A payload is an object, so the pointer has a token. A claim has one value, so no token stands for several.
fn claim(text: &str) -> Result<Pointer, String> {
    let several = |token: &str| token == "*" || (token.starts_with('[') && token.ends_with(']'));
    if text.is_empty() {
        Err("the whole payload is not a value: name a claim, such as `/org/id`".into())
    } else if let Some(token) = text.split('/').find(|token| several(token)) {
        Err(format!("a claim has one value: name a member or an index instead of `{token}`"))
    } else {
        pointer(text)
    }
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{error}, found {}", quote(text)))
}

fn check_length(text: &str) -> Result<&str, String> {
    check_length_to(text, MAX_SOURCE_NAME)
}

fn check_length_to(text: &str, max: usize) -> Result<&str, String> {
    if text.len() > max { Err(format!("expected at most {max} bytes, found {}", text.len())) } else { Ok(text) }
}

/// Names are compared decoded, so a name with `%` is almost always one that was left encoded.
fn field_name(name: &str) -> Result<Box<str>, String> {
    let name = check_length(name)?;
    if name.is_empty() {
        Err("expected a name, found an empty string".into())
    } else if name.contains(|character: char| character == '%' || character.is_control()) {
        Err(format!("expected a decoded name without `%` and control characters, found {}", quote(name)))
    } else {
        Ok(name.into())
    }
}

/// Clients write a quote in the name of a part in different ways, and parsers read a backslash in different ways.
fn multipart_name(name: &str) -> Result<Box<str>, String> {
    if name.contains(['"', '\\']) {
        return Err(format!("expected a name without quotes and backslashes, found {}", quote(name)));
    }
    field_name(name)
}

/// A cookie's name is a token (RFC 6265, 4.1.1). No other name can match.
fn cookie_name(name: &str) -> Result<Box<str>, String> {
    let name = check_length(name)?;
    if is_token(name.as_bytes()) {
        Ok(name.into())
    } else {
        Err(format!("expected a cookie name (RFC 6265), found {}", quote(name)))
    }
}
