//! The scripts on a real server, against the limiter on the same traces: they agree on each number.
//!
//! The server's clock cannot be set. So the scripts run with one line changed: the time is their last argument.

use std::collections::BTreeMap;

use cellgate_limiting::{KeyHasher, LimitId, LimitKey, MAX_PERIOD, MAX_REFILL, MAX_UNITS, Outcome, SECOND, Verdict};
use cellgate_tests::valkey::{ServerOptions, Valkey};
use proptest::prelude::*;
use redis::aio::MultiplexedConnection;
use tokio::runtime::Runtime;

use super::*;

const CLOCK: &str = "local clock = redis.call('TIME')\nlocal now = clock[1] * 1000000 + clock[2]\n";

/// Later than the server's time by more than the longest pause, so that nothing expires while it is in use.
const START: u64 = 80 * MAX_PERIOD;

struct Server {
    runtime: Runtime,
    server: Valkey,
    connection: MultiplexedConnection,
}

impl Server {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let (server, connection) = runtime.block_on(async {
            let server = Valkey::start(ServerOptions::new()).await.unwrap();
            let client = redis::Client::open(format!("redis://{}", server.address().unwrap())).unwrap();
            let connection = client.get_multiplexed_async_connection().await.unwrap();
            (server, connection)
        });
        Self { runtime, server, connection }
    }

    fn run(&self, command: &Cmd) -> Value {
        self.runtime.block_on(command.query_async(&mut self.connection.clone())).unwrap()
    }

    /// Runs a script at a time.
    fn call_at(&self, mut call: Call, now: Micros) -> Value {
        assert!(call.script.text.contains(CLOCK));
        let text = call.script.text.replace(CLOCK, "local now = tonumber(ARGV[#ARGV])\n");
        call.numbers.push(signed(now.0));
        self.run(&call.command("EVAL", &text))
    }

    fn stored(&self, key: &str) -> Option<Usage> {
        match self.run(redis::cmd("GET").arg(key)) {
            Value::BulkString(value) => Some(usage(&value).expect("a usage")),
            _ => None,
        }
    }
}

/// The usages that the server should have.
#[derive(Default)]
struct Model(BTreeMap<LimitKey, Usage>);

impl Usages for Model {
    fn get(&mut self, charge: &Charge, now: Micros) -> Usage {
        let Some(usage) = self.0.get_mut(&charge.key) else { return Usage::unused(charge.limit) };
        *usage = usage.bounded(now);
        *usage
    }

    fn put(&mut self, charge: &Charge, usage: Usage, _now: Micros) {
        self.0.insert(charge.key, usage);
    }
}

#[derive(Clone, Debug)]
struct Step {
    pause: i64,
    charges: Vec<(u8, prop::sample::Index, u64, bool)>,
    carry: u64,
    refund: Option<(prop::sample::Index, u64, bool)>,
    settle: Option<(u8, prop::sample::Index, u64)>,
}

/// Limits of all sizes, also at the bounds.
fn limits() -> impl Strategy<Value = Limit> {
    let count = prop_oneof![1..20_u64, 1..=MAX_UNITS, Just(MAX_UNITS)];
    let period = prop_oneof![Just(SECOND), Just(60 * SECOND), 1_000..10 * SECOND, 1_000..=MAX_PERIOD, Just(MAX_PERIOD)];
    let burst = prop_oneof![1..10_u64, 1..=MAX_UNITS, Just(MAX_UNITS)];
    (count, period, burst).prop_filter_map("refills in time", |(count, period, burst)| {
        Limit::new(Rate::new(count, period).ok()?, burst).ok()
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // In hundredths of the time of one unit, so that requests come near the moment when one fits; seldom back.
    let pause = prop_oneof![4 => Just(0_i64), 4 => 0..300_i64, 2 => 0..100_000_i64, 1 => -100_000..0_i64];
    let cost = prop_oneof![6 => Just(1_u64), 2 => 0..5_u64, 1 => Just(u64::MAX), 2 => 1..=MAX_UNITS];
    let charge = (0..3_u8, any::<prop::sample::Index>(), cost, prop::bool::weighted(0.8));
    let carry = prop_oneof![8 => Just(0_u64), 1 => 1..5_u64, 1 => 1..=MAX_UNITS];
    let refund = prop::option::weighted(
        0.2,
        (any::<prop::sample::Index>(), prop_oneof![1..3_u64, 1..=MAX_UNITS], any::<bool>()),
    );
    let units = prop_oneof![1..5_u64, 1..=MAX_UNITS, Just(u64::MAX)];
    let settle = prop::option::weighted(0.2, (0..3_u8, any::<prop::sample::Index>(), units));
    let step = (pause, prop::collection::vec(charge, 0..4), carry, refund, settle)
        .prop_map(|(pause, charges, carry, refund, settle)| Step { pause, charges, carry, refund, settle });
    prop::collection::vec(step, 1..40)
}

fn key(name: u8) -> LimitKey {
    KeyHasher::new([1; 16]).key("limit", [[name].as_slice()])
}

/// Everything that a caller can see of an outcome.
fn seen(outcome: &Outcome) -> (Verdict, u32, u64, Micros) {
    (outcome.verdict(), outcome.remaining(), outcome.reset(), outcome.judged_at())
}

#[test]
fn the_scripts_decide_as_the_limiter_on_every_trace() {
    let server = Server::start();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(limits in prop::collection::vec(limits(), 1..4), steps in steps())| {
        server.run(&redis::cmd("FLUSHDB"));
        let mut model = Model::default();
        let mut log: Vec<Outcome> = Vec::new();
        let mut now = START;
        for step in steps {
            let unit = limits[0].rate().period().div_ceil(u64::from(limits[0].rate().count()));
            let pause = i128::from(unit) * i128::from(step.pause) / 100;
            let pause = pause.clamp(-i128::from(MAX_PERIOD), i128::from(MAX_PERIOD));
            now = u64::try_from(i128::from(now) + pause).unwrap().max(START / 2);
            let at = Micros(now);

            let charges: Vec<Charge> = step.charges.iter().map(|(name, limit, cost, is_enforced)| {
                let enforcement = if *is_enforced { Enforcement::Enforce } else { Enforcement::Shadow };
                Charge { id: LimitId(0), key: key(*name), limit: *limit.get(&limits), cost: *cost, enforcement }
            }).collect();
            let mut carried: Vec<Carried> = charges.iter().map(|charge| Carried { charge: *charge, units: 0 }).collect();
            if let Some(first) = carried.first_mut() && step.carry > 0 {
                first.units = step.carry;
                let (charge, units) = (first.charge, step.carry.min(first.charge.limit.burst().into()));
                let usage = model.get(&charge, at).add(charge.limit, units, at).bounded(at);
                model.put(&charge, usage, at);
            }
            let keys = charges.iter().map(|charge| charge.key.to_string()).collect();
            let reply = server.call_at(Call::charge(&carried, keys), at);
            let decided = decision(&carried, reply).unwrap();
            let expected = charge_all(&mut model, &charges, at).unwrap();
            prop_assert_eq!(decided.is_admitted(), expected.is_admitted());
            let both = decided.outcomes().iter().zip(expected.outcomes());
            for (decided, expected) in both {
                prop_assert_eq!(seen(decided), seen(expected));
            }
            if decided.is_admitted() {
                log.extend(decided.outcomes());
            }

            if let Some((index, units, is_lease)) = step.refund && !log.is_empty() {
                let outcome = log.remove(index.index(log.len()));
                let charge = outcome.charge();
                if outcome.verdict() == Verdict::Admitted && charge.cost > 0 {
                    let point = if is_lease { ChargePoint::at(outcome.judged_at()) } else { outcome.point() };
                    let refund = ScriptRefund::new(charge, units, point);
                    let reply = server.call_at(Call::refund(&refund, charge.key.to_string()), at);
                    let before = model.get(charge, at);
                    let (since, made) = (before.history().since, point.time());
                    // The script looks no further, and changes nothing.
                    let is_over = made < since || made > at || at.since(made) >= MAX_REFILL;
                    if !is_over && model.0.contains_key(&charge.key) {
                        let (back, usage) = before.refund(units.min(charge.cost), point, at);
                        prop_assert_eq!(refund.units_back(reply), Ok(back));
                        // The script then deletes what is not in use, so that a clock which goes back cannot bring it back.
                        if usage.is_unused(at) {
                            model.0.remove(&charge.key);
                        } else {
                            model.put(charge, usage, at);
                        }
                    }
                }
            }
            if let Some((name, limit, units)) = step.settle {
                let charge = Charge {
                    id: LimitId(0), key: key(name), limit: *limit.get(&limits), cost: units, enforcement: Enforcement::Enforce,
                };
                server.call_at(Call::carry(charge.limit, units, charge.key.to_string()), at);
                let usage = model.get(&charge, at).carry(charge.limit, units, at);
                model.put(&charge, usage, at);
            }
            for (key, usage) in &model.0 {
                let usage = usage.bounded(at);
                let stored = server.stored(&key.to_string()).map(|usage| usage.bounded(at));
                match stored {
                    Some(stored) => {
                        let are_unused = stored.is_unused(at) && usage.is_unused(at);
                        prop_assert!(stored == usage || are_unused, "{stored:?} is stored, not {usage:?}");
                    }
                    None => prop_assert!(usage.is_unused(at)),
                }
            }
        }
    });
    drop(server.server);
}

/// Of 10 units a second.
fn charge(cost: u64) -> Charge {
    let limit = "10/s".parse().unwrap();
    Charge { id: LimitId(0), key: key(0), limit, cost, enforcement: Enforcement::Enforce }
}

#[test]
fn a_key_expires_when_nothing_is_in_use() {
    let server = Server::start();
    let charge = charge(3);
    let now = Micros(START + 123_456);
    server.call_at(Call::charge(&[Carried { charge, units: 0 }], vec!["k".to_owned()]), now);
    let Value::Int(expiry) = server.run(redis::cmd("PEXPIRETIME").arg("k")) else { panic!("no time") };
    // 300 ms later, to the next whole millisecond.
    assert_eq!(u64::try_from(expiry).unwrap(), (START + 423_456) / 1_000 + 1);
}

/// The bound was not stored with a refusal, so the next request found the time of the other clock again: a key with one unit
/// in use was refused for the whole hour.
#[test]
fn a_clock_that_goes_back_costs_a_key_the_time_of_one_burst() {
    let server = Server::start();
    let charge = charge(1);
    let charge_at = |now: u64| {
        let carried = [Carried { charge, units: 0 }];
        decision(&carried, server.call_at(Call::charge(&carried, vec!["k".to_owned()]), Micros(now))).unwrap()
    };
    assert!(charge_at(START).is_admitted());
    let back = START - 3_600 * SECOND;
    assert_eq!(charge_at(back).wait(), Some(100_000));
    assert_eq!(charge_at(back + 99_999).wait(), Some(1));
    assert!(charge_at(back + 100_000).is_admitted());
    assert_eq!(charge_at(back + 2 * SECOND).outcomes()[0].remaining(), 9);
}

#[test]
fn a_value_that_is_no_usage_counts_as_none_and_is_replaced() {
    let server = Server::start();
    let charge = charge(3);
    let long = "9".repeat(1_000);
    let foreign = [
        "",
        "text",
        "1 2 3",
        "1 2 3 4 5 6 7",
        "1 0 1 1000 1",
        "-1 0 1 1000 1 1 1",
        "1 0 1 1000 1 1 1 1",
        "1e3 0 1 1000 1 1 1",
        &long,
    ];
    let plant = |value: &str| server.run(redis::cmd("SET").arg("k").arg(value));
    let lists = || {
        server.run(redis::cmd("DEL").arg("k")) != Value::Nil
            && server.run(redis::cmd("RPUSH").arg("k").arg("1")) != Value::Nil
    };
    for value in foreign.iter().map(Some).chain([None]) {
        match value {
            Some(value) => assert_eq!(plant(value), Value::Okay),
            None => assert!(lists()),
        }
        let carried = [Carried { charge, units: 0 }];
        let reply = server.call_at(Call::charge(&carried, vec!["k".to_owned()]), Micros(START));
        let decided = decision(&carried, reply).unwrap();
        assert_eq!((decided.is_admitted(), decided.outcomes()[0].remaining()), (true, 7), "{value:?}");
        assert_eq!(server.stored("k").unwrap().in_use(Micros(START)), 3);
    }
}

#[test]
fn a_reply_that_the_script_does_not_give_is_a_failure() {
    let charge = charge(3);
    let carried = [Carried { charge, units: 0 }];
    let text = |value: &str| Value::BulkString(value.into());
    let good = Value::Array(vec![Value::Int(5), Value::Int(1), text("")]);
    assert!(decision(&carried, good).unwrap().is_admitted());
    for bad in [
        Value::Nil,
        Value::Int(1),
        Value::Array(vec![]),
        Value::Array(vec![Value::Int(5), Value::Int(1)]),
        Value::Array(vec![Value::Int(-5), Value::Int(1), text("")]),
        Value::Array(vec![Value::Int(5), Value::Int(1), Value::Nil]),
        Value::Array(vec![Value::Int(5), Value::Int(1), text("1 2")]),
        // The limiter admits.
        Value::Array(vec![Value::Int(5), Value::Int(0), text("")]),
        // The limiter refuses.
        Value::Array(vec![Value::Int(5), Value::Int(1), text("1000005 0 10 1000000 10 0 10")]),
    ] {
        assert_eq!(decision(&carried, bad.clone()), Err(StoreFailure::Reply), "{bad:?}");
    }
}
