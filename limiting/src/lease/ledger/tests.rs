use super::*;
use crate::SECOND;
use crate::charge::{Charge, Enforcement};
use crate::lease::{KeyReport, LeaseCache, MAX_LEASED_KEYS, MAX_SYNC_KEYS, Report, SessionId};
use crate::limit::Limit;
use crate::usage::{ChargePoint, Usage, Verdict};

const TERM: u64 = 10 * SECOND;

fn limit() -> Limit {
    "100/s;burst=40".parse().unwrap()
}

fn key(key: u64) -> LimitKey {
    LimitKey { high: key, low: key }
}

fn at(seconds: u64) -> Micros {
    Micros(1_000_000 * SECOND + seconds * SECOND)
}

fn rules() -> LeaseRules {
    LeaseRules {
        epoch: 9,
        configuration: 1,
        hasher: KeyHasher::new([1; 16]),
        term: TERM,
        interval: SECOND,
        share_bits: 2,
        max_sessions: 3,
        max_keys: 10_000,
        is_store_shared: false,
    }
}

/// The first report of a session that wants a unit of each key.
fn first(vm: u64, keys: &[u64]) -> Report {
    let keys = keys.iter().map(|key| told(*key, 0, 0, 1)).collect();
    let session = SessionId { vm, generation: 0 };
    Report { session, number: 1, acknowledged: 0, epoch: 0, configuration: 1, is_last: false, keys }
}

/// The report after `number` others of which all were answered.
fn later(vm: u64, number: u64, keys: Vec<KeyReport>) -> Report {
    Report { number: number + 1, acknowledged: number, epoch: 9, keys, ..first(vm, &[]) }
}

fn told(number: u64, spent: u32, returned: u32, wanted: u32) -> KeyReport {
    KeyReport { key: key(number), id: LimitId(3), limit: limit(), spent, returned, wanted }
}

/// A ledger with a store in which every key has one usage of its own.
struct Service {
    ledger: LeaseLedger,
    store: BTreeMap<LimitKey, Usage>,
    refunds: Vec<Refund>,
    /// Units that were charged and not refunded.
    charged: u64,
}

impl Service {
    fn new(rules: LeaseRules) -> Self {
        Self { ledger: LeaseLedger::new(rules), store: BTreeMap::new(), refunds: Vec::new(), charged: 0 }
    }

    fn usage(&mut self, key: LimitKey) -> &mut Usage {
        self.store.entry(key).or_insert(Usage::unused(limit()))
    }

    fn charge(&mut self, charge: &Charge, now: Micros) -> bool {
        let usage = self.usage(charge.key);
        let (verdict, after) = usage.charge(charge.limit, charge.cost, now);
        *usage = after;
        self.charged += if verdict == Verdict::Admitted { charge.cost } else { 0 };
        verdict == Verdict::Admitted
    }

    fn refund(&mut self, refunds: Vec<Refund>, now: Micros) {
        for refund in &refunds {
            let usage = self.usage(refund.key);
            *usage = usage.refund(refund.units.into(), ChargePoint::at(refund.charged), now).1;
            self.charged -= u64::from(refund.units);
        }
        self.refunds.extend(refunds);
    }

    fn begin(&mut self, report: &Report, now: Micros) -> Turn {
        let mut turn = self.ledger.begin(report, |id, _| id == LimitId(3), now);
        self.refund(turn.refunds(), now);
        turn
    }

    fn finish(&mut self, mut turn: Turn, now: Micros) -> Option<Answer> {
        let remaining: Vec<_> =
            turn.probes().iter().map(|probe| self.usage(probe.key).remaining(probe.limit, now)).collect();
        let charges = self.ledger.share(&mut turn, &remaining);
        let charged: Vec<_> = charges.iter().map(|charge| self.charge(charge, now).then_some(now)).collect();
        let finished = self.ledger.finish(&turn, &charged);
        self.refund(finished.refunds, now);
        finished.answer
    }

    fn sync(&mut self, report: &Report, now: Micros) -> Answer {
        let turn = self.begin(report, now);
        self.finish(turn, now).unwrap()
    }

    fn outstanding(&mut self, now: Micros) -> u64 {
        self.ledger.stats(now).outstanding.get(&LimitId(3)).copied().unwrap_or(0)
    }
}

fn units(answer: &Answer) -> Vec<u32> {
    answer.grants.iter().map(|grant| grant.units).collect()
}

#[test]
fn a_cache_gets_twice_what_it_needed_and_the_store_is_charged() {
    let mut service = Service::new(rules());
    let answer = service.sync(&first(7, &[1, 2]), at(0));
    assert_eq!((answer.standing, units(&answer)), (Standing::Open, vec![2, 2]));
    assert_eq!((answer.session, answer.number, answer.epoch), (SessionId { vm: 7, generation: 0 }, 1, 9));
    assert_eq!((answer.term, answer.interval), (TERM, SECOND));
    assert_eq!(service.usage(key(1)).remaining(limit(), at(0)), 38);
    assert_eq!(service.outstanding(at(0)), 4);
    // 2 spent and 3 lacked: 10 in all, and it has none.
    let answer = service.sync(&later(7, 1, vec![told(1, 2, 0, 3)]), at(1));
    assert_eq!((units(&answer), service.outstanding(at(1))), (vec![10], 12));
}

#[test]
fn a_grant_is_a_quarter_of_what_is_left_and_half_a_burst_is_out_at_most() {
    let mut service = Service::new(rules());
    let mut granted = Vec::new();
    for vm in 0..3 {
        let report = Report { keys: vec![told(1, 0, 0, 1_000_000)], ..first(vm, &[]) };
        granted.extend(units(&service.sync(&report, at(0))));
    }
    // Of 40, 30 and 23 left. The third grant is what half a burst leaves.
    assert_eq!(granted, [10, 7, 3]);
    // Refilled, and still half a burst is out.
    let report = later(0, 1, vec![told(1, 0, 0, 1_000_000)]);
    assert_eq!(units(&service.sync(&report, at(1))), [0; 0]);
}

#[test]
fn near_exhaustion_nothing_is_granted() {
    let mut service = Service::new(rules());
    assert!(service.charge(&Charge { cost: 37, ..first_charge() }, at(0)));
    assert_eq!(units(&service.sync(&first(7, &[1]), at(0))), [0; 0]);
    // A burst of 1 is never leased: half of it is nothing.
    let single: Limit = "1/s".parse().unwrap();
    let report = Report { keys: vec![KeyReport { limit: single, ..told(2, 0, 0, 9) }], ..first(8, &[]) };
    assert_eq!(units(&service.sync(&report, at(0))), [0; 0]);
}

fn first_charge() -> Charge {
    let enforcement = crate::Enforcement::Enforce;
    Charge { id: LimitId(3), key: key(1), limit: limit(), cost: 1, enforcement }
}

/// The answer to report 1 is lost: its grant is in the answer to report 2, and not charged again.
#[test]
fn a_grant_is_in_each_answer_until_it_is_acknowledged() {
    let mut service = Service::new(rules());
    assert_eq!(units(&service.sync(&first(7, &[1]), at(0))), [2]);
    let again = Report { number: 2, keys: Vec::new(), ..first(7, &[]) };
    assert_eq!(units(&service.sync(&again, at(1))), [2]);
    assert_eq!((service.outstanding(at(1)), service.usage(key(1)).remaining(limit(), at(1))), (2, 40));
    assert_eq!(units(&service.sync(&later(7, 2, Vec::new()), at(2))), [0; 0]);
}

#[test]
fn a_spend_that_is_reported_again_counts_once() {
    let mut service = Service::new(rules());
    service.sync(&Report { keys: vec![told(1, 0, 0, 5)], ..first(7, &[]) }, at(0));
    // 10 units. The answer to this report is lost.
    service.sync(&later(7, 1, vec![told(1, 2, 2, 0)]), at(0));
    assert_eq!((service.outstanding(at(0)), service.refunds.len()), (6, 1));
    let report = Report { acknowledged: 1, ..later(7, 2, vec![told(1, 3, 2, 0)]) };
    service.sync(&report, at(0));
    assert_eq!((service.outstanding(at(0)), service.refunds.len()), (5, 1));
    // Acknowledged: the cache counts from 0.
    service.sync(&later(7, 3, vec![told(1, 1, 2, 0)]), at(0));
    assert_eq!((service.outstanding(at(0)), service.refunds.len()), (2, 2));
    // 4 spent, 4 returned of 10 charged.
    assert_eq!(service.usage(key(1)).remaining(limit(), at(0)), 40 - 10 + 4);
}

/// A key in a lost report is not in the next one, which is answered. Its spend still counts from before the lost one.
#[test]
fn a_key_counts_from_the_latest_answered_report_that_had_it() {
    let mut service = Service::new(rules());
    service.sync(&Report { keys: vec![told(1, 0, 0, 5)], ..first(7, &[]) }, at(0));
    service.sync(&later(7, 1, vec![told(1, 3, 0, 0)]), at(0));
    service.sync(&Report { acknowledged: 1, ..later(7, 2, Vec::new()) }, at(0));
    service.sync(&later(7, 3, vec![told(1, 5, 0, 0)]), at(0));
    assert_eq!(service.outstanding(at(0)), 5);
}

#[test]
fn a_report_that_comes_late_or_twice_changes_nothing_and_gets_no_grant() {
    let mut service = Service::new(rules());
    let report = Report { keys: vec![told(1, 0, 0, 5)], ..first(7, &[]) };
    assert_eq!(units(&service.sync(&report, at(0))), [10]);
    let second = later(7, 1, vec![told(1, 0, 3, 0)]);
    let turn = service.begin(&second, at(1));
    let known = |service: &mut Service| (service.outstanding(at(1)), service.refunds.len());
    for late in [&second, &report] {
        let answer = service.sync(late, at(1));
        assert_eq!((answer.standing, units(&answer)), (Standing::Unknown, vec![]));
        assert_eq!(known(&mut service), (7, 1));
    }
    assert_eq!(service.finish(turn, at(1)).unwrap().standing, Standing::Open);
    assert_eq!(service.sync(&second, at(1)).standing, Standing::Unknown);
    assert_eq!(known(&mut service), (7, 1));
}

/// Two caches have one number by mistake, and send the same at once.
#[test]
fn two_caches_with_one_session_spend_no_unit_twice() {
    let mut service = Service::new(rules());
    let mut caches = [LeaseCache::new(7, 1), LeaseCache::new(7, 1)];
    let request = Charge { id: LimitId(3), key: key(1), limit: limit(), cost: 1, enforcement: Enforcement::Enforce };
    let mut spent = 0;
    for second in 0..200 {
        for cache in &mut caches {
            while cache.spend(&[request], at(second)) {
                spent += 1;
            }
        }
        let reports = caches.each_mut().map(|cache| cache.report(at(second)));
        for (cache, report) in caches.iter_mut().zip(reports) {
            let answer = service.sync(&report, at(second));
            cache.apply(&answer, at(second));
        }
    }
    assert!(spent <= service.charged, "{spent} of {}", service.charged);
    assert!(spent > 0);
}

#[test]
fn a_refund_has_the_time_of_the_newest_charge() {
    let mut service = Service::new(rules());
    service.sync(&first(7, &[1]), at(0));
    service.sync(&later(7, 1, vec![told(1, 0, 0, 4)]), at(1));
    service.sync(&later(7, 2, vec![told(1, 1, 7, 0)]), at(2));
    let refunds: Vec<_> = service.refunds.iter().map(|refund| (refund.units, refund.charged)).collect();
    assert_eq!(refunds, [(6, at(1)), (1, at(0))]);
    assert_eq!(service.refunds[0].charge(), Charge { cost: 6, ..first_charge() });
}

#[test]
fn an_expired_session_is_lost_allowance() {
    let mut service = Service::new(rules());
    service.sync(&first(7, &[1]), at(0));
    service.sync(&later(7, 1, Vec::new()), at(5));
    assert_eq!(service.ledger.stats(Micros(at(15).0 - 1)).sessions, 1);
    let stats = service.ledger.stats(at(15));
    assert_eq!((stats.sessions, stats.keys, stats.lost, stats.outstanding.len()), (0, 0, 2, 0));
    let answer = service.sync(&later(7, 2, vec![told(1, 0, 2, 0)]), at(15));
    assert_eq!((answer.standing, service.refunds.len()), (Standing::Unknown, 0));
    assert!(service.ledger.totals.is_empty());
}

#[test]
fn a_clock_that_goes_back_ends_no_session_early() {
    let mut service = Service::new(rules());
    service.sync(&first(7, &[1]), at(100));
    service.sync(&later(7, 1, Vec::new()), at(0));
    assert_eq!(service.ledger.stats(at(109)).sessions, 1);
    assert_eq!(service.ledger.stats(at(110)).sessions, 0);
}

/// Each report contradicts what the ledger knows.
#[test]
fn a_report_that_lies_ends_the_session_and_refunds_nothing() {
    let good = later(7, 2, vec![told(1, 1, 1, 0)]);
    for lie in [
        // More than it has, alone or together, and as a sum that overflows.
        Report { keys: vec![told(1, 11, 0, 0)], ..good.clone() },
        Report { keys: vec![told(1, 5, 6, 0)], ..good.clone() },
        Report { keys: vec![told(1, u32::MAX, u32::MAX, 0)], ..good.clone() },
        // A key that it does not have.
        Report { keys: vec![told(1, 1, 0, 0), told(2, 0, 1, 0)], ..good.clone() },
        // An answer that was never made, or was acknowledged before.
        Report { acknowledged: 3, ..good.clone() },
        Report { acknowledged: 0, ..good.clone() },
    ] {
        let mut service = Service::new(rules());
        service.sync(&Report { keys: vec![told(1, 0, 0, 5)], ..first(7, &[]) }, at(0));
        service.sync(&later(7, 1, Vec::new()), at(0));
        let answer = service.sync(&lie, at(0));
        assert_eq!((answer.standing, units(&answer)), (Standing::Unknown, vec![]), "{lie:?}");
        let stats = service.ledger.stats(at(0));
        assert_eq!((stats.sessions, stats.lost, service.refunds.len()), (0, 10, 0), "{lie:?}");
    }
}

/// Units that the cache cannot know of, because the answer was not acknowledged.
#[test]
fn units_that_were_not_seen_cannot_be_spent() {
    let mut service = Service::new(rules());
    service.sync(&first(7, &[1]), at(0));
    let early = Report { number: 2, keys: vec![told(1, 1, 0, 0)], ..first(7, &[]) };
    assert_eq!(service.sync(&early, at(0)).standing, Standing::Unknown);
}

#[test]
fn a_key_that_is_in_a_report_twice_counts_once() {
    let mut service = Service::new(rules());
    service.sync(&Report { keys: vec![told(1, 0, 0, 5)], ..first(7, &[]) }, at(0));
    let twice = later(7, 1, vec![told(1, 0, 10, 0), told(1, 10, 0, 0), told(1, 0, 10, 0)]);
    service.sync(&twice, at(0));
    assert_eq!(service.refunds.iter().map(|refund| refund.units).sum::<u32>(), 10);
    assert_eq!(service.outstanding(at(0)), 0);
}

#[test]
fn unknown_sessions_and_epochs_have_an_answer() {
    let mut service = Service::new(rules());
    for unknown in [
        later(7, 1, Vec::new()),
        Report { epoch: 8, ..later(7, 1, Vec::new()) },
        Report { keys: vec![told(1, 1, 0, 0)], ..first(7, &[]) },
        Report { number: 0, ..first(7, &[1]) },
    ] {
        assert_eq!(service.sync(&unknown, at(0)).standing, Standing::Unknown, "{unknown:?}");
        assert_eq!(service.ledger.stats(at(0)).sessions, 0);
    }
    let mut service = Service::new(LeaseRules { is_store_shared: true, ..rules() });
    let report = Report { epoch: 8, ..later(7, 1, Vec::new()) };
    assert_eq!(service.sync(&report, at(0)).standing, Standing::Elsewhere);
}

#[test]
fn a_new_life_of_a_cache_ends_the_earlier_one() {
    let mut service = Service::new(rules());
    service.sync(&first(7, &[1]), at(0));
    let reborn = Report { session: SessionId { vm: 7, generation: 1 }, ..first(7, &[2]) };
    assert_eq!(units(&service.sync(&reborn, at(1))), [2]);
    let stats = service.ledger.stats(at(1));
    assert_eq!((stats.sessions, stats.keys, stats.lost), (1, 1, 2));
    assert_eq!(service.sync(&later(7, 1, Vec::new()), at(1)).standing, Standing::Unknown);
    assert_eq!(service.ledger.stats(at(1)).sessions, 1);
}

#[test]
fn the_last_report_ends_the_session_and_is_refunded() {
    let mut service = Service::new(rules());
    service.sync(&first(7, &[1]), at(0));
    let last = Report { is_last: true, ..later(7, 1, vec![told(1, 0, 2, 9)]) };
    assert_eq!(service.sync(&last, at(0)).standing, Standing::Unknown);
    assert_eq!(service.usage(key(1)).remaining(limit(), at(0)), 40);
    let stats = service.ledger.stats(at(0));
    assert_eq!((stats.sessions, stats.keys, stats.lost, service.ledger.totals.len()), (0, 0, 0, 0));
    // It comes again.
    assert_eq!(service.sync(&last, at(0)).standing, Standing::Unknown);
    assert_eq!(service.refunds.len(), 1);
}

#[test]
fn another_configuration_withdraws_and_takes_what_comes_back() {
    let mut service = Service::new(rules());
    service.sync(&first(7, &[1]), at(0));
    service.ledger.set_configuration(2);
    let answer = service.sync(&later(7, 1, vec![told(1, 0, 0, 9)]), at(0));
    assert_eq!((answer.standing, answer.configuration, units(&answer)), (Standing::Withdrawn, 2, vec![]));
    let returned = later(7, 2, vec![told(1, 0, 2, 9)]);
    assert_eq!(service.sync(&returned, at(0)).standing, Standing::Withdrawn);
    assert_eq!((service.refunds.len(), service.outstanding(at(0))), (1, 0));
    let same = Report { configuration: 2, ..later(7, 3, vec![told(1, 0, 0, 1)]) };
    let answer = service.sync(&same, at(0));
    assert_eq!((answer.standing, units(&answer)), (Standing::Open, vec![2]));
}

#[test]
fn a_limit_that_is_not_leased_gets_no_grant() {
    let mut service = Service::new(rules());
    let report = Report { keys: vec![KeyReport { id: LimitId(4), ..told(1, 0, 0, 9) }], ..first(7, &[]) };
    assert_eq!(units(&service.sync(&report, at(0))), [0; 0]);
}

#[test]
fn units_of_two_limits_are_not_in_one_answer() {
    let mut service = Service::new(rules());
    service.sync(&first(7, &[1]), at(0));
    let other = KeyReport { limit: "50/s;burst=40".parse().unwrap(), ..told(1, 0, 0, 9) };
    let lost = Report { number: 2, keys: vec![other], ..first(7, &[]) };
    let answer = service.sync(&lost, at(0));
    assert_eq!((units(&answer), answer.grants[0].limit), (vec![2], limit()));
    let answer = service.sync(&later(7, 2, vec![KeyReport { returned: 2, ..other }]), at(0));
    assert_eq!(answer.grants[0].limit, other.limit);
}

#[test]
fn two_answers_that_are_made_at_once_share_half_a_burst() {
    let mut service = Service::new(LeaseRules { share_bits: 0, ..rules() });
    let want = |vm| Report { keys: vec![told(1, 0, 0, 100)], ..first(vm, &[]) };
    let mut turns: Vec<_> = (0..3).map(|vm| service.begin(&want(vm), at(0))).collect();
    let costs: Vec<Vec<_>> = turns
        .iter_mut()
        .map(|turn| service.ledger.share(turn, &[40]).iter().map(|charge| charge.cost).collect())
        .collect();
    assert_eq!(costs, [vec![20], vec![], vec![]]);
    // The store refuses it, so it is free again.
    let answer = service.ledger.finish(&turns[0], &[None]).answer.unwrap();
    assert_eq!(answer.grants, []);
    assert!(service.ledger.totals.is_empty());
    assert_eq!(units(&service.sync(&Report { number: 2, ..want(1) }, at(0))), [20]);
}

#[test]
fn an_answer_that_nobody_waits_for_is_refunded() {
    let mut service = Service::new(rules());
    let mut turn = service.begin(&first(7, &[1]), at(0));
    let charges = service.ledger.share(&mut turn, &[40]);
    // The cache has given up waiting.
    let second = Report { number: 2, ..first(7, &[]) };
    assert_eq!(units(&service.sync(&second, at(0))), [0; 0]);
    let finished = service.ledger.finish(&turn, &vec![Some(at(0)); charges.len()]);
    assert_eq!((finished.answer, finished.refunds.len()), (None, 1));
    assert_eq!((finished.refunds[0].units, service.ledger.totals.len()), (2, 0));
    // Before the charges, it has none.
    let mut turn = service.begin(&Report { number: 3, ..first(7, &[1]) }, at(0));
    service.ledger.stats(at(10));
    assert_eq!(service.ledger.share(&mut turn, &[40]), []);
    assert_eq!(service.ledger.finish(&turn, &[]), Finished { answer: None, refunds: Vec::new() });
}

#[test]
fn sessions_keys_and_grants_are_bounded() {
    let mut service = Service::new(LeaseRules { max_keys: 20_000, ..rules() });
    for vm in 0..3 {
        assert_eq!(service.sync(&first(vm, &[]), at(0)).standing, Standing::Open);
    }
    assert_eq!(service.sync(&first(3, &[1]), at(0)).standing, Standing::Full);
    let mut grants = 0;
    for (vm, number) in (0..3).flat_map(|vm| (1..18).map(move |number| (vm, number))) {
        let from = (vm * 100 + number) * 10_000;
        let keys = (from..from + 2 * MAX_SYNC_KEYS as u64).map(|key| told(key, 0, 0, 1)).collect();
        let answer = service.sync(&later(vm, number, keys), at(0));
        assert!(answer.grants.len() <= MAX_SYNC_KEYS);
        grants += answer.grants.len();
        let stats = service.ledger.stats(at(0));
        assert_eq!(stats.keys, grants);
        if vm == 0 {
            assert_eq!(grants, MAX_LEASED_KEYS.min(MAX_SYNC_KEYS * usize::try_from(number).unwrap()));
        }
    }
    assert_eq!(grants, 20_000);
    // Expired sessions make room.
    assert_eq!(units(&service.sync(&first(3, &[1]), at(10))), [2]);
}
