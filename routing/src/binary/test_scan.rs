//! Scans of bodies, for the tests of both formats.

use std::sync::Arc;

use super::{BinaryScanner, ItemFormat};
use crate::body::BodyScanner;
use crate::document::{AcceptedFaults, DocumentQuery};
use crate::format::ScanLimits;
use crate::key::Duplicates;
use crate::reason::Reason;
use crate::value::{KeyRule, ValueRule};

const LIMITS: ScanLimits =
    ScanLimits { duplicates: Duplicates::Reject, depth: 4, key_bytes: 32, accepted: AcceptedFaults::NONE };

/// The key at a pointer, or why the value there is none.
pub(crate) type FoundKey = Option<Result<String, Reason>>;

pub(crate) fn query(pointer: &str, rule: &ValueRule) -> Arc<DocumentQuery> {
    Arc::new(DocumentQuery::with_rules(vec![(pointer.parse().unwrap(), KeyRule::new(rule, LIMITS))], LIMITS))
}

/// The key at a pointer, or the error's reason and offset; the same with a cut at each place.
pub(crate) fn scan<F: ItemFormat>(pointer: &str, rule: &ValueRule, body: &[u8]) -> Result<FoundKey, (Reason, u64)> {
    let query = query(pointer, rule);
    let mut results = (0..=body.len()).map(|cut| {
        let mut scanner = BinaryScanner::<F>::new(Arc::clone(&query));
        let (first, second) = body.split_at(cut);
        let scanned = scanner.push(first).and_then(|()| scanner.push(second)).and_then(|()| scanner.finish());
        scanned.map_err(|error| (error.reason, error.offset))?;
        Ok(scanner.candidate(0).found().map(|found| found.map(str::to_owned)))
    });
    let whole = results.next().unwrap();
    results.for_each(|cut| assert_eq!(cut, whole));
    whole
}

pub(crate) fn key(text: &str) -> FoundKey {
    Some(Ok(text.to_owned()))
}
