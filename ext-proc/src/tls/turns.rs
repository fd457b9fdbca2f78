//! How many handshakes run at a time. While others wait for a turn, a handshake keeps its own for a limited time.
//!
//! A handshake takes milliseconds. Without the limit, clients that begin handshakes and stop could hold all turns until
//! their deadlines, and delay every new connection.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

/// How long a turn is kept while others wait.
pub(super) const CROWDED_TIME: Duration = Duration::from_secs(1);

/// The turns. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Turns(Arc<TurnsState>);

#[derive(Debug)]
struct TurnsState {
    free: Arc<Semaphore>,
    taken: Mutex<TakenTurns>,
}

/// The turns that are taken, the oldest first.
#[derive(Debug, Default)]
struct TakenTurns {
    last: u64,
    turns: BTreeMap<u64, TakenTurn>,
}

#[derive(Debug)]
struct TakenTurn {
    since: Instant,
    /// Dropped to end the turn.
    _end: oneshot::Sender<()>,
}

/// A turn. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Turns,
    number: u64,
    ended: oneshot::Receiver<()>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// So many turns at a time.
    pub(super) fn new(count: usize) -> Self {
        Self(Arc::new(TurnsState { free: Arc::new(Semaphore::new(count)), taken: Mutex::default() }))
    }

    /// Waits for a turn, in the order of the calls. While it waits, it ends the oldest turn if that is older than
    /// [`CROWDED_TIME`], and one more after each such time.
    pub(super) async fn take(&self) -> Turn {
        let mut free = pin!(Arc::clone(&self.0.free).acquire_owned());
        let mut earliest = Instant::now();
        loop {
            // Polled again after each wait, so that it keeps its place in the queue. The semaphore is never closed.
            tokio::select! {
                biased;
                permit = &mut free => return self.begin(permit.ok()),
                () = tokio::time::sleep_until(earliest.max(self.oldest() + CROWDED_TIME)) => {
                    self.end_oldest();
                    earliest = Instant::now() + CROWDED_TIME;
                }
            }
        }
    }

    fn begin(&self, permit: Option<OwnedSemaphorePermit>) -> Turn {
        let (_end, ended) = oneshot::channel();
        let number = self.with_taken(|taken| {
            taken.last += 1;
            taken.turns.insert(taken.last, TakenTurn { since: Instant::now(), _end });
            taken.last
        });
        Turn { turns: self.clone(), number, ended, _permit: permit }
    }

    /// When the oldest turn began.
    fn oldest(&self) -> Instant {
        self.with_taken(|taken| taken.turns.first_key_value().map_or_else(Instant::now, |(_, turn)| turn.since))
    }

    fn end_oldest(&self) {
        self.with_taken(|taken| {
            if let Some(oldest) = taken.turns.first_entry()
                && oldest.get().since.elapsed() >= CROWDED_TIME
            {
                oldest.remove();
            }
        });
    }

    fn with_taken<T>(&self, change: impl FnOnce(&mut TakenTurns) -> T) -> T {
        change(&mut self.0.taken.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Turn {
    /// Waits until this turn must end, because others wait.
    pub(super) async fn ended(&mut self) {
        let _dropped = (&mut self.ended).await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.with_taken(|taken| taken.turns.remove(&self.number));
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    /// Whether a future is ready within so many milliseconds.
    async fn within(milliseconds: u64, future: impl Future) -> bool {
        timeout(Duration::from_millis(milliseconds), future).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_turn_ends_once_it_is_too_old_and_somebody_waits() {
        let turns = Turns::new(2);
        let mut first = turns.take().await;
        advance(Duration::from_millis(300)).await;
        let mut second = turns.take().await;
        // Nobody waits.
        assert!(!within(5000, first.ended()).await);
        let waiting = tokio::spawn({
            let turns = turns.clone();
            async move { turns.take().await }
        });
        assert!(within(1, first.ended()).await);
        // One that waits ends one turn.
        assert!(!within(1, second.ended()).await);
        drop(first);
        waiting.await.unwrap();
        assert!(!within(5000, second.ended()).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_young_turn_does_not_end() {
        let turns = Turns::new(1);
        let mut only = turns.take().await;
        let began = Instant::now();
        let waiting = tokio::spawn({
            let turns = turns.clone();
            async move { turns.take().await }
        });
        assert!(!within(990, only.ended()).await);
        only.ended().await;
        assert_eq!(began.elapsed(), CROWDED_TIME);
        drop(only);
        waiting.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn turns_that_are_given_back_or_not_awaited_any_more_leave_nothing() {
        let turns = Turns::new(1);
        let only = turns.take().await;
        assert!(!within(500, turns.take()).await);
        drop(only);
        assert!(within(1, turns.take()).await);
        assert!(turns.with_taken(|taken| taken.turns.is_empty()));
        assert_eq!(turns.0.free.available_permits(), 1);
    }
}
