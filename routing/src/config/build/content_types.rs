//! The media types of each body format.

use super::super::bounds::MAX_ITEMS;
use super::super::path::Step;
use super::super::raw::RawContentTypes;
use super::super::report::Report;
use super::super::text::quote;
use super::list;
use crate::format::Format;
use crate::media::{ContentTypes, MediaType, default_types};

pub(super) fn content_types(raw: &RawContentTypes, report: &mut Report<'_>) -> ContentTypes {
    let parse = |text: &str| text.parse::<MediaType>().map_err(|error| format!("{error}, found {}", quote(text)));
    let mut types = ContentTypes::default();
    for format in Format::ALL {
        if let Some(list) = list(raw.of(format), &["content_types", format.name()], report, parse) {
            types.set(format, list);
        }
    }
    for format in Format::ALL {
        report_covered(format, raw.of(format), &types, report);
    }
    types
}

/// Refuses a media type that an earlier format reads already: it would have no effect.
fn report_covered(format: Format, raw: Option<&[Box<str>]>, types: &ContentTypes, report: &mut Report<'_>) {
    let defaults: Vec<Box<str>> = default_types(format).iter().map(|text| (*text).into()).collect();
    for (index, text) in raw.unwrap_or(&defaults).iter().take(MAX_ITEMS).enumerate() {
        // `*` is a legal character of a type, and no configured literal has one, so the pattern stands for all its types.
        let Ok(read) = types.format_of(&[("content-type", &**text)][..], |_| true) else { continue };
        if read.format != format {
            let path = [Step::Field("content_types"), Step::Field(format.name()), Step::Item(index)];
            report.problem(&path, || {
                let earlier = read.format.name();
                format!("`content_types.{earlier}` matches this media type already: remove it from one of the lists")
            });
        }
    }
}
