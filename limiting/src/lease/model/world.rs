//! The state of both ends, the network and the store, and what can happen in it.

use std::hash::{Hash, Hasher};

use crate::charge::{Charge, Enforcement};
use crate::key::{KeyHasher, LimitId, LimitKey};
use crate::lease::{Answer, LeaseCache, LeaseLedger, LeaseRules, Refund, Report, Turn};
use crate::time::{Micros, SECOND};
use crate::usage::{ChargePoint, History, Usage, Verdict};

/// 6 units, and one more with each tick of a second. Half a burst, 3 units, can be out.
const LIMIT: &str = "1/s;burst=6";
const KEY: LimitKey = LimitKey { high: 1, low: 2 };

/// How often each thing can happen. A message that is never delivered is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Budget {
    /// Reports of each cache.
    pub(super) syncs: [u8; 2],
    /// Requests to each cache.
    pub(super) spends: [u8; 2],
    /// Requests that the service decides itself.
    pub(super) direct: u8,
    pub(super) ticks: u8,
    /// The term of a lease, in ticks. It is not used up.
    pub(super) term: u8,
    /// Messages that come twice.
    pub(super) repeats: u8,
    pub(super) cache_crashes: u8,
    pub(super) service_crashes: u8,
    /// Reports whose answer is made in two steps, with others between them.
    pub(super) splits: u8,
    /// Of these, answers that are charged and never finished.
    pub(super) cancels: u8,
    /// Caches that report for the last time.
    pub(super) closes: u8,
    /// New configurations, of a cache or of the service.
    pub(super) configurations: u8,
}

impl Budget {
    pub(super) const NOTHING: Self = Self {
        syncs: [0; 2],
        spends: [0; 2],
        direct: 0,
        ticks: 0,
        term: 2,
        repeats: 0,
        cache_crashes: 0,
        service_crashes: 0,
        splits: 0,
        cancels: 0,
        closes: 0,
        configurations: 0,
    };
}

/// A mistake that the exploration must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Fault {
    /// The service refunds a lease when it expires, though it may have been spent.
    RefundAtExpiry,
    /// The service makes the refunds of a report each time that it comes.
    RefundTwice,
    /// A cache takes each answer for that to its latest report.
    TakeAnyAnswer,
    /// A cache counts the term from the answer and not from the report.
    TermFromArrival,
    /// The service does not charge what it grants.
    GrantUncharged,
    /// None: the bound leaves out the units outstanding.
    NoOutstanding,
}

/// Something that happens. The number is the cache, the message or the turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Tick,
    Spend(usize),
    Sync(usize),
    Close(usize),
    Direct,
    ToService(usize, Delivery),
    Begin(usize),
    Finish(usize),
    Cancel(usize),
    ToCache(usize, Delivery),
    CrashCache(usize),
    CrashService,
    ConfigureCache(usize),
    ConfigureService,
}

/// Whether a message comes again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    Once,
    Repeated,
}

/// Everything.
#[derive(Clone)]
pub(super) struct World {
    left: Budget,
    fault: Option<Fault>,
    is_store_shared: bool,
    /// Ticks.
    now: u64,
    caches: [LeaseCache; 2],
    ledger: LeaseLedger,
    store: Usage,
    reports: Vec<(usize, Report)>,
    turns: Vec<(usize, Turn)>,
    answers: Vec<(usize, u64, Answer)>,
    /// For `Fault::RefundTwice`.
    made: Vec<(u64, Refund)>,
    /// How many caches and services there were.
    lives: u64,
    configuration: u64,
    /// Units that were granted, and neither spent nor refunded. Units of lost leases are among them.
    free: i64,
    /// The most that any span of time up to now has had admitted beyond the rate and what was outstanding at its beginning.
    excess: i64,
    /// Units that caches spent, and that were refunded. Not a part of the state.
    pub(super) spent: u64,
    pub(super) refunded: u64,
    /// Units outstanding of an earlier service, until this tick.
    forgotten: (i64, u64),
}

impl World {
    /// Each cache has missed a unit.
    pub(super) fn new(left: Budget, is_store_shared: bool, fault: Option<Fault>) -> Self {
        let mut caches = [LeaseCache::new(1, 1), LeaseCache::new(2, 1)];
        for cache in &mut caches {
            cache.spend(&[charge()], Micros(0));
        }
        Self {
            left,
            fault,
            is_store_shared,
            now: 0,
            caches,
            ledger: LeaseLedger::new(rules(1, 1, is_store_shared, left.term)),
            store: Usage::unused(charge().limit),
            reports: Vec::new(),
            turns: Vec::new(),
            answers: Vec::new(),
            made: Vec::new(),
            lives: 2,
            configuration: 1,
            free: 0,
            excess: 0,
            spent: 0,
            refunded: 0,
            forgotten: (0, 0),
        }
    }

    /// All that can happen next.
    pub(super) fn actions(&self) -> Vec<Action> {
        let left = &self.left;
        let mut actions = Vec::new();
        let mut when = |is_possible: bool, action| actions.extend(is_possible.then_some(action));
        when(left.ticks > 0, Action::Tick);
        when(left.direct > 0, Action::Direct);
        when(left.service_crashes > 0, Action::CrashService);
        when(left.configurations > 0, Action::ConfigureService);
        for cache in 0..2 {
            when(left.spends[cache] > 0, Action::Spend(cache));
            when(left.syncs[cache] > 0, Action::Sync(cache));
        }
        // The two caches are alike.
        when(left.closes > 0, Action::Close(0));
        when(left.cache_crashes > 0, Action::CrashCache(0));
        when(left.configurations > 0, Action::ConfigureCache(0));
        for place in 0..self.turns.len() {
            when(true, Action::Finish(place));
            when(left.cancels > 0, Action::Cancel(place));
        }
        for place in 0..self.reports.len() {
            when(left.splits > 0, Action::Begin(place));
        }
        for (count, action) in [
            (self.reports.len(), Action::ToService as fn(usize, Delivery) -> Action),
            (self.answers.len(), Action::ToCache),
        ] {
            for place in 0..count {
                when(true, action(place, Delivery::Once));
                when(left.repeats > 0, action(place, Delivery::Repeated));
            }
        }
        actions
    }

    /// Does it, and checks the three rules.
    pub(super) fn act(&mut self, action: Action) -> Result<(), String> {
        let (now, left) = (Micros(self.now * SECOND), &mut self.left);
        match action {
            Action::Tick => {
                left.ticks -= 1;
                self.tick();
            }
            Action::Spend(cache) => {
                left.spends[cache] -= 1;
                if self.caches[cache].spend(&[charge()], now) {
                    self.free -= 1;
                    self.spent += 1;
                    self.excess += 1;
                }
            }
            Action::Direct => {
                left.direct -= 1;
                self.excess += i64::from(self.charge(charge()));
            }
            Action::Sync(cache) => {
                left.syncs[cache] -= 1;
                let report = self.caches[cache].report(now);
                self.reports.push((cache, report));
            }
            Action::Close(cache) => {
                left.closes -= 1;
                let report = self.caches[cache].close(now);
                self.reports.push((cache, report));
            }
            Action::ToService(place, delivery) => {
                let (cache, report) = take(&mut self.reports, place, delivery, left);
                self.begin(cache, &report);
                self.finish(self.turns.len() - 1, true);
            }
            Action::Begin(place) => {
                left.splits -= 1;
                let (cache, report) = self.reports.swap_remove(place);
                self.begin(cache, &report);
            }
            Action::Finish(place) => self.finish(place, true),
            Action::Cancel(place) => {
                left.cancels -= 1;
                self.finish(place, false);
            }
            Action::ToCache(place, delivery) => {
                let (cache, made, answer) = take(&mut self.answers, place, delivery, left);
                self.apply(cache, made, answer);
            }
            Action::CrashCache(cache) => {
                left.cache_crashes -= 1;
                self.lives += 1;
                self.caches[cache] = LeaseCache::new(self.lives, self.configuration);
                self.caches[cache].spend(&[charge()], now);
            }
            Action::CrashService => {
                left.service_crashes -= 1;
                self.crash_service();
            }
            Action::ConfigureCache(cache) => {
                left.configurations -= 1;
                self.caches[cache].set_configuration(2);
            }
            Action::ConfigureService => {
                left.configurations -= 1;
                self.configuration = 2;
                self.ledger.set_configuration(2);
            }
        }
        // A cache never takes the answer to an earlier report.
        if self.fault != Some(Fault::TakeAnyAnswer) {
            let caches = &self.caches;
            self.answers.retain(|(cache, _, answer)| caches[*cache].is_waiting_for(answer));
        }
        self.check()
    }

    fn check(&mut self) -> Result<(), String> {
        let outstanding = self.outstanding();
        let now = Micros(self.now * SECOND);
        let held = |is_live: bool| -> i64 {
            let counted = self.caches.iter().filter(|cache| !is_live || cache.is_live(now));
            counted.map(|cache| cache.stats().units as i64).sum()
        };
        if held(false) > self.free {
            return Err(format!("conservation: {} units held, {} were charged", held(false), self.free));
        }
        if held(true) > outstanding {
            return Err(format!("meter: {} units can be spent, {outstanding} are outstanding", held(true)));
        }
        if self.excess > 6 {
            return Err(format!("bound: {} units beyond the rate, and the burst is 6", self.excess));
        }
        // A span of time that begins now.
        let outstanding = if self.fault == Some(Fault::NoOutstanding) { 0 } else { outstanding };
        self.excess = self.excess.max(-outstanding);
        Ok(())
    }

    /// The meters of all services that lived in the last term, together.
    fn outstanding(&mut self) -> i64 {
        let stats = self.ledger.stats(Micros(self.now * SECOND));
        let earlier = if self.now < self.forgotten.1 { self.forgotten.0 } else { 0 };
        stats.outstanding.values().sum::<u64>() as i64 + earlier
    }

    fn tick(&mut self) {
        let now = Micros(self.now * SECOND);
        let lost = self.ledger.stats(now).lost;
        self.now += 1;
        self.excess -= 1;
        let now = Micros(self.now * SECOND);
        let lost = self.ledger.stats(now).lost - lost;
        for cache in &mut self.caches {
            // It changes nothing, and makes more states the same.
            cache.clock.observe(now);
        }
        if self.fault == Some(Fault::RefundAtExpiry) && lost > 0 {
            self.store = self.store.refund(lost, ChargePoint::at(now), now).1;
            self.free -= lost as i64;
        }
    }

    fn charge(&mut self, charge: Charge) -> bool {
        let (verdict, after) = self.store.charge(charge.limit, charge.cost, Micros(self.now * SECOND));
        // Refunds of leases do not use the count, and more states are the same without it.
        let ((micros, fraction), history) = (after.arrival(), History { charged: 0, ..after.history() });
        self.store = Usage::arriving(after.limit(), micros, fraction, history).expect("a usage");
        verdict == Verdict::Admitted
    }

    fn refund(&mut self, refunds: &[Refund]) {
        for refund in refunds {
            let now = Micros(self.now * SECOND);
            self.store = self.store.refund(refund.units.into(), ChargePoint::at(refund.charged), now).1;
            self.free -= i64::from(refund.units);
            self.refunded += u64::from(refund.units);
        }
    }

    fn begin(&mut self, cache: usize, report: &Report) {
        let mut turn = self.ledger.begin(report, |_, _| true, Micros(self.now * SECOND));
        let refunds = turn.refunds();
        self.refund(&refunds);
        if self.fault == Some(Fault::RefundTwice) {
            let id = report.session.vm * 100 + report.number;
            let again: Vec<_> = self.made.iter().filter(|(of, _)| *of == id).map(|(_, refund)| *refund).collect();
            self.refund(&again);
            self.made.extend(refunds.into_iter().map(|refund| (id, refund)));
        }
        self.turns.push((cache, turn));
    }

    fn finish(&mut self, place: usize, is_finished: bool) {
        let (cache, mut turn) = self.turns.remove(place);
        let now = Micros(self.now * SECOND);
        let left = vec![self.store.remaining(charge().limit, now); turn.probes().len()];
        let mut charged = Vec::new();
        for charge in self.ledger.share(&mut turn, &left) {
            let is_charged = self.fault == Some(Fault::GrantUncharged) || self.charge(charge);
            if is_charged && self.fault != Some(Fault::GrantUncharged) {
                self.free += charge.cost as i64;
            }
            charged.push(is_charged.then_some(now));
        }
        if !is_finished {
            return;
        }
        let finished = self.ledger.finish(&turn, &charged);
        self.refund(&finished.refunds);
        if let Some(answer) = finished.answer {
            self.answers.push((cache, self.now, answer));
        }
    }

    fn apply(&mut self, cache: usize, made: u64, mut answer: Answer) {
        let now = Micros(self.now * SECOND);
        if self.fault == Some(Fault::TermFromArrival) {
            answer.term += (self.now - made) * SECOND;
        }
        if self.fault == Some(Fault::TakeAnyAnswer) {
            // A cache that is crashed or closed has another session.
            let report = self.caches[cache].clone().report(now);
            if report.session == answer.session {
                answer.number = report.number - 1;
            }
        }
        self.caches[cache].apply(&answer, now);
    }

    /// The new service knows nothing. Its predecessor's leases are over after a term.
    fn crash_service(&mut self) {
        self.forgotten = (self.outstanding(), self.now + u64::from(self.left.term));
        self.turns.clear();
        self.lives += 1;
        self.ledger = LeaseLedger::new(rules(self.lives, self.configuration, self.is_store_shared, self.left.term));
        if !self.is_store_shared {
            // Nobody can know what was used before. The bound begins anew.
            self.store = Usage::unused(charge().limit);
            self.excess = -self.forgotten.0;
        }
    }
}

/// Messages have no order.
impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.left, self.now, &self.caches, &self.ledger, self.store).hash(state);
        (self.lives, self.configuration, self.free, self.excess, self.forgotten).hash(state);
        let answers = self.answers.iter().map(|(cache, made, answer)| {
            let is_made = if self.fault == Some(Fault::TermFromArrival) { *made } else { 0 };
            let identity = (*cache, answer.session, answer.number, answer.epoch, answer.configuration, is_made);
            digest(&(identity, answer.standing, &answer.grants))
        });
        for mut messages in [
            self.reports.iter().map(digest).collect::<Vec<_>>(),
            self.turns.iter().map(digest).collect(),
            answers.collect(),
        ] {
            messages.sort_unstable();
            messages.hash(state);
        }
    }
}

fn digest(message: &impl Hash) -> u64 {
    let mut hasher = siphasher::sip::SipHasher13::new();
    message.hash(&mut hasher);
    hasher.finish()
}

fn take<T: Clone>(messages: &mut Vec<T>, place: usize, delivery: Delivery, left: &mut Budget) -> T {
    match delivery {
        Delivery::Once => messages.swap_remove(place),
        Delivery::Repeated => {
            left.repeats -= 1;
            messages[place].clone()
        }
    }
}

fn charge() -> Charge {
    let limit = LIMIT.parse().unwrap();
    Charge { id: LimitId(0), key: KEY, limit, cost: 1, enforcement: Enforcement::Enforce }
}

fn rules(epoch: u64, configuration: u64, is_store_shared: bool, term: u8) -> LeaseRules {
    LeaseRules {
        epoch,
        configuration,
        hasher: KeyHasher::new([0; 16]),
        term: u64::from(term) * SECOND,
        interval: SECOND,
        share_bits: 0,
        max_sessions: 3,
        max_keys: 10,
        is_store_shared,
    }
}
