//! The rule by which streams share the budget, without threads and without time.
//!
//! A stream that holds bytes and needs more could wait for another that does the same. The rule excludes that:
//!
//! - A stream *grows* from its first bytes until its decision, and while a large message of it is assembled. Streams that
//!   grow have an order, by when they began to, and a *demand*: the most bytes that each can come to hold.
//! - The oldest of them, the *head*, may use all of the budget.
//! - Every other stream must leave as many bytes free as the largest demand.
//!
//! Why the head always gets what it needs: when a stream becomes the head, all older ones no longer grow, and their bytes
//! return without another byte of the budget. All others left its demand free when they last grew. A stream can break this
//! only if it exceeds its demand; then the timeout of the waits ends it.
//!
//! Small streams stay out of this. Each takes its whole demand at once from a share that the others leave free
//! ([`SmallShare`]), so that it does not wait behind uploads. If the share is taken, it waits like the others.

mod small_share;

use std::collections::BTreeMap;
use std::task::Waker;

use self::small_share::SmallShare;

/// The number of an account. Never 0.
pub(super) type AccountId = u64;

/// The place of a waiting stream: decided ones first, then the order in which they began to grow.
type Place = (bool, u64);

/// The accounts, and the bytes that they hold.
#[derive(Debug)]
pub(super) struct Ledger {
    limit: u64,
    used: u64,
    small: SmallShare,
    /// The last number that was given to an account or to a place in the order.
    last: u64,
    accounts: BTreeMap<AccountId, Account>,
    /// The accounts that grow, in their order.
    growing: BTreeMap<u64, AccountId>,
    /// The demands of the accounts that grow, and how many have each.
    demands: BTreeMap<u64, usize>,
    /// The accounts that wait.
    waiting: BTreeMap<Place, AccountId>,
}

/// Bytes that a stream asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    /// The bytes.
    pub bytes: u64,
    /// The bytes that it needs before it returns any, these included.
    pub rest: u64,
    /// Whether they are for a message that is being assembled.
    pub message: bool,
}

/// The answer to an [`Ask`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The bytes are reserved.
    Granted,
    /// They do not fit now.
    NoRoom,
    /// They can never fit beside those that the stream has.
    TooLarge,
}

/// The account of one stream.
#[derive(Debug, Default)]
struct Account {
    held: u64,
    /// The bytes that it has taken from the share of small streams, held or not. 0: it is not one of them.
    taken: u64,
    /// The most bytes that it can hold before its decision. 0: it holds nothing of its own accord.
    expected: u64,
    /// Whether it is decided.
    settled: bool,
    /// Whether a message is being assembled.
    message: bool,
    /// Its place in the order and its demand, while it grows.
    growth: Option<GrowthDemand>,
    wait: Option<WaitState>,
}

#[derive(Clone, Copy, Debug)]
struct GrowthDemand {
    order: u64,
    demand: u64,
}

#[derive(Debug)]
enum WaitState {
    /// The bytes, and whom to wake.
    Waiting(u64, Option<Waker>),
    /// The bytes, which are reserved.
    Granted(u64),
}

impl Ask {
    /// Bytes that are needed on their own.
    pub(super) fn now(bytes: u64) -> Self {
        Self { bytes, rest: bytes, message: false }
    }
}

impl Ledger {
    /// A ledger without accounts.
    pub(super) fn new(limit: u64) -> Self {
        Self {
            limit,
            used: 0,
            small: SmallShare::of(limit),
            last: 0,
            accounts: BTreeMap::new(),
            growing: BTreeMap::new(),
            demands: BTreeMap::new(),
            waiting: BTreeMap::new(),
        }
    }

    /// The bytes that can be reserved at a time.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// The bytes that all accounts hold.
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// The number of accounts that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Opens an account.
    pub(super) fn open(&mut self, expected: u64, settled: bool) -> AccountId {
        let id = self.next();
        self.accounts.insert(id, Account { expected, settled, ..Account::default() });
        id
    }

    /// Closes an account and releases its bytes.
    pub(super) fn close(&mut self, id: AccountId) {
        self.cancel_wait(id);
        self.leave_share(id);
        self.change(id, |account| (account.settled, account.message) = (true, false));
        if let Some(account) = self.accounts.remove(&id) {
            self.used = self.used.saturating_sub(account.held);
        }
    }

    /// Reserves bytes if they fit now and no other stream waits for them.
    pub(super) fn ask(&mut self, id: AccountId, ask: Ask) -> Answer {
        if self.is_small(id, ask) {
            self.hold(id, ask.bytes);
            return Answer::Granted;
        }
        let room = self.room();
        let Some(account) = self.accounts.get_mut(&id) else { return Answer::TooLarge };
        let Some(total) = account.held.checked_add(ask.rest).filter(|total| *total <= room) else {
            return Answer::TooLarge;
        };
        account.message |= ask.message;
        self.demand(id, total);
        if !self.fits(id, ask.bytes) {
            return Answer::NoRoom;
        }
        self.hold(id, ask.bytes);
        Answer::Granted
    }

    /// Puts an account on the list of those that wait. Returns false if it waits already.
    pub(super) fn wait(&mut self, id: AccountId, ask: Ask) -> bool {
        let Some(account) = self.accounts.get_mut(&id).filter(|account| account.wait.is_none()) else { return false };
        account.wait = Some(WaitState::Waiting(ask.bytes, None));
        let total = account.held.saturating_add(ask.rest);
        self.demand(id, total);
        if let Some(place) = self.place(id) {
            self.waiting.insert(place, id);
        }
        true
    }

    /// Whether the bytes of a waiting account are reserved now. If not, `waker` is woken once they are.
    pub(super) fn poll_wait(&mut self, id: AccountId, waker: &Waker) -> bool {
        let Some(account) = self.accounts.get_mut(&id) else { return false };
        match &mut account.wait {
            Some(WaitState::Waiting(_, current)) => {
                if !current.as_ref().is_some_and(|current| current.will_wake(waker)) {
                    *current = Some(waker.clone());
                }
                false
            }
            Some(WaitState::Granted(_)) => {
                account.wait = None;
                self.change(id, |_| {});
                true
            }
            None => false,
        }
    }

    /// Ends the wait of an account, and releases bytes that it was granted and has not taken.
    pub(super) fn cancel_wait(&mut self, id: AccountId) {
        if let Some(place) = self.place(id) {
            self.waiting.remove(&place);
        }
        let wait = self.accounts.get_mut(&id).and_then(|account| account.wait.take());
        if let Some(WaitState::Granted(bytes)) = wait {
            self.release(id, bytes);
        }
        self.change(id, |_| {});
    }

    /// Releases bytes.
    pub(super) fn release(&mut self, id: AccountId, bytes: u64) {
        if let Some(account) = self.accounts.get_mut(&id) {
            account.held = account.held.saturating_sub(bytes);
            self.used = self.used.saturating_sub(bytes);
            if account.taken > 0 {
                self.small.released(bytes);
            }
            self.trim_share(id);
        }
    }

    /// The account is decided.
    pub(super) fn settle(&mut self, id: AccountId) {
        let place = self.place(id);
        self.change(id, |account| account.settled = true);
        self.trim_share(id);
        if let Some(waiting) = place.and_then(|place| self.waiting.remove(&place))
            && let Some(place) = self.place(id)
        {
            self.waiting.insert(place, waiting);
        }
    }

    /// The message of the account is complete.
    pub(super) fn message_ended(&mut self, id: AccountId) {
        self.change(id, |account| account.message = false);
    }

    /// Reserves the bytes of the next waiting account whose bytes fit. Returns its waker. To be called after every change
    /// until it returns `None`.
    pub(super) fn grant_next(&mut self) -> Option<Waker> {
        loop {
            let head = self.head().filter(|id| self.fits_waiting(*id).is_some());
            let id = head.or_else(|| self.first_waiting())?;
            let bytes = self.fits_waiting(id)?;
            if let Some(place) = self.place(id) {
                self.waiting.remove(&place);
            }
            self.hold(id, bytes);
            let wait = self.accounts.get_mut(&id)?.wait.replace(WaitState::Granted(bytes));
            if let Some(WaitState::Waiting(_, Some(waker))) = wait {
                return Some(waker);
            }
        }
    }

    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn head(&self) -> Option<AccountId> {
        self.growing.first_key_value().map(|(_, id)| *id)
    }

    /// The first waiting account other than the head.
    fn first_waiting(&self) -> Option<AccountId> {
        let head = self.head();
        self.waiting.values().copied().find(|id| Some(*id) != head)
    }

    /// The bytes for which an account waits, if they fit.
    fn fits_waiting(&self, id: AccountId) -> Option<u64> {
        match self.accounts.get(&id)?.wait {
            Some(WaitState::Waiting(bytes, _)) => self.has_room(id, bytes).then_some(bytes),
            _ => None,
        }
    }

    /// Whether bytes fit for this account, and no other waits before it.
    fn fits(&self, id: AccountId, bytes: u64) -> bool {
        let own = (!self.accounts.get(&id).is_some_and(|account| account.settled), u64::MAX);
        let own = self.place(id).unwrap_or(own);
        let overtakes = self.head() != Some(id)
            && self.first_waiting().and_then(|first| self.place(first)).is_some_and(|first| first < own);
        !overtakes && self.has_room(id, bytes)
    }

    fn has_room(&self, id: AccountId, bytes: u64) -> bool {
        let reserve = match self.demands.last_key_value() {
            Some((largest, _)) if self.head() != Some(id) => *largest,
            _ => 0,
        };
        let used = self.used - self.small.held();
        let total = used.checked_add(bytes).and_then(|total| total.checked_add(reserve));
        total.is_some_and(|total| total <= self.room())
    }

    /// The bytes that the streams which are not small can hold together.
    fn room(&self) -> u64 {
        self.limit - self.small.limit()
    }

    /// Whether the account has these bytes in the share of small streams. An account without bytes takes its demand from it
    /// if that is small; one that needs more than it has taken leaves it.
    fn is_small(&mut self, id: AccountId, ask: Ask) -> bool {
        let large = self.used - self.small.held();
        let Some(account) = self.accounts.get_mut(&id) else { return false };
        let total = account.held.saturating_add(ask.rest);
        if account.taken == 0 && account.held == 0 && account.wait.is_none() && !account.settled {
            let demand = total.max(account.expected);
            if self.small.take(demand, self.limit.saturating_sub(large)) {
                account.taken = demand;
                // It grew until now if it had asked before and found no room.
                self.forget_growth(id);
                return true;
            }
            return false;
        }
        if account.taken > 0 && total > account.taken {
            self.leave_share(id);
            return false;
        }
        account.taken > 0
    }

    /// The bytes of the account count as those of any other.
    fn leave_share(&mut self, id: AccountId) {
        if let Some(account) = self.accounts.get_mut(&id).filter(|account| account.taken > 0) {
            self.small.released(account.held);
            self.small.give_back(std::mem::take(&mut account.taken));
        }
    }

    /// A decided account needs no more than it holds.
    fn trim_share(&mut self, id: AccountId) {
        if let Some(account) =
            self.accounts.get_mut(&id).filter(|account| account.settled && account.taken > account.held)
        {
            self.small.give_back(account.taken - account.held);
            account.taken = account.held;
        }
    }

    fn hold(&mut self, id: AccountId, bytes: u64) {
        if let Some(account) = self.accounts.get_mut(&id) {
            account.held += bytes;
            self.used += bytes;
            if account.taken > 0 {
                self.small.held_more(bytes);
            }
        }
    }

    fn place(&self, id: AccountId) -> Option<Place> {
        let account = self.accounts.get(&id)?;
        Some((!account.settled, account.growth?.order))
    }

    /// Raises the demand of an account that grows to at least `total`.
    fn demand(&mut self, id: AccountId, total: u64) {
        let (order, room) = (self.last + 1, self.room());
        let Some(account) = self.accounts.get_mut(&id) else { return };
        if !account.grows() {
            return;
        }
        let before = account.growth;
        let expected = if account.settled { 0 } else { account.expected };
        let demand = before.map_or(expected, |growth| growth.demand).max(total).min(room);
        if before.is_some_and(|growth| growth.demand == demand) {
            return;
        }
        let order = before.map_or(order, |growth| growth.order);
        account.growth = Some(GrowthDemand { order, demand });
        match before {
            Some(growth) => self.withdraw(growth.demand),
            None => {
                self.last = order;
                self.growing.insert(order, id);
            }
        }
        *self.demands.entry(demand).or_default() += 1;
    }

    /// Changes an account, which may end its growth.
    fn change(&mut self, id: AccountId, change: impl FnOnce(&mut Account)) {
        let Some(account) = self.accounts.get_mut(&id) else { return };
        change(account);
        if !account.grows() {
            self.forget_growth(id);
        }
    }

    fn forget_growth(&mut self, id: AccountId) {
        if let Some(GrowthDemand { order, demand }) =
            self.accounts.get_mut(&id).and_then(|account| account.growth.take())
        {
            self.growing.remove(&order);
            self.withdraw(demand);
        }
    }

    fn withdraw(&mut self, demand: u64) {
        if let Some(count) = self.demands.get_mut(&demand) {
            *count -= 1;
            if *count == 0 {
                self.demands.remove(&demand);
            }
        }
    }

    /// Whether all counts agree. For tests.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let held: u64 = self.accounts.values().map(|account| account.held).sum();
        assert_eq!(held, self.used);
        let small = || self.accounts.values().filter(|account| account.taken > 0);
        let sums = (small().map(|account| account.taken).sum(), small().map(|account| account.held).sum());
        assert_eq!(sums, (self.small.taken(), self.small.held()));
        assert!(small().all(|account| account.held <= account.taken && account.growth.is_none()));
        assert!(self.used <= self.limit, "{} of {}", self.used, self.limit);
        let orders: std::collections::BTreeSet<_> =
            self.accounts.values().filter_map(|account| Some(account.growth?.order)).collect();
        assert_eq!(orders, self.growing.keys().copied().collect());
        assert_eq!(self.demands.values().sum::<usize>(), self.growing.len());
        let waits = |account: &&Account| matches!(account.wait, Some(WaitState::Waiting(..)));
        assert_eq!(self.accounts.values().filter(waits).count(), self.waiting.len());
        for (place, id) in &self.waiting {
            assert_eq!(self.place(*id), Some(*place));
        }
    }
}

impl Account {
    /// Whether it may need more bytes before it returns those that it has.
    fn grows(&self) -> bool {
        self.message || self.wait.is_some() || (!self.settled && self.expected > 0)
    }
}

#[cfg(test)]
mod tests;
