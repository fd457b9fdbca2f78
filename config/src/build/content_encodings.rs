//! The content codings that are decoded.

use super::super::bounds::MAX_ITEMS;
use super::super::path::Step;
use super::super::raw::{RawField, RawList};
use super::super::report::Report;
use super::super::text::quote;
use super::items;
use cellgate_routing::{ContentCoding, ContentCodings};

/// The set of the listed codings. An empty list is the default: none.
pub(super) fn content_encodings(raw: &RawField<RawList<'_>>, report: &mut Report<'_>) -> ContentCodings {
    let mut codings = ContentCodings::default();
    let length = raw.given().map_or(0, Vec::len);
    if length > MAX_ITEMS {
        report.problem(&[Step::Field("content_encodings")], &|| {
            format!("expected at most {MAX_ITEMS} items, found {length}")
        });
    }
    for (index, name) in items(raw).take(MAX_ITEMS) {
        match ContentCoding::named(name) {
            Some(coding) => codings.insert(coding),
            None => report.problem(&[Step::Field("content_encodings"), Step::Item(index)], &|| {
                format!("expected `gzip`, `deflate`, `br` or `zstd`, found {}", quote(name))
            }),
        }
    }
    codings
}
