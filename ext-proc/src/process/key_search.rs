//! The search for the routing key in a body that arrives in chunks.

use cellgate_routing::{BodyReader, Decider, Decision, DecodingCost, DueLimits, Guard, KeyOrigin, Outcome, Reason};

/// The search in one body. It reads at most `limits.stream_bytes`, so that the decision does not depend on how the body is
/// cut into chunks. It only guards the bytes beyond.
#[derive(Debug)]
pub(super) enum KeySearch {
    /// The key may still come.
    Reading(BodyReader),
    /// The head has decided. The body may have values for rate limits, and nothing else in it counts.
    ReadingForLimits(BodyReader, HeadDecision),
    /// The key came within the limit, and the chunk went on beyond it.
    KeyFound(Decision, Guard),
    /// No later byte can change the decision. With the routing key, if rate limits may need it.
    Decided(Decision, Option<String>),
}

/// The decision of a head, and its routing key.
#[derive(Debug)]
pub(super) struct HeadDecision {
    pub(super) decision: Decision,
    pub(super) key: Option<String>,
}

/// The result of a search after a chunk that does not end the body.
pub(super) enum Progress {
    /// The decision needs more of the body.
    Undecided(KeySearch),
    /// The decision.
    Decided {
        decision: Decision,
        /// The routing key, if rate limits may need it.
        key: Option<String>,
        /// Must see the rest of the body, if the rest matters.
        guard: Option<Guard>,
    },
}

impl KeySearch {
    /// Reads a chunk. Returns how many of its bytes were scanned.
    pub(super) fn push(&mut self, decider: &Decider, due: &mut DueLimits, chunk: &[u8]) -> u64 {
        let (next, scanned) = match std::mem::replace(self, Self::Decided(decider.answer(Reason::BodyTooLarge), None)) {
            Self::Reading(reading) => read(reading, decider, chunk),
            Self::ReadingForLimits(reading, decision) => read_for_limits(reading, decision, decider, due, chunk),
            Self::KeyFound(decision, guard) => (guarded(decision, guard, chunk), chunk.len()),
            decided @ Self::Decided(..) => (decided, 0),
        };
        *self = next;
        scanned as u64
    }

    /// The decision if the body is not read to its end, for this reason. The decision of the head stands, unless the answer to
    /// the reason is a rejection. With the routing key, if rate limits may need it.
    pub(super) fn cut_short(self, decider: &Decider, reason: Reason) -> (Decision, Option<String>) {
        let answer = decider.answer(reason);
        match self {
            Self::ReadingForLimits(_, head) if !matches!(answer.outcome, Outcome::Reject(_)) => {
                (head.decision, head.key)
            }
            _ => (answer, None),
        }
    }

    /// The cost of decoding so far, if the body has a Content-Encoding.
    pub(super) fn decoded(&self) -> Option<DecodingCost> {
        match self {
            Self::Reading(reading) | Self::ReadingForLimits(reading, _) => reading.decoded(),
            Self::KeyFound(_, guard) => guard.decoded(),
            Self::Decided(..) => None,
        }
    }

    /// The result so far. The body goes on.
    pub(super) fn progress(self, due: &mut DueLimits) -> Progress {
        let found = |decision, guard: Guard, due: &mut DueLimits| {
            due.read_body(guard.scanned(), false);
            let key = if due.is_empty() { None } else { guard.key().map(str::to_owned) };
            Progress::Decided { decision, key, guard: Some(guard) }
        };
        match self {
            Self::Reading(reading) if !due.are_settled(reading.scanned()) => {
                Progress::Undecided(Self::Reading(reading))
            }
            Self::Reading(reading) => match reading.settle() {
                Ok((decision, guard)) => found(decision, guard, due),
                Err(reading) => Progress::Undecided(Self::Reading(reading)),
            },
            Self::ReadingForLimits(reading, HeadDecision { decision, key }) if due.are_settled(reading.scanned()) => {
                due.read_body(reading.scanned(), false);
                Progress::Decided { decision, key, guard: None }
            }
            reading @ Self::ReadingForLimits(..) => Progress::Undecided(reading),
            Self::KeyFound(decision, guard) => found(decision, guard, due),
            Self::Decided(decision, key) => Progress::Decided { decision, key, guard: None },
        }
    }

    /// The decision at the end of the body, and the routing key if rate limits may need it. A whole body gets the policy's
    /// answer to an error, as in the filter. A guard could only reject it. Nothing else may be asked afterwards but the
    /// [`origin`](Self::origin).
    pub(super) fn finish(&mut self, due: &mut DueLimits) -> (Decision, Option<String>) {
        let is_limited = !due.is_empty();
        let owned = |key: Option<&str>| if is_limited { key.map(str::to_owned) } else { None };
        match self {
            Self::Reading(reading) => {
                let decision = reading.finish();
                due.read_body(reading.scanned(), true);
                (decision, owned(reading.key()))
            }
            Self::ReadingForLimits(reading, HeadDecision { decision, key }) => {
                let _ = reading.finish();
                due.read_body(reading.scanned(), reading.broken().is_none());
                (*decision, key.take())
            }
            Self::KeyFound(decision, guard) => {
                let decision = guard.finish().err().unwrap_or(*decision);
                due.read_body(guard.scanned(), true);
                (decision, owned(guard.key()))
            }
            Self::Decided(decision, key) => (*decision, key.take()),
        }
    }

    /// The source in the body that decides, and its key. `None`: one in the head does, or none.
    pub(super) fn origin(&self) -> Option<KeyOrigin<'_>> {
        match self {
            Self::Reading(reading) => reading.body_origin(),
            Self::KeyFound(_, guard) => guard.body_origin(),
            Self::ReadingForLimits(..) | Self::Decided(..) => None,
        }
    }
}

/// Reads a chunk up to the limit, and guards its bytes beyond.
fn read(mut reading: BodyReader, decider: &Decider, chunk: &[u8]) -> (KeySearch, usize) {
    let limit = decider.config().limits.stream_bytes.saturating_sub(reading.received());
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(chunk.len());
    let (within, beyond) = chunk.split_at(limit);
    if let Err(decision) = reading.push(within) {
        return (KeySearch::Decided(decision, None), limit);
    }
    if beyond.is_empty() {
        return (KeySearch::Reading(reading), limit);
    }
    match reading.settle() {
        Ok((decision, guard)) => (guarded(decision, guard, beyond), chunk.len()),
        Err(_) => (KeySearch::Decided(decider.answer(Reason::BodyTooLarge), None), limit),
    }
}

/// Reads a chunk up to the limit. Beyond it, and behind a syntax error, the values that were not found are unusable.
fn read_for_limits(
    mut reading: BodyReader,
    head: HeadDecision,
    decider: &Decider,
    due: &mut DueLimits,
    chunk: &[u8],
) -> (KeySearch, usize) {
    let limit = decider.config().limits.stream_bytes.saturating_sub(reading.received());
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(chunk.len());
    let within = chunk.get(..limit).unwrap_or(chunk);
    let is_read = reading.push(within).is_ok();
    if is_read && limit == chunk.len() {
        return (KeySearch::ReadingForLimits(reading, head), limit);
    }
    due.read_body(reading.scanned(), false);
    (KeySearch::Decided(head.decision, head.key), limit)
}

fn guarded(decision: Decision, mut guard: Guard, bytes: &[u8]) -> KeySearch {
    match guard.push(bytes) {
        Ok(()) => KeySearch::KeyFound(decision, guard),
        Err(conflict) => KeySearch::Decided(conflict, None),
    }
}
