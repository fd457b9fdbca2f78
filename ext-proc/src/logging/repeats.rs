//! At most some lines in a time for one kind of event: what a client or Envoy can provoke without end must not fill the log.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::callsite::Identifier;

/// The lines of one kind in one window, at most.
pub(super) const LINES: u32 = 10;

/// The time of a window. It begins with a line.
pub(super) const WINDOW: Duration = Duration::from_secs(10);

/// The kinds that are told apart at a time. Further ones share one window.
const MAX_KINDS: usize = 512;

/// The most bytes of a detail.
const MAX_DETAIL: usize = 64;

/// The windows of all kinds of events.
#[derive(Debug, Default)]
pub(super) struct Repeats(Mutex<Kinds>);

#[derive(Debug, Default)]
struct Kinds {
    known: HashMap<(Identifier, String), Window>,
    other: Option<Window>,
}

/// A kind of event.
#[derive(Debug)]
pub(super) struct Kind<'a> {
    /// The place in the code that logs it.
    pub callsite: Identifier,
    /// The field `event`.
    pub event: &'a str,
    /// The reason or the status, by which a place has several kinds.
    pub detail: &'a str,
}

#[derive(Debug)]
struct Window {
    event: String,
    start: Instant,
    lines: u32,
    suppressed: u64,
}

/// Lines that were left out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// The field `event`.
    pub event: String,
    /// The reason or the status. Empty if there is none.
    pub detail: String,
    /// How many.
    pub lines: u64,
}

impl Repeats {
    /// Counts an event. `None`: its line must not be written. Otherwise the number of its lines that were left out before.
    pub(super) fn next(&self, kind: &Kind<'_>, now: Instant) -> Option<u64> {
        let mut kinds = self.lock();
        let key = (kind.callsite.clone(), shortened(kind.detail));
        if !kinds.known.contains_key(&key) && kinds.known.len() >= MAX_KINDS {
            kinds.known.retain(|_, window| window.suppressed > 0 || !window.is_over(now));
        }
        let begin = || Window::begin(kind.event, now);
        let window = if kinds.known.contains_key(&key) || kinds.known.len() < MAX_KINDS {
            kinds.known.entry(key).or_insert_with(begin)
        } else {
            kinds.other.get_or_insert_with(|| Window::begin("other", now))
        };
        window.next(now)
    }

    /// The lines that were left out in windows that are over, and that no later line has told.
    pub(super) fn take_left_out(&self, now: Instant) -> Vec<LeftOut> {
        let mut kinds = self.lock();
        let mut left_out = Vec::new();
        kinds.known.retain(|(_, detail), window| {
            let is_over = window.is_over(now);
            if is_over && window.suppressed > 0 {
                let event = std::mem::take(&mut window.event);
                left_out.push(LeftOut { event, detail: detail.clone(), lines: window.suppressed });
            }
            !is_over
        });
        if let Some(window) = kinds.other.take_if(|window| window.is_over(now))
            && window.suppressed > 0
        {
            left_out.push(LeftOut { event: window.event, detail: String::new(), lines: window.suppressed });
        }
        left_out
    }

    fn lock(&self) -> MutexGuard<'_, Kinds> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    fn begin(event: &str, now: Instant) -> Self {
        Self { event: event.to_owned(), start: now, lines: 0, suppressed: 0 }
    }

    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.start) >= WINDOW
    }

    fn next(&mut self, now: Instant) -> Option<u64> {
        if self.is_over(now) {
            (self.start, self.lines) = (now, 0);
        }
        if self.lines >= LINES {
            self.suppressed += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

/// The beginning of a text.
fn shortened(text: &str) -> String {
    let mut length = 0;
    let is_within = |character: &char| {
        length += character.len_utf8();
        length <= MAX_DETAIL
    };
    text.chars().take_while(is_within).collect()
}

#[cfg(test)]
mod tests {
    use tracing::Callsite;
    use tracing::callsite::DefaultCallsite;
    use tracing::metadata::Kind as MetadataKind;

    use super::*;

    static METADATA: tracing::Metadata<'static> = tracing::Metadata::new(
        "test",
        "test",
        tracing::Level::WARN,
        None,
        None,
        None,
        tracing::field::FieldSet::new(&[], tracing::callsite::Identifier(&CALLSITE)),
        MetadataKind::EVENT,
    );
    static CALLSITE: DefaultCallsite = DefaultCallsite::new(&METADATA);

    fn kind(detail: &str) -> Kind<'_> {
        Kind { callsite: Identifier(&CALLSITE), event: "test", detail }
    }

    #[test]
    fn ten_lines_are_written_and_the_next_window_tells_how_many_were_not() {
        let _same = CALLSITE.metadata();
        let (start, repeats) = (Instant::now(), Repeats::default());
        let written = (0..25).filter_map(|_| repeats.next(&kind("a"), start)).collect::<Vec<_>>();
        assert_eq!(written, [0; LINES as usize]);
        assert_eq!(repeats.next(&kind("b"), start), Some(0), "each reason has lines of its own");
        let late = start + WINDOW - Duration::from_millis(1);
        assert_eq!(repeats.next(&kind("a"), late), None);
        assert_eq!(repeats.next(&kind("a"), start + WINDOW), Some(16));
        assert_eq!(repeats.next(&kind("a"), start + WINDOW), Some(0));
    }

    #[test]
    fn what_no_later_line_tells_is_told_once_when_the_window_is_over() {
        let (start, repeats) = (Instant::now(), Repeats::default());
        (0..LINES + 3).for_each(|_| _ = repeats.next(&kind("a"), start));
        assert_eq!(repeats.take_left_out(start), []);
        let left_out = LeftOut { event: "test".to_owned(), detail: "a".to_owned(), lines: 3 };
        assert_eq!(repeats.take_left_out(start + WINDOW), [left_out]);
        assert_eq!(repeats.take_left_out(start + WINDOW * 2), []);
        assert_eq!(repeats.next(&kind("a"), start + WINDOW), Some(0));
    }

    #[test]
    fn kinds_without_end_take_bounded_memory() {
        let (start, repeats) = (Instant::now(), Repeats::default());
        let lines = (0..10_000).filter_map(|number| repeats.next(&kind(&format!("{number}")), start)).count();
        assert_eq!(lines, MAX_KINDS + LINES as usize);
        assert_eq!(repeats.lock().known.len(), MAX_KINDS);
        let left_out: u64 = repeats.take_left_out(start + WINDOW).iter().map(|left_out| left_out.lines).sum();
        assert_eq!(left_out, 10_000 - lines as u64);
        assert!(repeats.lock().known.is_empty());
        let long = "ü".repeat(1 << 20);
        assert_eq!(repeats.next(&kind(&long), start), Some(0));
        assert!(repeats.lock().known.keys().all(|(_, detail)| detail.len() <= MAX_DETAIL));
    }
}
