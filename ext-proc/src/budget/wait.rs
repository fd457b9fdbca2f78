//! The wait of one stream for bytes of the budget.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use super::ledger::Ask;
use super::{AccountState, NOT_WAITING, Reservation};

/// Resolves to the reservation of the bytes, or to `None` once the stream has used up its time to wait. Dropping it gives up
/// the place.
#[derive(Debug)]
pub struct Wait {
    account: Arc<AccountState>,
    bytes: u64,
    began: Instant,
    timeout: Pin<Box<Sleep>>,
}

impl Wait {
    /// Begins to wait. `None` if no time is left, or if the stream waits already.
    pub(super) fn begin(account: Arc<AccountState>, ask: Ask) -> Option<Self> {
        let left = account.budget.timeout.saturating_sub(account.waited());
        if left.is_zero() {
            return None;
        }
        let waits = account.budget.change(|ledger| {
            let id = account.enter(ledger);
            ledger.wait(id, ask)
        });
        if !waits {
            return None;
        }
        let began = Instant::now();
        account.waits_since.store(nanoseconds(began.duration_since(account.budget.epoch)), Ordering::Relaxed);
        Some(Self { account, bytes: ask.bytes, began, timeout: Box::pin(sleep(left)) })
    }
}

impl Future for Wait {
    type Output = Option<Reservation>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Reservation>> {
        let (account, bytes) = (Arc::clone(&self.account), self.bytes);
        let granted = account.budget.change(|ledger| {
            let id = account.enter(ledger);
            ledger.poll_wait(id, context.waker())
        });
        if granted {
            return Poll::Ready(Some(Reservation { account, bytes }));
        }
        self.timeout.as_mut().poll(context).map(|()| None)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let AccountState { budget, waited, waits_since, .. } = &*self.account;
        self.account.with_id(super::Ledger::cancel_wait);
        let elapsed = self.began.elapsed();
        waited.fetch_add(nanoseconds(elapsed), Ordering::Relaxed);
        waits_since.store(NOT_WAITING, Ordering::Relaxed);
        if let Some(wait_seconds) = &budget.wait_seconds {
            wait_seconds.observe(elapsed.as_secs_f64());
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX - 1)
}
