//! The fast way through what no pointer can reach: the grammar, whole tokens at a time.
//!
//! Nothing is ever found wrong here. What is not plain, or not whole in the chunk, is left to the scanner, in the state
//! that the scanner would be in itself. So whether this runs at all changes nothing but time.

use super::super::stack::{Container, Containers, SIGHT, Stack};
use super::super::state::State;
use super::strings::skip_to_ink;
use super::structure_cache::{Memory, Place};
use super::tokens::{member_end, near, near_end, scalar_end};

/// Reads on in a container that no pointer goes through, until it closes.
pub(in crate::json) struct Skip<'a> {
    pub(in crate::json) chunk: &'a [u8],
    /// How many containers pointers go through.
    pub(in crate::json) floor: usize,
    /// The most containers that may be open.
    pub(in crate::json) limit: usize,
    pub(in crate::json) memory: Option<&'a mut Memory>,
}

/// Where the scanner goes on, and in which state.
type Stop = (usize, State);

/// What changes from token to token.
struct Run {
    open: Containers,
    /// Where the last value ended, if what comes next may be learnt.
    last: Option<(Containers, Place)>,
}

impl Skip<'_> {
    /// Whether there is something to read on from: a value comes next, or has ended.
    #[inline(always)]
    pub(in crate::json) fn begins(state: State, stack: &Stack) -> bool {
        let is_at_value = matches!(state, State::Value | State::FirstElement | State::MemberEnd | State::ElementEnd);
        is_at_value && stack.depth() <= SIGHT
    }

    /// Reads on from `at`, where `state` is.
    #[inline(never)]
    pub(in crate::json) fn read(mut self, at: usize, state: State, stack: &mut Stack) -> Stop {
        let is_value_next = matches!(state, State::Value | State::FirstElement);
        self.limit = self.limit.min(SIGHT);
        let mut run = Run { open: stack.open(), last: None };
        let mut next = if is_value_next { Ok((at, state)) } else { self.next_value(&mut run, at) };
        let stop = loop {
            next = match next {
                Ok((at, state)) => match self.value(&mut run, at, state) {
                    Ok(end) => self.next_value(&mut run, end),
                    Err(stop) => break stop,
                },
                Err(stop) => break stop,
            }
        };
        stack.set_open(run.open);
        stop
    }

    /// A value begins at `at`, if `state` and the bytes say so: where it ends. Of a container that is not empty, that is
    /// where its first scalar ends.
    #[inline(always)]
    fn value(&mut self, run: &mut Run, mut at: usize, mut state: State) -> Result<usize, Stop> {
        let chunk = self.chunk;
        loop {
            let Some(bytes) = near(chunk, at) else { return Err((at, state)) };
            let end = match near_end(bytes) {
                Some(end) if bytes.get(end).is_some_and(|byte| may_follow(*byte)) => Some(at + end),
                _ => scalar_end(chunk, at),
            };
            if let Some(end) = end {
                return Ok(self.remember(run, at, end));
            }
            let [first, ..] = *bytes;
            let is_object = first == b'{';
            if (is_object || first == b'[') && run.open.depth < self.limit {
                run.open.push(if is_object { Container::Object } else { Container::Array });
                at = skip_to_ink(chunk, at + 1);
                if chunk.get(at) == Some(&run.open.closing()) {
                    return Ok(at);
                }
                if is_object {
                    at = member_end(chunk, at).ok_or((at, State::FirstName))?;
                    state = State::Value;
                } else {
                    state = State::FirstElement;
                }
                continue;
            }
            let next = skip_to_ink(chunk, at);
            if next == at {
                return Err((at, state));
            }
            at = next;
        }
    }

    /// A scalar lies from `at` to `end`: reads on from memory as far as possible, and learns how it was reached.
    #[inline(always)]
    fn remember(&mut self, run: &mut Run, at: usize, end: usize) -> usize {
        let last = run.last.take();
        let Some(memory) = self.memory.as_deref_mut().filter(|memory| memory.is_awake(at)) else { return end };
        let place = match last {
            Some((open, place)) => {
                memory.learn(place, open, self.chunk.get(place.end..at).unwrap_or_default(), run.open, end)
            }
            None => Place::unknown(end),
        };
        let place = memory.read(self.chunk, place);
        run.open = memory.open(place).unwrap_or(run.open);
        if memory.is_worth_it(place.end) {
            run.last = Some((run.open, place));
        }
        place.end
    }

    /// A value has ended before `at`, or an empty container is about to: where the next value begins.
    #[inline(always)]
    fn next_value(&self, run: &mut Run, mut at: usize) -> Result<Stop, Stop> {
        let chunk = self.chunk;
        loop {
            let stop = |at| Err((at, run.open.after_value()));
            let Some(byte) = chunk.get(at) else { return stop(at) };
            if *byte == b',' {
                at += 1;
                if run.open.is_object() {
                    at = skip_to_ink(chunk, at);
                    at = member_end(chunk, at).ok_or((at, State::Name))?;
                }
                return Ok((at, State::Value));
            }
            if *byte == run.open.closing() {
                run.open.pop();
                at += 1;
                if run.open.depth == self.floor {
                    return Err((at, run.open.after_value()));
                }
                continue;
            }
            let next = skip_to_ink(chunk, at);
            if next == at {
                return stop(at);
            }
            at = next;
        }
    }
}

/// Whether a value is whole if this comes next: a comma, a closing bracket of either kind, or white space (or a control,
/// which is wrong after it).
#[inline(always)]
fn may_follow(byte: u8) -> bool {
    byte == b',' || byte | (b']' ^ b'}') == b'}' || byte <= b' '
}
