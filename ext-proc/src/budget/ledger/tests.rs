use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const LIMIT: u64 = 100;

/// Counts its wakes.
#[derive(Default)]
struct WakeCount(AtomicUsize);

impl Wake for WakeCount {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// How a stream uses the budget.
#[derive(Clone, Copy, Debug)]
enum Use {
    /// It holds chunks up to its decision, and returns them.
    Holds,
    /// One message is assembled.
    Buffers,
    /// It is decided. Messages are assembled one after the other.
    Passes,
}

#[derive(Clone, Debug)]
struct Plan {
    usage: Use,
    total: u64,
    /// Bytes that it announces and does not need.
    spare: u64,
    chunk: u64,
}

/// A stream that follows its plan.
struct Player {
    plan: Plan,
    id: AccountId,
    held: u64,
    waits: Option<(u64, Arc<WakeCount>)>,
    done: bool,
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let usage = prop_oneof![3 => Just(Use::Holds), 1 => Just(Use::Buffers), 1 => Just(Use::Passes)];
    let spare = prop_oneof![Just(0), 1..2 * LIMIT];
    let plan = (usage, 1..=LIMIT, spare, 1..40_u64).prop_map(|(usage, total, spare, chunk)| Plan {
        usage,
        total,
        spare,
        chunk,
    });
    vec(plan, 1..20)
}

impl Player {
    fn new(ledger: &mut Ledger, plan: Plan) -> Self {
        let expected = if matches!(plan.usage, Use::Holds) { plan.total + plan.spare } else { 0 };
        let id = ledger.open(expected, matches!(plan.usage, Use::Passes));
        Self { plan, id, held: 0, waits: None, done: false }
    }

    /// Goes on if it can. Returns whether anything changed.
    fn step(&mut self, ledger: &mut Ledger) -> bool {
        if self.done {
            return false;
        }
        if let Some((bytes, wakes)) = &self.waits {
            let woken = wakes.0.load(Ordering::Relaxed) > 0;
            if !woken {
                return false;
            }
            assert!(ledger.poll_wait(self.id, &Arc::clone(wakes).into()), "woken without bytes");
            self.held += bytes;
            self.waits = None;
            return true;
        }
        if self.held == self.plan.total {
            ledger.message_ended(self.id);
            ledger.settle(self.id);
            // Half of its bytes return with the decision, the rest when the peer has taken them.
            ledger.release(self.id, self.held / 2);
            settle_grants(ledger);
            ledger.close(self.id);
            settle_grants(ledger);
            self.done = true;
            return true;
        }
        let bytes = self.plan.chunk.min(self.plan.total - self.held);
        let ask = match self.plan.usage {
            Use::Holds => Ask::now(bytes),
            Use::Buffers | Use::Passes => Ask { bytes, rest: self.plan.total - self.held, message: true },
        };
        match ledger.ask(self.id, ask) {
            Answer::Granted => self.held += bytes,
            Answer::NoRoom => {
                let wakes = Arc::new(WakeCount::default());
                assert!(ledger.wait(self.id, ask));
                settle_grants(ledger);
                if ledger.poll_wait(self.id, &Arc::clone(&wakes).into()) {
                    self.held += bytes;
                } else {
                    self.waits = Some((bytes, wakes));
                }
            }
            Answer::TooLarge => panic!("no plan exceeds the limit"),
        }
        true
    }

    fn cancel(&mut self, ledger: &mut Ledger) {
        if !self.done {
            ledger.close(self.id);
            settle_grants(ledger);
            self.done = true;
        }
    }
}

fn settle_grants(ledger: &mut Ledger) {
    while let Some(waker) = ledger.grant_next() {
        waker.wake();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 400 }))]

    /// In every order of the streams' steps, no more than the limit is held, and each stream that is not cancelled gets all
    /// that it demands.
    #[test]
    fn every_schedule_ends(
        mut plans in plans(),
        share in prop_oneof![Just(0), 1..40_u64],
        largest in 1..40_u64,
        schedule in vec((any::<prop::sample::Index>(), 0..40_u8), 0..400),
    ) {
        let mut ledger = Ledger::new(LIMIT);
        ledger.small = SmallShare::new(share, largest);
        plans.iter_mut().for_each(|plan| plan.total = plan.total.min(LIMIT - share));
        // A stream begins with its first step.
        let mut players: Vec<Option<Player>> = plans.iter().map(|_| None).collect();
        for (index, action) in schedule {
            let number = index.index(players.len());
            let player = players[number].get_or_insert_with(|| Player::new(&mut ledger, plans[number].clone()));
            if action == 0 { player.cancel(&mut ledger) } else { player.step(&mut ledger); }
            ledger.check();
        }
        for (player, plan) in players.iter_mut().zip(&plans) {
            player.get_or_insert_with(|| Player::new(&mut ledger, plan.clone()));
        }
        let mut players: Vec<Player> = players.into_iter().flatten().collect();
        loop {
            let mut progress = false;
            for player in &mut players {
                progress |= player.step(&mut ledger);
                ledger.check();
            }
            if !progress {
                break;
            }
        }
        prop_assert!(players.iter().all(|player| player.done), "blocked: {ledger:?}");
        prop_assert_eq!((ledger.used(), ledger.waiting()), (0, 0));
        prop_assert!(ledger.accounts.is_empty() && ledger.demands.is_empty());
    }
}

/// One release wakes those that fit, and no other.
#[test]
fn a_release_wakes_only_whom_it_serves() {
    let mut ledger = Ledger::new(LIMIT);
    let full = ledger.open(0, false);
    assert_eq!(ledger.ask(full, Ask::now(LIMIT)), Answer::Granted);
    let wakes: Vec<_> = (0..5)
        .map(|_| {
            let id = ledger.open(30, false);
            let wakes = Arc::new(WakeCount::default());
            assert_eq!(ledger.ask(id, Ask::now(30)), Answer::NoRoom);
            assert!(ledger.wait(id, Ask::now(30)) && !ledger.wait(id, Ask::now(30)), "an account waits once");
            assert!(!ledger.poll_wait(id, &Arc::clone(&wakes).into()));
            wakes
        })
        .collect();
    let count = || wakes.iter().map(|wakes| wakes.0.load(Ordering::Relaxed)).collect::<Vec<_>>();
    ledger.release(full, 20);
    settle_grants(&mut ledger);
    assert_eq!(count(), [0; 5]);
    // The head needs 30. The second must leave 30 free besides.
    ledger.release(full, 10);
    settle_grants(&mut ledger);
    assert_eq!(count(), [1, 0, 0, 0, 0]);
    ledger.release(full, 60);
    settle_grants(&mut ledger);
    assert_eq!(count(), [1, 1, 0, 0, 0]);
    ledger.check();
}

const KIB: u64 = 1024;

/// A budget with a share of 1 MiB, in which large streams hold all that they can and wait for more.
fn crowded() -> (Ledger, Vec<AccountId>) {
    let mut ledger = Ledger::new(16 * KIB * KIB);
    let head = ledger.open(15 * KIB * KIB, false);
    assert_eq!(ledger.ask(head, Ask::now(15 * KIB * KIB)), Answer::Granted);
    let other = ledger.open(15 * KIB * KIB, false);
    assert_eq!(ledger.ask(other, Ask::now(1)), Answer::NoRoom);
    assert!(ledger.wait(other, Ask::now(1)));
    ledger.check();
    (ledger, vec![head, other])
}

#[test]
fn small_streams_do_not_wait_behind_large_ones() {
    let (mut ledger, _) = crowded();
    let small: Vec<_> = (0..5).map(|_| ledger.open(200 * KIB, false)).collect();
    for id in &small {
        assert_eq!(ledger.ask(*id, Ask::now(100 * KIB)), Answer::Granted);
        ledger.check();
    }
    // The share is taken: the sixth waits like a large one.
    let sixth = ledger.open(200 * KIB, false);
    assert_eq!(ledger.ask(sixth, Ask::now(1)), Answer::NoRoom);
    for id in &small {
        assert_eq!(ledger.ask(*id, Ask::now(100 * KIB)), Answer::Granted);
    }
    assert_eq!(ledger.used(), 15 * KIB * KIB + 1000 * KIB);
    // A message of a known length is small too.
    ledger.close(small[0]);
    let message = Ask { bytes: 20 * KIB, rest: 60 * KIB, message: true };
    let buffered = ledger.open(0, false);
    assert_eq!(ledger.ask(buffered, message), Answer::Granted);
    ledger.check();
}

#[test]
fn a_decided_small_stream_gives_back_what_it_does_not_hold() {
    let (mut ledger, _) = crowded();
    let small: Vec<_> = (0..5).map(|_| ledger.open(200 * KIB, false)).collect();
    for id in &small {
        assert_eq!(ledger.ask(*id, Ask::now(50 * KIB)), Answer::Granted);
    }
    small.iter().for_each(|id| ledger.settle(*id));
    ledger.check();
    let next = ledger.open(256 * KIB, false);
    assert_eq!(ledger.ask(next, Ask::now(1)), Answer::Granted);
    small.iter().for_each(|id| ledger.release(*id, 50 * KIB));
    ledger.check();
    let more = ledger.open(256 * KIB, false);
    assert_eq!(ledger.ask(more, Ask::now(1)), Answer::Granted);
}

#[test]
fn a_stream_that_exceeds_its_small_demand_is_a_large_one() {
    let (mut ledger, large) = crowded();
    let liar = ledger.open(100 * KIB, false);
    assert_eq!(ledger.ask(liar, Ask::now(100 * KIB)), Answer::Granted);
    assert_eq!(ledger.ask(liar, Ask::now(1)), Answer::NoRoom);
    ledger.check();
    // Its bytes stay, and the share takes no more than is free.
    let small: Vec<_> = (0..5).map(|_| ledger.open(200 * KIB, false)).collect();
    let granted = small.iter().filter(|id| ledger.ask(**id, Ask::now(200 * KIB)) == Answer::Granted).count();
    assert_eq!(granted, 4);
    ledger.check();
    for id in large {
        ledger.close(id);
        settle_grants(&mut ledger);
    }
    assert_eq!(ledger.ask(liar, Ask::now(1)), Answer::Granted);
    ledger.check();
}

#[test]
fn a_small_budget_has_no_share() {
    let mut ledger = Ledger::new(16 * KIB * KIB - 1);
    let head = ledger.open(1, false);
    assert_eq!(ledger.ask(head, Ask::now(16 * KIB * KIB - 1)), Answer::Granted);
}
