//! Skipping: the grammar, whole tokens at a time, in containers that no pointer goes through.

use super::super::stack::{Containers, RECENT, Stack};
use super::super::state::GrammarState;
use super::strings::skip_rare_whitespace;
use super::structure_cache::{StructureCache, ValueEnd};
use super::tokens::{LOOKAHEAD, colon_end, lookahead, scalar_end, short_scalar_length};
use super::{Bounds, ScanPosition};
use crate::document::Container;

/// Reads on in a container that no pointer goes through, until it closes.
pub(super) struct Skip<'a> {
    pub(super) chunk: &'a [u8],
    pub(super) bounds: Bounds,
    pub(super) cache: Option<&'a mut StructureCache>,
}

/// Either where the next value begins, or where skipping stops.
type Next = Result<ScanPosition, ScanPosition>;

/// The state that changes from token to token.
struct Progress {
    open: Containers,
    /// The end of the last scalar and the containers open after it, if the cache may learn what follows.
    last: Option<(Containers, ValueEnd)>,
}

impl Skip<'_> {
    /// Whether skipping can begin in this state: before a value or after one.
    #[inline(always)]
    pub(super) fn can_begin(state: GrammarState, stack: &Stack) -> bool {
        use GrammarState::{ElementEnd, FirstElement, MemberEnd, Value};
        matches!(state, Value | FirstElement | MemberEnd | ElementEnd) && stack.depth() <= RECENT
    }

    /// Reads on from `start`, and returns where it stops.
    #[inline(never)]
    pub(super) fn read(mut self, start: ScanPosition, stack: &mut Stack) -> ScanPosition {
        self.bounds.depth = self.bounds.depth.min(RECENT);
        let mut progress = Progress { open: stack.recent(), last: None };
        let is_before_value = matches!(start.state, GrammarState::Value | GrammarState::FirstElement);
        let mut next = if is_before_value { Ok(start) } else { self.next_value(&mut progress, start.at) };
        let stop = loop {
            next = match next.and_then(|place| self.value_end(&mut progress, place)) {
                Ok(end) => self.next_value(&mut progress, end),
                Err(stop) => break stop,
            };
        };
        stack.set_recent(progress.open);
        stop
    }

    /// Returns where the value at `place` ends. For a container that is not empty, this is where its first scalar ends.
    #[inline(always)]
    fn value_end(&mut self, progress: &mut Progress, place: ScanPosition) -> Result<usize, ScanPosition> {
        let chunk = self.chunk;
        let ScanPosition { mut at, mut state } = place;
        loop {
            let stop = |at, state| Err(ScanPosition { at, state });
            let short = lookahead(chunk, at).and_then(|bytes| {
                let length = short_scalar_length(bytes)?;
                bytes.get(length).is_some_and(|byte| may_follow_value(*byte)).then_some(at + length)
            });
            if let Some(end) = short.or_else(|| scalar_end(chunk, at)) {
                return Ok(self.use_cache(progress, at, end));
            }
            let Some(first) = chunk.get(at).copied() else { return stop(at, state) };
            let is_object = first == b'{';
            if (is_object || first == b'[') && progress.open.depth < self.bounds.depth {
                progress.open.push(if is_object { Container::Object } else { Container::Array });
                at = skip_rare_whitespace(chunk, at + 1);
                if chunk.get(at) == Some(&progress.open.closing_bracket()) {
                    return Ok(at);
                }
                if is_object {
                    at = colon_end(chunk, at).ok_or(ScanPosition { at, state: GrammarState::FirstName })?;
                    state = GrammarState::Value;
                } else {
                    state = GrammarState::FirstElement;
                }
                continue;
            }
            let next = skip_rare_whitespace(chunk, at);
            if next == at {
                return stop(at, state);
            }
            at = next;
        }
    }

    /// Continues after the scalar from `at` to `end` with the cache, as far as it knows the document. Also lets it learn
    /// how the scalar was reached. Returns where the last scalar ends.
    #[inline(always)]
    fn use_cache(&mut self, progress: &mut Progress, at: usize, end: usize) -> usize {
        let last = progress.last.take();
        // Too near to the end of the chunk, the cache cannot read another value.
        let Some(cache) =
            self.cache.as_deref_mut().filter(|cache| cache.backoff.allows(at) && end + LOOKAHEAD <= self.chunk.len())
        else {
            return end;
        };
        let value = match last {
            Some((open, value)) => {
                let gap = self.chunk.get(value.end..at).unwrap_or_default();
                cache.learn(value, open, gap, progress.open, end)
            }
            None => ValueEnd::unknown(end),
        };
        let value = cache.read(self.chunk, value);
        progress.open = cache.open_after(value).unwrap_or(progress.open);
        if cache.backoff.record(value.end) {
            progress.last = Some((progress.open, value));
        }
        value.end
    }

    /// A value has ended before `at`, or an empty container closes there. Returns where the next value begins.
    #[inline(always)]
    fn next_value(&self, progress: &mut Progress, mut at: usize) -> Next {
        let (chunk, open) = (self.chunk, &mut progress.open);
        loop {
            let byte = chunk.get(at).copied();
            if byte == Some(b',') {
                at += 1;
                if open.is_object() {
                    at = skip_rare_whitespace(chunk, at);
                    at = colon_end(chunk, at).ok_or(ScanPosition { at, state: GrammarState::Name })?;
                }
                return Ok(ScanPosition { at, state: GrammarState::Value });
            }
            if byte == Some(open.closing_bracket()) {
                open.pop();
                at += 1;
                if open.depth > self.bounds.live {
                    continue;
                }
            } else {
                let next = skip_rare_whitespace(chunk, at);
                if next != at {
                    at = next;
                    continue;
                }
            }
            return Err(ScanPosition { at, state: open.after_value() });
        }
    }
}

/// Whether a value is whole if this byte comes next: a comma, a closing bracket of either kind, or whitespace. Control
/// characters count as whitespace here; the scanner then refuses them.
#[inline(always)]
fn may_follow_value(byte: u8) -> bool {
    // The two brackets differ by one bit.
    byte == b',' || byte | (b']' ^ b'}') == b'}' || byte <= b' '
}
