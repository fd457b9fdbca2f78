//! The search for the routing key in a body that arrives in chunks.

use cellgate_routing::{BodyReader, Decider, Decision, DecodingCost, Guard, Reason};

/// The search in one body. It reads at most `limits.stream_bytes`, so that the decision does not depend on how the body is
/// cut into chunks. It only guards the bytes beyond.
#[derive(Debug)]
pub(super) enum KeySearch {
    /// The key may still come.
    Reading(BodyReader),
    /// The key came within the limit, and the chunk went on beyond it.
    KeyFound(Decision, Guard),
    /// No later byte can change the decision.
    Decided(Decision),
}

/// The result of a search after a chunk that does not end the body.
pub(super) enum Progress {
    /// The decision needs more of the body.
    Undecided(KeySearch),
    /// The decision, and the guard that must see the rest of the body, if the rest matters.
    Decided(Decision, Option<Guard>),
}

impl KeySearch {
    /// Reads a chunk. Returns how many of its bytes were scanned.
    pub(super) fn push(&mut self, decider: &Decider, chunk: &[u8]) -> u64 {
        let (next, scanned) = match std::mem::replace(self, Self::Decided(decider.answer(Reason::BodyTooLarge))) {
            Self::Reading(reading) => read(reading, decider, chunk),
            Self::KeyFound(decision, guard) => (guarded(decision, guard, chunk), chunk.len()),
            decided @ Self::Decided(_) => (decided, 0),
        };
        *self = next;
        scanned as u64
    }

    /// The cost of decoding so far, if the body has a Content-Encoding.
    pub(super) fn decoded(&self) -> Option<DecodingCost> {
        match self {
            Self::Reading(reading) => reading.decoded(),
            Self::KeyFound(_, guard) => guard.decoded(),
            Self::Decided(_) => None,
        }
    }

    /// The result so far. The body goes on.
    pub(super) fn progress(self) -> Progress {
        match self {
            Self::Reading(reading) => match reading.settle() {
                Ok((decision, guard)) => Progress::Decided(decision, Some(guard)),
                Err(reading) => Progress::Undecided(Self::Reading(reading)),
            },
            Self::KeyFound(decision, guard) => Progress::Decided(decision, Some(guard)),
            Self::Decided(decision) => Progress::Decided(decision, None),
        }
    }

    /// The decision at the end of the body. A whole body gets the policy's answer to an error, as in the filter. A guard
    /// could only reject it.
    pub(super) fn finish(self) -> Decision {
        match self {
            Self::Reading(mut reading) => reading.finish(),
            Self::KeyFound(decision, mut guard) => guard.finish().err().unwrap_or(decision),
            Self::Decided(decision) => decision,
        }
    }
}

/// Reads a chunk up to the limit, and guards its bytes beyond.
fn read(mut reading: BodyReader, decider: &Decider, chunk: &[u8]) -> (KeySearch, usize) {
    let limit = decider.config().limits.stream_bytes.saturating_sub(reading.received());
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(chunk.len());
    let (within, beyond) = chunk.split_at(limit);
    if let Err(decision) = reading.push(within) {
        return (KeySearch::Decided(decision), limit);
    }
    if beyond.is_empty() {
        return (KeySearch::Reading(reading), limit);
    }
    match reading.settle() {
        Ok((decision, guard)) => (guarded(decision, guard, beyond), chunk.len()),
        Err(_) => (KeySearch::Decided(decider.answer(Reason::BodyTooLarge)), limit),
    }
}

fn guarded(decision: Decision, mut guard: Guard, bytes: &[u8]) -> KeySearch {
    match guard.push(bytes) {
        Ok(()) => KeySearch::KeyFound(decision, guard),
        Err(conflict) => KeySearch::Decided(conflict),
    }
}
