//! The Redis store: the link, the scripts, and the fallback.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use cellgate_limiting::{
    Charge, Decision, LimitKey, MAX_CHARGES, Micros, Outcome, SECOND, StoreCharge, Usage, Verdict,
};
use redis::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::charge::{Charged, Judge, StoreDecision};
use crate::clock::Clock;
use crate::failure::StoreFailure;
use crate::health::StoreHealth;
use crate::keys::Keys;
use crate::link::{Link, supervise};
use crate::local::Local;
use crate::script::{self, Call, Carried, ScriptRefund};
use crate::settings::{Atomicity, BadSettings, RedisSettings, Topology};
use crate::settle::settle;
use crate::stats::{Stats, add};

/// How long a command of an operator may take.
const OPERATOR_DEADLINE: Duration = Duration::from_secs(1);

/// The Redis store. Dropping it ends its connection.
#[derive(Debug)]
pub(crate) struct RedisStore {
    link: Arc<Link>,
    local: Local,
    keys: Keys,
    supervisor: JoinHandle<()>,
}

/// Charges that are judged together, by their places in the request.
type Group = Vec<usize>;

impl RedisStore {
    /// Starts to connect. Requests do not wait for it.
    pub(crate) fn start(settings: RedisSettings, clock: Clock) -> Result<Self, BadSettings> {
        settings.check()?;
        let local = Local::new(settings.max_local_keys, settings.replicas, clock);
        let keys = Keys::new(&settings);
        let link = Arc::new(Link::new(settings));
        let supervisor = tokio::spawn(supervise(Arc::clone(&link)));
        Ok(Self { link, local, keys, supervisor })
    }

    pub(crate) async fn charge(&self, charges: &[StoreCharge]) -> StoreDecision {
        if charges.len() > MAX_CHARGES {
            return StoreDecision::too_many();
        }
        let start = Instant::now();
        let answers = self.judge_all(charges, start + self.link.settings.deadline).await;
        let has_asked = !matches!(answers.failure, Some(StoreFailure::Unavailable));
        let store_time = has_asked.then(|| start.elapsed());
        let decision = settle(charges, &answers.outcomes, &self.local);
        if !decision.is_admitted {
            self.undo(answers.undo);
        }
        if let Some(failure) = &answers.failure {
            self.link.counters.count_failure(failure);
        }
        self.link.counters.count_judges(decision.judges());
        StoreDecision { failure: answers.failure, store_time, ..decision }
    }

    /// Gives units back, and returns those that came back. `None` if the store did not confirm it.
    pub(crate) async fn refund(&self, charged: &Charged, units: u64) -> Option<u64> {
        if charged.judge == Judge::Local {
            return Some(self.local.refund(charged, units));
        }
        let refund = ScriptRefund::new(&charged.charge, units, charged.point);
        let call = Call::refund(&refund, self.keys.key(charged.charge.key));
        let until = Instant::now() + self.link.settings.deadline;
        let refunded = self.link.call_later(&call, until, |value| refund.units_back(value)).await.ok();
        if refunded.is_none() {
            add(&self.link.counters.lost_refunds, 1);
        }
        refunded
    }

    /// Charges units whether they fit or not. `false` if the store did not confirm it.
    pub(crate) async fn carry(&self, charged: &Charged, units: u64) -> bool {
        if charged.judge == Judge::Local {
            self.local.carry(charged, units);
            return true;
        }
        let call = Call::carry(charged.charge.limit, units, self.keys.key(charged.charge.key));
        let until = Instant::now() + self.link.settings.deadline;
        self.link.call_later(&call, until, |_| Ok(())).await.is_ok()
    }

    /// The units that a key has in use, and the time of the server.
    pub(crate) async fn usage(&self, key: LimitKey) -> Result<Option<(Usage, Micros)>, StoreFailure> {
        let time = self.command(redis::cmd("TIME")).await?;
        let now = time_of(&time).ok_or(StoreFailure::Reply)?;
        let mut get = redis::cmd("GET");
        get.arg(self.keys.key(key));
        let usage = usage_of(self.command(get).await?)?;
        Ok(usage.filter(|usage| !usage.is_unused(now)).map(|usage| (usage, now)))
    }

    /// Forgets what a key has in use, in the store and here.
    pub(crate) async fn forget(&self, key: LimitKey) -> Result<Option<Usage>, StoreFailure> {
        let mut get = redis::cmd("GETDEL");
        get.arg(self.keys.key(key));
        let stored = self.command(get).await.and_then(usage_of)?;
        Ok(stored.or(self.local.forget(key)))
    }

    pub(crate) fn stats(&self) -> Stats {
        self.link.counters.stats(self.local.stats())
    }

    pub(crate) fn health(&self) -> watch::Receiver<StoreHealth> {
        self.link.health()
    }

    /// Judges the charges, all together or each key by itself at the same time.
    async fn judge_all(&self, charges: &[StoreCharge], until: Instant) -> Answers {
        let mut answers = Answers { outcomes: vec![None; charges.len()], ..Answers::default() };
        let groups = match self.link.settings.topology {
            Topology::Cluster(Atomicity::Key) => by_key(charges),
            Topology::Standalone | Topology::Cluster(Atomicity::Domain) => vec![(0..charges.len()).collect()],
        };
        let is_alone = groups.len() > 1;
        for (group, answer) in join_all(groups.into_iter().map(|group| self.judge(charges, group, until))).await {
            match answer {
                Ok(decision) => {
                    for (place, outcome) in group.iter().zip(decision.outcomes()) {
                        if let Some(slot) = answers.outcomes.get_mut(*place) {
                            *slot = Some(*outcome);
                        }
                        if is_alone && decision.is_admitted() && outcome.verdict() == Verdict::Admitted {
                            answers.undo.push(*outcome);
                        }
                    }
                }
                Err(failure) => answers.failure = answers.failure.or(Some(failure)),
            }
        }
        answers
    }

    /// Judges charges with one script.
    async fn judge(
        &self,
        charges: &[StoreCharge],
        group: Group,
        until: Instant,
    ) -> (Group, Result<Decision, StoreFailure>) {
        let charges = group.iter().filter_map(|place| charges.get(*place)).map(|charge| charge.charge);
        let mut carry = match self.link.live() {
            Ok(_) => Carry::take(&self.local, charges),
            Err(failure) => return (group, Err(failure)),
        };
        let keys = carry.charges.iter().map(|carried| self.keys.key(carried.charge.key)).collect();
        let call = Call::charge(&carry.charges, keys);
        let answer = self.link.call(&call, until, |value| script::decision(&carry.charges, value)).await;
        if answer.is_ok() {
            add(&self.link.counters.carried_units, carry.arrive());
        }
        (group, answer)
    }

    /// Refunds what some keys of a refused request have charged. Nobody waits for it.
    fn undo(&self, outcomes: Vec<Outcome>) {
        let refunds = outcomes.into_iter().filter(|outcome| outcome.charge().cost > 0).map(|outcome| {
            let refund = ScriptRefund::new(outcome.charge(), outcome.charge().cost, outcome.point());
            Call::refund(&refund, self.keys.key(outcome.charge().key))
        });
        for call in refunds {
            let link = Arc::clone(&self.link);
            tokio::spawn(async move {
                let until = Instant::now() + link.settings.deadline;
                if link.call(&call, until, |_| Ok(())).await.is_err() {
                    add(&link.counters.lost_refunds, 1);
                }
            });
        }
    }

    async fn command(&self, command: redis::Cmd) -> Result<Value, StoreFailure> {
        self.link.live()?.command(&command, Instant::now() + OPERATOR_DEADLINE).await
    }
}

impl Drop for RedisStore {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

/// The answers to the charges of a request.
#[derive(Default)]
struct Answers {
    /// In the order of the charges. `None` if the store failed.
    outcomes: Vec<Option<Outcome>>,
    /// To refund if the request is refused.
    undo: Vec<Outcome>,
    failure: Option<StoreFailure>,
}

/// Units on their way from the fallback to the store. If they do not arrive, or if nobody waits for them any more, they go
/// back to the fallback.
struct Carry<'a> {
    local: &'a Local,
    charges: Vec<Carried>,
    has_arrived: bool,
}

impl<'a> Carry<'a> {
    fn take(local: &'a Local, charges: impl Iterator<Item = Charge>) -> Self {
        let charges = charges.map(|charge| Carried { charge, units: local.take(&charge) }).collect();
        Self { local, charges, has_arrived: false }
    }

    /// Returns the number of units.
    fn arrive(&mut self) -> u64 {
        self.has_arrived = true;
        self.charges.iter().map(|carried| carried.units).sum()
    }
}

impl Drop for Carry<'_> {
    fn drop(&mut self) {
        if !self.has_arrived {
            for carried in &self.charges {
                self.local.put_back(&carried.charge, carried.units);
            }
        }
    }
}

/// The places of the charges of each key.
fn by_key(charges: &[StoreCharge]) -> Vec<Group> {
    let mut groups: Vec<(LimitKey, Group)> = Vec::new();
    for (place, charge) in charges.iter().enumerate() {
        match groups.iter_mut().find(|(key, _)| *key == charge.charge.key) {
            Some((_, group)) => group.push(place),
            None => groups.push((charge.charge.key, vec![place])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// Waits for all futures. There are few, so each is polled whenever one is ready.
async fn join_all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    poll_fn(|context| {
        let mut is_done = true;
        for (future, output) in &mut waiting {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(ready) => *output = Some(ready),
                    Poll::Pending => is_done = false,
                }
            }
        }
        if is_done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    waiting.into_iter().filter_map(|(_, output)| output).collect()
}

fn usage_of(value: Value) -> Result<Option<Usage>, StoreFailure> {
    match value {
        Value::Nil => Ok(None),
        // A value that is no usage counts as none, as in the script.
        Value::BulkString(value) => Ok(script::usage(&value)),
        _ => Err(StoreFailure::Reply),
    }
}

fn time_of(value: &Value) -> Option<Micros> {
    let Value::Array(parts) = value else { return None };
    let number = |part: &Value| match part {
        Value::BulkString(digits) => std::str::from_utf8(digits).ok()?.parse::<u64>().ok(),
        _ => None,
    };
    match parts.as_slice() {
        [seconds, micros] => Some(Micros(number(seconds)?.checked_mul(SECOND)?.checked_add(number(micros)?)?)),
        _ => None,
    }
}
