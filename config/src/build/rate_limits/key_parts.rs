//! The parts of a limit's key.

use super::super::super::bounds::MAX_SOURCE_NAME;
use super::super::super::path::Step;
use super::super::super::raw::{RawField, RawKeyPart, RawKeyWord};
use super::super::super::report::Report;
use super::super::parse_list;
use super::{LimitPlace, not_a_value, shared_source};
use cellgate_routing::source::{Source, Template};
use cellgate_routing::{LimitKeyPart, MAX_KEY_PARTS, check_key};

/// The parts in their order. A refused part is `None`.
pub(super) fn key_parts(
    raw: &[RawField<RawKeyPart<'_>>],
    place: LimitPlace<'_>,
    sources: &mut Vec<Source>,
    report: &mut Report<'_>,
) -> Vec<Option<LimitKeyPart>> {
    if raw.len() > MAX_KEY_PARTS {
        report.problem(&place.field("key"), &|| format!("expected at most {MAX_KEY_PARTS} parts, found {}", raw.len()));
    }
    let mut parts: Vec<Option<LimitKeyPart>> = Vec::with_capacity(raw.len().min(MAX_KEY_PARTS));
    for (index, raw) in raw.iter().enumerate().take(MAX_KEY_PARTS) {
        let [section, item, key] = place.field("key");
        let path = [section, item, key, Step::Item(index)];
        let part = raw.given().and_then(|raw| key_part(raw, &path, place, sources, report));
        if part.is_some() && parts.contains(&part) {
            report
                .problem(&path, &|| "duplicate part: remove it, because it has the same value as the other one".into());
        }
        parts.push(part);
    }
    parts
}

fn key_part(
    raw: &RawKeyPart<'_>,
    path: &[Step<'_>],
    place: LimitPlace<'_>,
    sources: &mut Vec<Source>,
    report: &mut Report<'_>,
) -> Option<LimitKeyPart> {
    Some(match raw {
        RawKeyPart::Word(RawKeyWord::RoutingKey) => LimitKeyPart::RoutingKey,
        RawKeyPart::Word(RawKeyWord::Cell) => LimitKeyPart::Cell,
        RawKeyPart::Word(RawKeyWord::Peer) => LimitKeyPart::Peer,
        RawKeyPart::Word(RawKeyWord::ClientAddress) => LimitKeyPart::ClientAddress,
        RawKeyPart::Word(RawKeyWord::Method) => LimitKeyPart::Method,
        RawKeyPart::Paths { paths, otherwise, source } => {
            check_otherwise(otherwise, path, place, report);
            if let Some((name, _)) = source.places.first() {
                report.problem(path, &|| format!("expected `paths` or `{name}`, found both: remove one"));
            } else if let Some(name) = source.rule_field() {
                report.problem(&[path, &[Step::Field(name)]].concat(), &|| {
                    "it says how a value is read, and `paths` reads none: remove it".into()
                });
            }
            let path = [path, &[Step::Field("paths")]].concat();
            let templates = parse_list(paths, &path, report, &|text| {
                if text.len() > MAX_SOURCE_NAME {
                    return Err(format!("expected at most {MAX_SOURCE_NAME} bytes, found {}", text.len()));
                }
                Template::pattern(text).map_err(|error| error.to_string())
            });
            LimitKeyPart::Path { templates, otherwise: otherwise.given().map(|text| Box::from(*text)) }
        }
        RawKeyPart::Value { source, otherwise } => {
            check_otherwise(otherwise, path, place, report);
            let source = shared_source(source, path, place, sources, report)?;
            LimitKeyPart::Value { source, otherwise: otherwise.given().map(|text| Box::from(*text)) }
        }
    })
}

/// Refuses a value that no request has.
fn check_otherwise(otherwise: &RawField<&str>, path: &[Step<'_>], place: LimitPlace<'_>, report: &mut Report<'_>) {
    let key_bytes = place.context.key_bytes;
    if let Some(text) = otherwise.given()
        && let Err(reason) = check_key(text.as_bytes(), key_bytes)
    {
        report.problem(&[path, &[Step::Field("otherwise")]].concat(), &|| not_a_value(text, reason, key_bytes));
    }
}
