//! The search for the decision in a body that comes in parts.

use cellgate_routing::{Decision, Guard, Reading, Reason, Router};

/// A body that is read at most up to `limits.stream_bytes`, so that the decision does not depend on how the body was
/// cut. What lies beyond can only be watched.
#[derive(Debug)]
pub(super) enum KeySearch {
    /// The key may still come.
    Reading(Reading),
    /// The key came within the limit, and the body goes on beyond it.
    Settled(Decision, Guard),
    /// Nothing that follows can change this.
    Decided(Decision),
}

/// What the end of a message says.
pub(super) enum SearchResult {
    /// Not decided yet.
    Nothing(KeySearch),
    /// Decided; what follows is watched, if it can matter.
    Decision(Decision, Option<Guard>),
}

impl KeySearch {
    /// Reads on. Gives how many bytes were looked at.
    pub(super) fn push(&mut self, router: &Router, part: &[u8]) -> u64 {
        let (next, looked) = match std::mem::replace(self, Self::Decided(router.answer(Reason::BodyTooLarge))) {
            Self::Reading(reading) => read(reading, router, part),
            Self::Settled(decision, guard) => (watch(decision, guard, part), part.len()),
            decided @ Self::Decided(_) => (decided, 0),
        };
        *self = next;
        looked as u64
    }

    /// A message is over, and with it the whole body if `end` says so: then the policy answers what is wrong with it,
    /// as where the filter holds a body. A guard could only refuse.
    pub(super) fn message_ends(self, end: bool) -> SearchResult {
        match self {
            Self::Reading(mut reading) if end => SearchResult::Decision(reading.finish(), None),
            Self::Reading(reading) => match reading.settle() {
                Ok((decision, guard)) => SearchResult::Decision(decision, Some(guard)),
                Err(reading) => SearchResult::Nothing(Self::Reading(reading)),
            },
            Self::Settled(decision, mut guard) => match if end { guard.finish() } else { Ok(()) } {
                Ok(()) => SearchResult::Decision(decision, Some(guard)),
                Err(conflict) => SearchResult::Decision(conflict, None),
            },
            Self::Decided(decision) => SearchResult::Decision(decision, None),
        }
    }

    /// The body is over, trailers follow it.
    pub(super) fn finish(self) -> Decision {
        match self.message_ends(true) {
            SearchResult::Decision(decision, _) => decision,
            // The end of a body leaves nothing open.
            SearchResult::Nothing(Self::Reading(mut reading)) => reading.finish(),
            SearchResult::Nothing(Self::Settled(decision, _) | Self::Decided(decision)) => decision,
        }
    }
}

fn read(mut reading: Reading, router: &Router, part: &[u8]) -> (KeySearch, usize) {
    let room = router.config().limits.stream_bytes.saturating_sub(reading.received());
    let room = usize::try_from(room).unwrap_or(usize::MAX).min(part.len());
    let (now, beyond) = part.split_at(room);
    if let Err(decision) = reading.push(now) {
        return (KeySearch::Decided(decision), room);
    }
    if beyond.is_empty() {
        return (KeySearch::Reading(reading), room);
    }
    match reading.settle() {
        Ok((decision, guard)) => (watch(decision, guard, beyond), part.len()),
        Err(_) => (KeySearch::Decided(router.answer(Reason::BodyTooLarge)), room),
    }
}

fn watch(decision: Decision, mut guard: Guard, part: &[u8]) -> KeySearch {
    match guard.push(part) {
        Ok(()) => KeySearch::Settled(decision, guard),
        Err(conflict) => KeySearch::Decided(conflict),
    }
}
