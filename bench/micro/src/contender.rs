//! Who scans: Cellgate, two yardsticks that no scanner can beat, and parsers that people would take instead.

use std::cell::Cell;
use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;

use cellgate_routing::Duplicates;
use cellgate_routing::body::{BodyScanner, Candidate};
use cellgate_routing::document::DocumentQuery;
use cellgate_routing::json::JsonScanner;

/// The piece in which bodies arrive where they do not arrive whole.
const PIECE: usize = 1024;

/// How a document reaches the scanner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// At once.
    Whole,
    /// In pieces of 1 KB.
    Pieces,
}

/// Something that can be done with a document, every time anew.
pub struct Contender<'a> {
    /// Its name, the same in every place that it is measured in.
    pub name: &'static str,
    /// Does it once. `false`: it did not do what its name says, so that its time means nothing.
    pub run: Box<dyn FnMut() -> bool + 'a>,
}

impl Cut {
    /// For people, and for programs that ask for one by name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Pieces => "pieces",
        }
    }

    /// The cut of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Whole, Self::Pieces].into_iter().find(|cut| cut.name() == name)
    }

    fn of(self, document: &[u8]) -> impl Iterator<Item = &[u8]> {
        document.chunks(match self {
            Self::Whole => document.len().max(1),
            Self::Pieces => PIECE,
        })
    }
}

impl std::fmt::Debug for Contender<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Contender").field(&self.name).finish()
    }
}

impl<'a> Contender<'a> {
    fn new(name: &'static str, run: impl FnMut() -> bool + 'a) -> Self {
        Self { name, run: Box::new(run) }
    }
}

/// All that can scan a document which is cut like this: most need it whole. Its `/tenant/id` is `acme`.
#[must_use]
pub fn contenders(document: &[u8], cut: Cut) -> Vec<Contender<'_>> {
    let mut all = vec![cellgate(document, cut), memchr(document, cut), memcpy(document, cut), acutejson(document, cut)];
    if cut == Cut::Whole {
        all.push(serde_json(document));
    }
    all
}

/// Strict: the whole of RFC 8259, UTF-8 and duplicate names included.
fn cellgate(document: &[u8], cut: Cut) -> Contender<'_> {
    let pointer = "/tenant/id".parse().into_iter().collect();
    let query = Arc::new(DocumentQuery::new(pointer, Duplicates::Reject, 64, 256));
    Contender::new("cellgate", move || {
        let mut scanner = JsonScanner::new(Arc::clone(&query));
        let scanned = cut.of(black_box(document)).try_for_each(|piece| scanner.push(piece));
        scanned.is_ok() && scanner.finish().is_ok() && matches!(scanner.candidate(0), Candidate::Found("acme"))
    })
}

/// For a byte that does not occur: the least that can be done with every byte.
fn memchr(document: &[u8], cut: Cut) -> Contender<'_> {
    Contender::new("memchr", move || cut.of(black_box(document)).all(|piece| memchr::memchr(0, piece).is_none()))
}

/// What a filter that only copies the body does with it.
fn memcpy(document: &[u8], cut: Cut) -> Contender<'_> {
    let mut target = vec![0; document.len()];
    Contender::new("memcpy", move || {
        let mut rest = target.as_mut_slice();
        for piece in cut.of(black_box(document)) {
            let Some((to, after)) = rest.split_at_mut_checked(piece.len()) else { return false };
            to.copy_from_slice(piece);
            rest = after;
        }
        black_box(&target).len() == document.len()
    })
}

/// A good parser that keeps nothing: it validates, but does not look for the key, and needs the whole body.
fn serde_json(document: &[u8]) -> Contender<'_> {
    Contender::new("serde_json IgnoredAny", move || {
        serde_json::from_slice::<serde::de::IgnoredAny>(black_box(document)).is_ok()
    })
}

/// Another incremental scanner for pointers. It validates in part only, and takes the first of two equal names.
fn acutejson(document: &[u8], cut: Cut) -> Contender<'_> {
    let found = Rc::new(Cell::new(false));
    Contender::new("acutejson", move || {
        found.set(false);
        let seen = Rc::clone(&found);
        let found_key = move |bytes: &[u8], _| seen.set(seen.get() || bytes == b"acme");
        let Ok(builder) = acutejson::Builder::new().register("/tenant/id", found_key) else { return false };
        let mut parser = builder.build();
        let scanned = cut.of(black_box(document)).all(|piece| parser.feed(piece).is_ok());
        scanned && parser.finish().is_ok() && found.get()
    })
}

#[cfg(test)]
mod tests {
    use cellgate_bench_documents::{KeyAt, Kind, document};

    use super::*;

    #[test]
    fn every_contender_does_what_its_name_says_with_every_document() {
        for kind in Kind::ALL {
            for (size, key) in [(256, KeyAt::First), (5000, KeyAt::Last)] {
                let document = document(kind, size, key, "acme");
                for cut in [Cut::Whole, Cut::Pieces] {
                    for mut contender in contenders(document.as_bytes(), cut) {
                        assert!((contender.run)() && (contender.run)(), "{} {kind:?} {size} {cut:?}", contender.name);
                    }
                }
            }
        }
    }

    #[test]
    fn a_wrong_document_is_noticed() {
        let wrong = br#"{"tenant":{"id":"acme"#;
        let noticed = contenders(wrong, Cut::Whole)
            .into_iter()
            .filter_map(|mut contender| (!(contender.run)()).then_some(contender.name));
        assert!(noticed.collect::<Vec<_>>().starts_with(&["cellgate", "acutejson", "serde_json IgnoredAny"]));
    }
}
