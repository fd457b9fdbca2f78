//! The content codings that are decoded.

use super::super::bounds::MAX_ITEMS;
use super::super::path::Step;
use super::super::raw::{RawField, RawList};
use super::super::report::Report;
use super::super::text::quote;
use super::items;
use cellgate_routing::{CodingSet, ContentCoding, ContentCodings};

/// The listed codings, of every format. An empty list is none.
pub(super) fn content_encodings(raw: &RawField<RawList<'_>>, report: &mut Report<'_>) -> ContentCodings {
    let Some(list) = raw.given() else { return ContentCodings::default() };
    let mut codings = CodingSet::default();
    let length = list.len();
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
    ContentCodings::Listed(codings)
}
