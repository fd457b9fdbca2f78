//! The media types of each body format.

use super::super::bounds::MAX_ITEMS;
use super::super::path::Step;
use super::super::raw::{RawContentTypes, RawField};
use super::super::report::Report;
use super::super::text::quote;
use super::{items, parse_list};
use cellgate_routing::Format;
use cellgate_routing::{ContentTypes, JSON_STREAM_MEDIA_TYPE, MISSING_MEDIA_TYPE, MediaType, default_types};

pub(super) fn content_types(raw: &RawContentTypes<'_>, report: &mut Report<'_>) -> ContentTypes {
    let parse = |text: &str| text.parse::<MediaType>().map_err(|error| format!("{error}, found {}", quote(text)));
    let mut types = ContentTypes::default();
    for format in Format::ALL {
        match raw.of(format) {
            RawField::Absent => {}
            // Neither the defaults nor anything else: nothing is covered by types that nobody wrote.
            RawField::Refused => types.set(format, Vec::new()),
            list => {
                let path = [Step::Field("content_types"), Step::Field(format.name())];
                types.set(format, parse_list(list, &path, report, &parse));
            }
        }
    }
    for format in Format::ALL {
        let texts: Vec<(usize, &str)> = match raw.of(format) {
            // A list of JSON may name the stream, as it could before this was a type of NDJSON.
            RawField::Absent => default_types(format)
                .iter()
                .copied()
                .enumerate()
                .filter(|(_, text)| *text != JSON_STREAM_MEDIA_TYPE)
                .collect(),
            list => items(list).take(MAX_ITEMS).collect(),
        };
        for (index, text) in texts {
            report_covered(format, index, text, &types, report);
        }
    }
    types
}

/// Refuses a media type that an earlier format reads already: it would have no effect.
fn report_covered(format: Format, index: usize, text: &str, types: &ContentTypes, report: &mut Report<'_>) {
    // `*` is a legal character of a type, and no configured literal has one, so the pattern stands for all its types.
    let with_type = [("content-type", text)];
    let head: &[_] = if text == MISSING_MEDIA_TYPE { &[] } else { &with_type };
    let Ok(read) = types.format_of(head, |_| true) else { return };
    if read.format != format {
        let path = [Step::Field("content_types"), Step::Field(format.name()), Step::Item(index)];
        report.problem(&path, &|| {
            let earlier = read.format.name();
            format!("`content_types.{earlier}` matches this media type already: remove it from one of the lists")
        });
    }
}
