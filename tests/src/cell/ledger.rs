//! A cell's record of the requests that reached it, complete or not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::seen::{Ending, Seen};

/// The number of requests that are kept. Later ones are only counted, because a benchmark sends millions.
const KEPT: usize = 10_000;

/// All requests of one cell.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    /// By the number of arrival.
    seen: BTreeMap<u64, Seen>,
    arrived: u64,
    complete: u64,
    broken: u64,
}

impl Ledger {
    /// Adds a request that has begun. It counts as broken unless [`Entry::complete`] is called.
    pub(super) fn enter(self: &Arc<Self>, seen: Seen) -> Entry {
        let mut book = self.book();
        book.arrived += 1;
        let kept = (book.seen.len() < KEPT).then_some(book.arrived);
        if let Some(number) = kept {
            book.seen.insert(number, seen.clone());
        }
        drop(book);
        Entry { ledger: Arc::clone(self), seen, kept }
    }

    pub(super) fn all(&self) -> Vec<Seen> {
        self.book().seen.values().cloned().collect()
    }

    /// Removes the requests that have ended.
    pub(super) fn take_ended(&self) -> Vec<Seen> {
        let mut book = self.book();
        let (open, ended) =
            std::mem::take(&mut book.seen).into_iter().partition(|(_, seen)| seen.ending == Ending::Open);
        book.seen = open;
        let ended: BTreeMap<u64, Seen> = ended;
        ended.into_values().collect()
    }

    pub(super) fn arrived(&self) -> u64 {
        self.book().arrived
    }

    pub(super) fn ended(&self, ending: Ending) -> u64 {
        let book = self.book();
        match ending {
            Ending::Open => book.arrived - book.complete - book.broken,
            Ending::Complete => book.complete,
            Ending::Broken => book.broken,
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in progress.
#[derive(Debug)]
pub(super) struct Entry {
    ledger: Arc<Ledger>,
    seen: Seen,
    kept: Option<u64>,
}

impl Entry {
    /// The request as received so far.
    pub(super) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Records that `count` body bytes have been received in total.
    pub(super) fn progress(&mut self, count: u64) {
        self.seen.body_bytes = count;
        let mut book = self.ledger.book();
        if let Some(kept) = self.kept.and_then(|number| book.seen.get_mut(&number)) {
            kept.body_bytes = count;
        }
    }

    /// Records that the request is complete.
    pub(super) fn complete(&mut self, sha256: String, trailers: Vec<(String, String)>) -> &Seen {
        self.seen.sha256 = sha256;
        self.seen.trailers = trailers;
        self.end(Ending::Complete);
        &self.seen
    }

    fn end(&mut self, ending: Ending) {
        if self.seen.ending != Ending::Open {
            return;
        }
        self.seen.ending = ending;
        match ending {
            Ending::Open => (),
            Ending::Complete => self.ledger.book().complete += 1,
            Ending::Broken => self.ledger.book().broken += 1,
        }
        self.publish();
    }

    fn publish(&self) {
        let mut book = self.ledger.book();
        if let Some(kept) = self.kept.and_then(|number| book.seen.get_mut(&number)) {
            kept.clone_from(&self.seen);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.end(Ending::Broken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_have_ended_are_taken_and_an_open_one_stays_until_it_ends() {
        let ledger = Arc::new(Ledger::default());
        let seen = |path: &str| Seen {
            method: "POST".to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body_bytes: 0,
            sha256: String::new(),
            trailers: Vec::new(),
            ending: Ending::Open,
        };
        let open = ledger.enter(seen("/open"));
        ledger.enter(seen("/ended")).complete(String::new(), Vec::new());
        let paths = || ledger.take_ended().into_iter().map(|seen| seen.path).collect::<Vec<_>>();
        assert_eq!(paths(), ["/ended"]);
        assert!(paths().is_empty());
        drop(open);
        assert_eq!(paths(), ["/open"]);
        assert_eq!((ledger.arrived(), ledger.ended(Ending::Broken)), (2, 1));
    }
}
