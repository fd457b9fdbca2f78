//! The steps of an answer that need the store.

use std::sync::atomic::{AtomicU64, Ordering};

use cellgate_limit_store::{Charged, Judge, StoreCharge, StoreDecision, StoreFailure, WhenStoreFails};
use cellgate_limiting::{Answer, Charge, MAX_CHARGES, Micros, Refund};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, timeout_at};

use super::open_turn::OpenTurn;
use crate::limiter::Limiter;
use crate::metrics::LeaseMetrics;

/// The most questions to the store at once, of one call. A report can have 1,024 keys, and requests use the store too.
const CONCURRENCY: usize = 16;

/// Makes the refunds of a turn, charges its grants, and completes it. Refunds and charges that are not made by `until` are
/// lost allowance.
///
/// `None`: nobody waits for the answer.
pub(super) async fn answer(mut turn: OpenTurn<'_>, limiter: &Limiter, until: Instant) -> Option<Answer> {
    let refunds = turn.refunds();
    refund(&turn, refunds, limiter, until).await;
    let remaining = probe(&turn, limiter, until).await;
    let charges = turn.share(&remaining);
    charge(&mut turn, charges, limiter, until).await;
    let finished = turn.finish();
    refund(&turn, finished.refunds, limiter, until).await;
    finished.answer
}

async fn refund(turn: &OpenTurn<'_>, refunds: Vec<Refund>, limiter: &Limiter, until: Instant) {
    let pending = PendingUnits::new(turn.metrics());
    pending.add(refunds.iter().map(|refund| u64::from(refund.units)).sum());
    let make = |_, refund: Refund| async move {
        let charged = Charged::by_store(turn.stored(limiter, refund.charge()), refund.charged);
        (refund, limiter.store().refund(&charged, refund.units.into()).await)
    };
    for_each(refunds, until, make, |(refund, back)| {
        if back.is_some() {
            pending.settle(refund.units.into());
            turn.metrics().refunded(turn.limit_name(refund.id), refund.units.into());
        }
    })
    .await;
}

/// What is left of each key, in the order of the probes. 0 if the store has not said it.
async fn probe(turn: &OpenTurn<'_>, limiter: &Limiter, until: Instant) -> Vec<u32> {
    let probes: Vec<_> = turn.probes().into_iter().map(|probe| enforced(turn.stored(limiter, probe))).collect();
    let mut remaining = vec![0; probes.len()];
    let batches = probes.chunks(MAX_CHARGES).collect();
    let ask = |batch, probes| async move { (batch, limiter.store().charge(probes).await) };
    for_each(batches, until, ask, |(batch, decision)| {
        let slots = remaining.iter_mut().skip(batch * MAX_CHARGES);
        for (slot, (_, outcome)) in slots.zip(decision.answers()) {
            *slot = outcome.map_or(0, |outcome| outcome.remaining());
        }
    })
    .await;
    remaining
}

/// Charges each grant alone: one that is refused must not refuse the others.
async fn charge(turn: &mut OpenTurn<'_>, charges: Vec<Charge>, limiter: &Limiter, until: Instant) {
    let charges = charges.into_iter().map(|charge| (charge, turn.stored(limiter, charge))).collect();
    let pending = PendingUnits::new(turn.metrics());
    let pending = &pending;
    let make = |place, (charge, stored): (Charge, Charge)| async move {
        pending.add(charge.cost);
        let decision = limiter.store().charge(&[enforced(stored)]).await;
        if is_answered(&decision) {
            pending.settle(charge.cost);
        }
        (place, charge, made_at(&decision))
    };
    for_each(charges, until, make, |(place, charge, made)| {
        if let Some(at) = made {
            turn.charged(place, &charge, at);
        }
    })
    .await;
}

/// The time of the store when it made the charge. `None`: it was refused, or the store has not counted it.
fn made_at(decision: &StoreDecision) -> Option<Micros> {
    let charged = decision.charged().next()??;
    (charged.judge() == Judge::Store).then(|| charged.at())
}

/// Whether it is known what the store has charged. An answer that is late, or that is none, tells nothing.
fn is_answered(decision: &StoreDecision) -> bool {
    let unknown =
        |failure| matches!(failure, &StoreFailure::Deadline | &StoreFailure::Connection(_) | &StoreFailure::Reply);
    !decision.failure().is_some_and(unknown)
}

/// Only the store can count what is leased.
fn enforced(charge: Charge) -> StoreCharge {
    StoreCharge { charge, when_store_fails: WhenStoreFails::Deny }
}

/// Runs a question for each item and its place, some at once, until all are answered or the time is over.
async fn for_each<T, F: Future>(
    items: Vec<T>,
    until: Instant,
    ask: impl Fn(usize, T) -> F,
    mut answered: impl FnMut(F::Output),
) {
    let mut items = items.into_iter().enumerate();
    let mut waiting = FuturesUnordered::new();
    loop {
        while waiting.len() < CONCURRENCY
            && let Some((place, item)) = items.next()
        {
            waiting.push(ask(place, item));
        }
        match timeout_at(until, waiting.next()).await {
            Ok(Some(answer)) => answered(answer),
            Ok(None) | Err(_) => return,
        }
    }
}

/// Units of which the store has said nothing yet. What is left of them in the end counts as lost.
struct PendingUnits<'a> {
    metrics: &'a LeaseMetrics,
    units: AtomicU64,
}

impl<'a> PendingUnits<'a> {
    const fn new(metrics: &'a LeaseMetrics) -> Self {
        Self { metrics, units: AtomicU64::new(0) }
    }

    fn add(&self, units: u64) {
        self.units.fetch_add(units, Ordering::Relaxed);
    }

    fn settle(&self, units: u64) {
        self.units.fetch_sub(units, Ordering::Relaxed);
    }
}

impl Drop for PendingUnits<'_> {
    fn drop(&mut self) {
        self.metrics.lost(*self.units.get_mut());
    }
}
