//! The byte budget: the limit of buffered bytes in the whole process.
//!
//! A body must be buffered until its key comes, and only a common limit bounds the memory of many such bodies. A stream
//! whose next bytes do not fit waits, and is not read meanwhile, so that HTTP/2 stops its peer. `ledger` has the rule that
//! keeps waiting streams from blocking each other for ever.

mod ledger;
mod wait;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::Histogram;
use tokio::time::Instant;

use self::ledger::{AccountId, Answer, Ask, Ledger};
pub(crate) use self::wait::Wait;

/// No wait is under way.
const NOT_WAITING: u64 = u64::MAX;

/// The byte budget. Clones share the limit.
#[derive(Clone, Debug)]
pub struct Budget(Arc<BudgetState>);

#[derive(Debug)]
struct BudgetState {
    ledger: Mutex<Ledger>,
    /// How long one account may wait altogether.
    timeout: Duration,
    /// The time from which accounts count.
    epoch: Instant,
    /// Observes the seconds of each wait.
    wait_seconds: Option<Histogram>,
}

/// Bytes reserved from the budget, for one stream. Dropping it releases them. All reservations of a stream share its
/// account.
#[derive(Debug)]
pub struct Reservation {
    account: Arc<AccountState>,
    bytes: u64,
}

/// The account of one stream. It enters the ledger with its first bytes.
#[derive(Debug)]
struct AccountState {
    budget: Arc<BudgetState>,
    /// Its number in the ledger. 0: it is not there yet.
    id: AtomicU64,
    /// The most bytes that the stream can hold at a time before its decision.
    expected: AtomicU64,
    settled: AtomicBool,
    /// Nanoseconds of the waits that have ended.
    waited: AtomicU64,
    /// The beginning of the wait under way: nanoseconds since the budget's epoch.
    waits_since: AtomicU64,
}

/// The answer of [`Reservation::grow_or_wait`].
#[derive(Debug)]
pub enum Growth {
    /// The bytes are reserved.
    Grown,
    /// The bytes do not fit now.
    Waits(Wait),
    /// The bytes can never fit, or the stream has used up its time to wait.
    Refused,
}

impl Budget {
    /// A budget of `limit` bytes whose streams never wait.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self::build(limit, Duration::ZERO, None)
    }

    /// A budget of `limit` bytes whose streams may each wait for `timeout` altogether. `wait_seconds` observes each wait.
    #[must_use]
    pub fn with_waits(limit: u64, timeout: Duration, wait_seconds: Histogram) -> Self {
        Self::build(limit, timeout, Some(wait_seconds))
    }

    /// The bytes that can be reserved at a time.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.0.ledger().limit()
    }

    /// Bytes reserved now.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.0.ledger().used()
    }

    /// The number of streams that wait now, because their next bytes do not fit.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.ledger().waiting()
    }

    /// An empty reservation, with an account of its own.
    #[must_use]
    pub fn reservation(&self) -> Reservation {
        let account = AccountState {
            budget: Arc::clone(&self.0),
            id: AtomicU64::new(0),
            expected: AtomicU64::new(0),
            settled: AtomicBool::new(false),
            waited: AtomicU64::new(0),
            waits_since: AtomicU64::new(NOT_WAITING),
        };
        Reservation { account: Arc::new(account), bytes: 0 }
    }

    fn build(limit: u64, timeout: Duration, wait_seconds: Option<Histogram>) -> Self {
        let ledger = Mutex::new(Ledger::new(limit));
        Self(Arc::new(BudgetState { ledger, timeout, epoch: Instant::now(), wait_seconds }))
    }
}

impl Reservation {
    /// Reserves more bytes. Returns false and reserves none if they do not fit now.
    #[must_use]
    pub fn try_grow(&mut self, bytes: u64) -> bool {
        bytes == 0 || self.grow(bytes, Ask::now(bytes)) == Answer::Granted
    }

    /// Reserves more bytes, or returns the wait for them.
    #[must_use]
    pub fn grow_or_wait(&mut self, bytes: u64) -> Growth {
        self.ask(bytes, Ask::now(bytes))
    }

    /// Reserves more bytes of a message that is being assembled, or returns the wait for them. `rest` are the bytes that the
    /// message still needs, these included. The stream then counts as one that grows, until
    /// [`message_ended`](Self::message_ended).
    #[must_use]
    pub fn grow_message(&mut self, bytes: u64, rest: u64) -> Growth {
        self.ask(bytes, Ask { bytes, rest: rest.max(bytes), message: true })
    }

    /// The message is complete.
    pub fn message_ended(&self) {
        self.account.with_id(|ledger, id| ledger.message_ended(id));
    }

    /// Announces the most bytes that the stream can hold at a time before its decision.
    pub fn expect(&self, bytes: u64) {
        self.account.expected.store(bytes, Ordering::Relaxed);
    }

    /// The stream is decided. It holds its bytes only until its peer takes them.
    pub fn settle(&self) {
        if !self.account.settled.swap(true, Ordering::Relaxed) {
            self.account.with_id(Ledger::settle);
        }
    }

    /// How long the stream has waited so far, the wait under way included.
    #[must_use]
    pub fn waited(&self) -> Duration {
        self.account.waited()
    }

    /// Whether the stream waits now.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.account.waits_since.load(Ordering::Relaxed) != NOT_WAITING
    }

    /// An empty reservation of the same stream.
    #[must_use]
    pub fn another(&self) -> Self {
        Self { account: Arc::clone(&self.account), bytes: 0 }
    }

    /// The reserved bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Moves at most this many bytes to a reservation of their own. `None` if this one is empty.
    #[must_use]
    pub fn split(&mut self, bytes: u64) -> Option<Self> {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        (bytes > 0).then(|| Self { account: Arc::clone(&self.account), bytes })
    }

    /// Adds the bytes of another reservation of the same stream.
    pub fn merge(&mut self, mut other: Self) {
        self.bytes += std::mem::take(&mut other.bytes);
    }

    /// Releases bytes, at most those that it reserves.
    pub fn release(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        if bytes > 0 {
            self.bytes -= bytes;
            self.account.with_id(|ledger, id| ledger.release(id, bytes));
        }
    }

    /// Releases all bytes.
    pub fn release_all(&mut self) {
        self.release(self.bytes);
    }

    fn grow(&mut self, bytes: u64, ask: Ask) -> Answer {
        let answer = self.account.ask(ask);
        if answer == Answer::Granted {
            self.bytes += bytes;
        }
        answer
    }

    fn ask(&mut self, bytes: u64, ask: Ask) -> Growth {
        match self.grow(bytes, ask) {
            Answer::Granted => Growth::Grown,
            Answer::NoRoom => Wait::begin(Arc::clone(&self.account), ask).map_or(Growth::Refused, Growth::Waits),
            Answer::TooLarge => Growth::Refused,
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.release_all();
    }
}

impl BudgetState {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the ledger, and wakes the streams whose bytes fit now.
    fn change<T>(&self, change: impl FnOnce(&mut Ledger) -> T) -> T {
        let mut wakers = Vec::new();
        let mut ledger = self.ledger();
        let changed = change(&mut ledger);
        while let Some(waker) = ledger.grant_next() {
            wakers.push(waker);
        }
        drop(ledger);
        // Without the lock, because other streams may wait for it.
        wakers.into_iter().for_each(std::task::Waker::wake);
        changed
    }
}

impl AccountState {
    fn ask(&self, ask: Ask) -> Answer {
        let mut ledger = self.budget.ledger();
        let id = self.enter(&mut ledger);
        ledger.ask(id, ask)
    }

    /// The number of the account in the ledger.
    fn enter(&self, ledger: &mut Ledger) -> AccountId {
        match self.id.load(Ordering::Relaxed) {
            0 => {
                let id = ledger.open(self.expected.load(Ordering::Relaxed), self.settled.load(Ordering::Relaxed));
                self.id.store(id, Ordering::Relaxed);
                id
            }
            id => id,
        }
    }

    /// Changes the account if it is in the ledger.
    fn with_id(&self, change: impl FnOnce(&mut Ledger, AccountId)) {
        let id = self.id.load(Ordering::Relaxed);
        if id != 0 {
            self.budget.change(|ledger| change(ledger, id));
        }
    }

    fn waited(&self) -> Duration {
        let ended = Duration::from_nanos(self.waited.load(Ordering::Relaxed));
        match self.waits_since.load(Ordering::Relaxed) {
            NOT_WAITING => ended,
            since => ended + self.budget.epoch.elapsed().saturating_sub(Duration::from_nanos(since)),
        }
    }
}

impl Drop for AccountState {
    fn drop(&mut self) {
        self.with_id(Ledger::close);
    }
}

#[cfg(test)]
mod tests;
