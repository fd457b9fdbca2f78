//! The content codings that are decoded.

use super::items;
use crate::config::bounds::MAX_ITEMS;
use crate::config::path::Step;
use crate::config::raw::{RawField, RawList};
use crate::config::report::Report;
use crate::encoding::{ContentCoding, ContentCodings};

/// The set of the listed codings. An empty list is the default: none.
pub(super) fn content_encodings(raw: &RawField<RawList>, report: &mut Report<'_>) -> ContentCodings {
    let mut codings = ContentCodings::default();
    let length = raw.given().map_or(0, Vec::len);
    if length > MAX_ITEMS {
        report.problem(&[Step::Field("content_encodings")], || {
            format!("expected at most {MAX_ITEMS} items, found {length}")
        });
    }
    for (index, name) in items(raw).take(MAX_ITEMS) {
        match ContentCoding::named(name) {
            Some(coding) => codings.insert(coding),
            None => report.problem(&[Step::Field("content_encodings"), Step::Item(index)], || {
                format!("expected `gzip`, `deflate`, `br` or `zstd`, found `{name}`")
            }),
        }
    }
    codings
}
