//! The media types of each body format.

use super::super::bounds::MAX_ITEMS;
use super::super::path::Step;
use super::super::raw::RawContentTypes;
use super::super::report::Report;
use super::super::text::quote;
use super::list;
use crate::media::{ContentTypes, FORM_MEDIA_TYPE, MediaType};
use crate::source::Format;

pub(super) fn content_types(raw: &RawContentTypes, report: &mut Report<'_>) -> ContentTypes {
    let parse = |text: &str| text.parse::<MediaType>().map_err(|error| format!("{error}, found {}", quote(text)));
    let defaults = ContentTypes::default();
    let json = list(raw.json.as_deref(), &["content_types", "json"], report, parse).unwrap_or(defaults.json);
    let form = list(raw.form.as_deref(), &["content_types", "form"], report, parse).unwrap_or(defaults.form);
    let form_texts =
        raw.form.as_deref().map_or(vec![FORM_MEDIA_TYPE], |texts| texts.iter().map(|text| &**text).collect());
    let types = ContentTypes { json, form };
    if let Some(index) = form_texts.iter().take(MAX_ITEMS).position(|text| is_json(text, &types)) {
        let path = [Step::Field("content_types"), Step::Field("form"), Step::Item(index)];
        report.problem(&path, || {
            "`content_types.json` matches this media type already: remove it from one of the lists".into()
        });
    }
    types
}

/// Whether every body of a form type is read as JSON, which comes first: the form type would have no effect.
fn is_json(text: &str, types: &ContentTypes) -> bool {
    // `*` is a legal character of a type, and no configured literal has one, so the pattern stands for all its types.
    types.format_of(&[("content-type", text)][..]) == Ok(Format::Json)
}
