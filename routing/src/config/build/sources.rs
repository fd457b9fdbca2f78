//! The sources of the key.

use super::super::bounds::{MAX_SOURCE_NAME, MAX_SOURCES};
use super::super::path::Step;
use super::super::raw::RawSource;
use super::super::report::Report;
use super::super::text::quote;
use super::headers::source_header;
use crate::source::Source;
use crate::token::is_token;

pub(super) fn sources(raw: &[RawSource], routing_header: &str, report: &mut Report<'_>) -> Vec<Source> {
    if raw.is_empty() || raw.len() > MAX_SOURCES {
        report.problem(&[Step::Field("key")], || {
            format!("expected from 1 to {MAX_SOURCES} sources, found {}", raw.len())
        });
    }
    let mut sources: Vec<Source> = Vec::with_capacity(raw.len().min(MAX_SOURCES));
    for (index, raw) in raw.iter().enumerate().take(MAX_SOURCES) {
        let (kind, source) = source(raw, routing_header);
        let path = [Step::Field("key"), Step::Item(index), Step::Field(kind)];
        match source {
            Ok(source) if sources.contains(&source) => report.problem(&path, || "duplicate source".into()),
            Ok(source) => sources.push(source),
            Err(message) => report.problem(&path, || message),
        }
    }
    sources
}

fn source(raw: &RawSource, routing_header: &str) -> (&'static str, Result<Source, String>) {
    match raw {
        RawSource::Json(text) => ("json", check_length(text).and_then(|text| Ok(Source::Json(parse(text)?)))),
        RawSource::Form(name) => ("form", field_name(name).map(Source::Form)),
        RawSource::Header(name) => ("header", source_header(name, routing_header).map(Source::Header)),
        RawSource::Query(name) => ("query", field_name(name).map(Source::Query)),
        RawSource::Path(text) => ("path", check_length(text).and_then(|text| Ok(Source::Path(parse(text)?)))),
        RawSource::Cookie(name) => ("cookie", cookie_name(name).map(Source::Cookie)),
    }
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{error}, found {}", quote(text)))
}

fn check_length(text: &str) -> Result<&str, String> {
    if text.len() > MAX_SOURCE_NAME {
        Err(format!("expected at most {MAX_SOURCE_NAME} bytes, found {}", text.len()))
    } else {
        Ok(text)
    }
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

/// A cookie's name is a token (RFC 6265, 4.1.1). No other name can match.
fn cookie_name(name: &str) -> Result<Box<str>, String> {
    let name = check_length(name)?;
    if is_token(name.as_bytes()) {
        Ok(name.into())
    } else {
        Err(format!("expected a cookie name (RFC 6265), found {}", quote(name)))
    }
}
