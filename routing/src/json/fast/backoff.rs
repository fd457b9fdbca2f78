//! When the structure cache is worth trying: it pauses in the parts of a document that do not repeat.

/// What one try costs, in bytes that the grammar reads in the same time.
const COST: usize = 48;

/// The most credit there can be, in bytes.
const CREDIT: usize = 1024;

/// The first pause, in bytes. Each pause that follows without full credit in between is twice as long.
const PAUSE: usize = 4 * CREDIT;

/// The credit of the structure cache: each try costs some, and the bytes read with its help earn some.
#[derive(Debug)]
pub(super) struct Backoff {
    credit: usize,
    pause: usize,
    /// Index in the chunk at which the last try ended.
    last_end: usize,
    /// Index in the chunk before which there is no try.
    resume: usize,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { credit: CREDIT, pause: PAUSE, last_end: 0, resume: 0 }
    }

    /// Whether there should be a try at this index.
    #[inline(always)]
    pub(super) fn allows(&self, at: usize) -> bool {
        at >= self.resume
    }

    /// Counts a try that ended at this index. Returns whether there should be another one.
    #[inline(always)]
    pub(super) fn record(&mut self, end: usize) -> bool {
        let credit = (self.credit + end.saturating_sub(self.last_end)).saturating_sub(COST);
        self.last_end = end;
        if credit >= CREDIT {
            (self.credit, self.pause) = (CREDIT, PAUSE);
            return true;
        }
        self.credit = credit;
        if credit > 0 {
            return true;
        }
        self.resume = end.saturating_add(self.pause);
        *self = Self { credit: CREDIT / 2, pause: self.pause.saturating_mul(2), last_end: self.resume, ..*self };
        false
    }

    /// Moves the indices to the next chunk.
    #[inline]
    pub(super) fn end_chunk(&mut self, length: usize) {
        self.last_end = self.last_end.saturating_sub(length);
        self.resume = self.resume.saturating_sub(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records tries of `step` bytes each until the backoff pauses. Returns where the last try ended.
    fn tries_until_pause(backoff: &mut Backoff, mut at: usize, step: usize) -> usize {
        loop {
            at += step;
            if !backoff.record(at) {
                return at;
            }
        }
    }

    #[test]
    fn pauses_double_where_nothing_repeats_and_start_again_after_full_credit() {
        let mut backoff = Backoff::new();
        let mut at = 0;
        for pause in [PAUSE, 2 * PAUSE, 4 * PAUSE, 8 * PAUSE] {
            let end = tries_until_pause(&mut backoff, at, 8);
            assert!(!backoff.allows(end + pause - 1) && backoff.allows(end + pause));
            at = end + pause;
        }
        for _ in 0..100 {
            at += 100;
            assert!(backoff.record(at));
        }
        let end = tries_until_pause(&mut backoff, at, 8);
        assert!(!backoff.allows(end + PAUSE - 1) && backoff.allows(end + PAUSE));
    }

    #[test]
    fn a_pause_lasts_into_the_next_chunk() {
        let mut backoff = Backoff::new();
        let resume = tries_until_pause(&mut backoff, 0, 8) + PAUSE;
        backoff.end_chunk(resume - 10);
        assert!(!backoff.allows(9) && backoff.allows(10));
    }
}
