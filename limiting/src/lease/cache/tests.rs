use super::*;
use crate::SECOND;
use crate::charge::Enforcement;
use crate::key::LimitId;
use crate::lease::{Answer, Grant, KeyReport, MAX_SYNC_KEYS, MAX_TERM, Report, Standing};

const TERM: u64 = 10 * SECOND;

fn charge(key: u64, cost: u64) -> Charge {
    let key = LimitKey { high: key, low: key };
    let limit = "100/s;burst=40".parse().unwrap();
    Charge { id: LimitId(3), key, limit, cost, enforcement: Enforcement::Enforce }
}

fn at(seconds: u64) -> Micros {
    Micros(1_000_000 * SECOND + seconds * SECOND)
}

fn answer(report: &Report, grants: &[(u64, u32)]) -> Answer {
    let grant = |(key, units): &(u64, u32)| {
        let Charge { key, id, limit, .. } = charge(*key, 1);
        Grant { key, id, limit, units: *units }
    };
    Answer {
        session: report.session,
        number: report.number,
        epoch: 9,
        configuration: report.configuration,
        standing: Standing::Open,
        term: TERM,
        interval: SECOND,
        hasher: KeyHasher::new([1; 16]),
        grants: grants.iter().map(grant).collect(),
    }
}

/// Reports and takes an answer at once.
fn sync(cache: &mut LeaseCache, grants: &[(u64, u32)], now: Micros) -> Report {
    let report = cache.report(now);
    assert_eq!(cache.apply(&answer(&report, grants), now), Applied::Taken);
    report
}

/// A cache that holds 10 units of each key.
fn holding(keys: &[u64]) -> LeaseCache {
    let mut cache = LeaseCache::new(7, 1);
    let grants: Vec<_> = keys.iter().map(|key| (*key, 10)).collect();
    sync(&mut cache, &grants, at(0));
    cache
}

fn told(report: &Report, key: u64) -> (u32, u32, u32) {
    let find = |told: &&KeyReport| told.key == charge(key, 1).key;
    report.keys.iter().find(find).map_or((0, 0, 0), |told| (told.spent, told.returned, told.wanted))
}

#[test]
fn units_are_spent_until_there_are_none() {
    let mut cache = holding(&[1]);
    assert!(cache.spend(&[charge(1, 4)], at(1)));
    assert!(cache.spend(&[charge(1, 6)], at(1)));
    assert!(!cache.spend(&[charge(1, 2)], at(1)));
    assert!(!cache.spend(&[charge(2, 1)], at(1)));
    assert!(cache.spend(&[charge(2, 0)], at(1)));
    assert!(cache.spend(&[], at(1)));
    let report = cache.report(at(1));
    assert_eq!((told(&report, 1), told(&report, 2)), ((10, 0, 2), (0, 0, 1)));
}

#[test]
fn all_charges_of_a_request_are_spent_or_none() {
    let mut cache = holding(&[1, 2]);
    assert!(cache.spend(&[charge(1, 3), charge(2, 3)], at(1)));
    assert!(!cache.spend(&[charge(1, 3), charge(2, 8), charge(3, 1)], at(1)));
    assert_eq!(cache.stats().units, 14);
    // A key that is charged twice pays for both.
    assert!(!cache.spend(&[charge(1, 4), charge(1, 4)], at(1)));
    assert!(cache.spend(&[charge(1, 4), charge(1, 3)], at(1)));
    let report = cache.report(at(1));
    assert_eq!([1, 2, 3].map(|key| told(&report, key)), [(10, 0, 4), (3, 0, 8), (0, 0, 1)]);
}

#[test]
fn too_many_charges_and_costs_over_the_burst_are_for_the_service() {
    let mut cache = holding(&[1]);
    assert!(!cache.spend(&[charge(1, 0); MAX_CHARGES + 1], at(1)));
    assert!(cache.spend(&[charge(1, 0); MAX_CHARGES], at(1)));
    for cost in [41, u64::from(u32::MAX) + 1, u64::MAX] {
        assert!(!cache.spend(&[charge(1, cost)], at(1)));
    }
    assert_eq!(cache.stats().units, 10);
    assert_eq!(told(&cache.report(at(1)), 1), (0, 0, 0));
}

#[test]
fn the_term_begins_when_the_report_is_sent() {
    let mut cache = LeaseCache::new(7, 1);
    let report = cache.report(at(0));
    cache.apply(&answer(&report, &[(1, 10)]), at(4));
    assert!(cache.spend(&[charge(1, 1)], Micros(at(10).0 - 1)));
    assert!(!cache.spend(&[charge(1, 1)], at(10)));
    // What is left is given up.
    assert_eq!(told(&cache.report(at(10)), 1), (1, 9, 1));
}

#[test]
fn each_answer_extends_the_lease_of_all_keys() {
    let mut cache = holding(&[1, 2]);
    assert!(cache.spend(&[charge(1, 5), charge(2, 5)], at(0)));
    sync(&mut cache, &[], at(8));
    assert!(cache.spend(&[charge(1, 1), charge(2, 1)], at(17)));
}

#[test]
fn a_lost_answer_loses_no_spend_and_counts_none_twice() {
    let mut cache = holding(&[1]);
    cache.spend(&[charge(1, 3)], at(1));
    let lost = cache.report(at(1));
    assert_eq!(told(&lost, 1), (3, 0, 0));
    cache.spend(&[charge(1, 2)], at(2));
    let report = cache.report(at(2));
    assert_eq!((told(&report, 1), report.acknowledged), ((5, 1, 0), lost.acknowledged));
    cache.spend(&[charge(1, 1)], at(2));
    // The answer to the lost report comes late, and the right one twice.
    assert_eq!(cache.apply(&answer(&lost, &[(1, 30)]), at(2)), Applied::Ignored);
    assert_eq!(cache.apply(&answer(&report, &[(1, 7)]), at(2)), Applied::Taken);
    assert_eq!(cache.apply(&answer(&report, &[(1, 7)]), at(2)), Applied::Ignored);
    assert_eq!(cache.stats().units, 10 - 3 - 2 - 1 - 1 + 7);
    let next = cache.report(at(3));
    assert_eq!((told(&next, 1).0, next.acknowledged), (1, report.number));
}

#[test]
fn units_that_are_not_needed_are_given_up_step_by_step() {
    let mut cache = holding(&[1]);
    let mut left = Vec::new();
    for second in 1..6 {
        sync(&mut cache, &[], at(second));
        left.push(cache.stats().units);
    }
    assert_eq!(left, [10, 4, 2, 0, 0]);
    assert_eq!(cache.stats().keys, 0);
}

/// Forgets the demand of a report, but not the key that the grant brings back.
#[test]
fn a_grant_for_a_key_that_was_forgotten_can_be_spent() {
    let mut cache = LeaseCache::new(7, 1);
    cache.spend(&[charge(1, 2)], at(0));
    let report = cache.report(at(0));
    assert_eq!((told(&report, 1), cache.stats().keys), ((0, 0, 2), 0));
    cache.apply(&answer(&report, &[(1, 4)]), at(0));
    assert!(cache.spend(&[charge(1, 4)], at(1)));
}

#[test]
fn units_of_another_limit_are_given_up() {
    let mut cache = holding(&[1]);
    let lowered = Charge { limit: "1/s".parse().unwrap(), ..charge(1, 1) };
    assert!(!cache.spend(&[lowered], at(1)));
    // The grant of the old limit, too.
    let report = sync(&mut cache, &[(1, 5)], at(1));
    let told_limit = report.keys[0].limit;
    assert_eq!((told(&report, 1), told_limit), ((0, 10, 1), lowered.limit));
    assert_eq!((told(&cache.report(at(2)), 1), cache.stats().units), ((0, 5, 0), 0));
}

#[test]
fn within_one_request_units_of_another_limit_are_given_up() {
    let mut cache = holding(&[1]);
    let lowered = Charge { limit: "1/s".parse().unwrap(), ..charge(1, 1) };
    assert!(!cache.spend(&[charge(1, 2), lowered], at(1)));
    assert_eq!((cache.stats().units, told(&cache.report(at(1)), 1)), (0, (0, 10, 1)));
}

#[test]
fn another_configuration_or_secret_ends_what_is_held() {
    let mut cache = holding(&[1]);
    cache.set_configuration(1);
    assert_eq!(cache.stats().units, 10);
    cache.set_configuration(2);
    assert!(!cache.spend(&[charge(1, 1)], at(1)));
    let report = cache.report(at(1));
    assert_eq!((told(&report, 1), report.configuration), ((0, 10, 1), 2));
    let old = Answer { configuration: 1, ..answer(&report, &[(1, 5)]) };
    assert_eq!((cache.apply(&old, at(1)), cache.stats().units), (Applied::Withdrawn, 0));

    let mut cache = holding(&[1]);
    let report = cache.report(at(1));
    let other = Answer { hasher: KeyHasher::new([2; 16]), ..answer(&report, &[(1, 5)]) };
    assert_eq!((cache.apply(&other, at(1)), cache.stats().units), (Applied::Withdrawn, 0));
    assert_eq!(cache.hasher(), Some(other.hasher));
    // Each unit comes back once.
    assert_eq!(told(&cache.report(at(2)), 1), (0, 15, 0));

    let mut cache = holding(&[1]);
    let report = cache.report(at(1));
    let withdrawn = Answer { standing: Standing::Withdrawn, ..answer(&report, &[]) };
    assert_eq!((cache.apply(&withdrawn, at(1)), cache.stats().units), (Applied::Withdrawn, 0));
}

#[test]
fn a_ledger_that_has_restarted_ends_what_is_held() {
    for standing in [Standing::Unknown, Standing::Full, Standing::Open] {
        let mut cache = holding(&[1]);
        let report = cache.report(at(1));
        let restarted = Answer { epoch: 10, standing, ..answer(&report, &[]) };
        assert_eq!(cache.apply(&restarted, at(1)), Applied::Restarted);
        assert!(!cache.spend(&[charge(1, 1)], at(1)));
        let first = cache.report(at(2));
        assert_eq!((first.session.vm, first.session.generation), (7, 1));
        assert_eq!((first.number, first.acknowledged, first.epoch), (1, 0, 0));
        assert_eq!(told(&first, 1), (0, 0, 1));
        // An answer to the earlier session.
        assert_eq!(cache.apply(&answer(&report, &[(1, 9)]), at(2)), Applied::Ignored);
    }
}

/// The other ledger uses the same store, where the units are charged.
#[test]
fn an_answer_from_another_ledger_keeps_what_is_held_until_it_expires() {
    let mut cache = holding(&[1]);
    let elsewhere = |cache: &mut LeaseCache, now| {
        let report = cache.report(now);
        let answer = Answer { epoch: 10, standing: Standing::Elsewhere, ..answer(&report, &[(1, 30)]) };
        cache.apply(&answer, now)
    };
    assert!(cache.spend(&[charge(1, 1)], at(1)));
    assert_eq!(elsewhere(&mut cache, at(1)), Applied::Kept);
    assert!(cache.spend(&[charge(1, 1)], at(9)));
    // The home answers: both are reported.
    let mut home = cache.clone();
    assert_eq!(told(&sync(&mut home, &[], at(9)), 1).0, 2);
    assert_eq!(elsewhere(&mut cache, at(9)), Applied::Kept);
    // The home does not answer again: after the term, any ledger will do.
    assert_eq!(cache.report(at(10)).session.generation, 1);
    // A ledger cannot keep what it has not granted.
    assert_eq!(elsewhere(&mut LeaseCache::new(8, 1), at(0)), Applied::Restarted);
}

#[test]
fn the_last_report_gives_up_everything() {
    let mut cache = holding(&[1]);
    cache.spend(&[charge(1, 1)], at(1));
    let last = cache.close(at(1));
    assert!(last.is_last);
    assert_eq!(told(&last, 1), (1, 9, 0));
    assert_eq!(cache.apply(&answer(&last, &[(1, 9)]), at(1)), Applied::Ignored);
    assert_eq!(cache.report(at(2)).session.generation, 1);
}

#[test]
fn a_clock_that_goes_back_does_not_lengthen_a_lease_by_the_step() {
    let mut cache = holding(&[1]);
    assert!(cache.spend(&[charge(1, 1)], at(4)));
    // An hour back, and then on.
    let back = |seconds| Micros(at(seconds).0 - 3_600 * SECOND);
    assert!(cache.spend(&[charge(1, 1)], back(4)));
    assert!(cache.spend(&[charge(1, 1)], back(9)));
    assert!(!cache.spend(&[charge(1, 1)], back(10)));
    // Ahead: the lease is over.
    assert!(!holding(&[1]).spend(&[charge(1, 1)], at(3_600)));
}

#[test]
fn an_answer_that_lies_is_bounded() {
    let mut cache = holding(&[1]);
    let report = cache.report(at(1));
    let lie = Answer {
        term: u64::MAX,
        interval: u64::MAX,
        ..answer(&report, &[(1, u32::MAX), (1, u32::MAX), (5, u32::MAX)])
    };
    assert_eq!(cache.apply(&lie, at(1)), Applied::Taken);
    // A burst of 40 for each key.
    assert_eq!((cache.stats().units, cache.interval()), (80, crate::lease::MAX_INTERVAL));
    assert!(cache.spend(&[charge(1, 1)], Micros(at(1).0 + MAX_TERM - 1)));
    assert!(!cache.spend(&[charge(1, 1)], Micros(at(1).0 + MAX_TERM)));

    let report = cache.report(at(61));
    let lie = Answer { term: 0, interval: 0, ..answer(&report, &[(1, 5)]) };
    assert_eq!(cache.apply(&lie, at(61)), Applied::Taken);
    assert_eq!(cache.interval(), crate::lease::MIN_INTERVAL);
    assert!(!cache.spend(&[charge(1, 1)], at(61)));

    let report = cache.report(at(62));
    let lie = Answer { epoch: 0, ..answer(&report, &[]) };
    assert_eq!(cache.apply(&lie, at(62)), Applied::Restarted);
    // Of another cache, an earlier life, another report.
    let pending = cache.report(at(63));
    assert_eq!((pending.session.generation, pending.number), (1, 1));
    for (vm, generation, number) in [(8, 1, 1), (7, 0, 1), (7, 1, 2), (7, 1, 0)] {
        let report = Report { session: SessionId { vm, generation }, number, ..pending.clone() };
        assert_eq!(cache.apply(&answer(&report, &[(1, 5)]), at(63)), Applied::Ignored);
    }
    assert_eq!(cache.apply(&answer(&pending, &[(1, 5)]), at(63)), Applied::Taken);
}

#[test]
fn memory_is_bounded_by_keys_missed_and_granted() {
    let mut cache = holding(&[]);
    for key in 0..3 * MAX_LEASED_KEYS as u64 {
        cache.spend(&[charge(key, 1)], at(0));
    }
    let missed = cache.stats();
    assert_eq!((missed.keys, missed.untracked), (MAX_LEASED_KEYS, 2 * MAX_LEASED_KEYS as u64));
    // A ledger that grants other keys than it should.
    for round in 0..10 {
        let first = (round + 10) * 10_000;
        let grants: Vec<_> = (first..first + 2 * MAX_SYNC_KEYS as u64).map(|key| (key, 1)).collect();
        let report = sync(&mut cache, &grants, at(1));
        assert!(report.keys.len() <= MAX_SYNC_KEYS);
        assert!(cache.stats().keys <= MAX_KEYS);
    }
}

#[test]
fn the_keys_with_most_to_tell_are_reported_first() {
    let mut cache = holding(&[]);
    for key in 0..MAX_SYNC_KEYS as u64 + 500 {
        cache.spend(&[charge(key, 1 + u64::from(key % 3 == 0))], at(0));
    }
    let report = cache.report(at(1));
    assert_eq!(report.keys.len(), MAX_SYNC_KEYS);
    assert_eq!(report.keys.iter().filter(|told| told.wanted == 2).count(), 508);
    // The others come again with their next request, if there is one.
    assert_eq!(cache.report(at(2)).keys.len(), 0);
}

/// A client that invents keys takes the place of the keys of others only until the next report.
#[test]
fn keys_that_come_once_leave_room_for_others() {
    let mut cache = holding(&[]);
    for second in 0..40 {
        for key in 0..2_000 {
            cache.spend(&[charge(1_000_000 + second * 2_000 + key, 1)], at(second));
        }
        for _ in 0..100 {
            cache.spend(&[charge(7, 1)], at(second));
        }
        let report = cache.report(at(second));
        assert!(report.keys.iter().any(|told| told.key == charge(7, 1).key && told.wanted == 100), "{second}");
    }
}

#[test]
fn a_key_takes_the_bytes_that_are_documented() {
    assert_eq!(size_of::<Share>(), 80);
}
