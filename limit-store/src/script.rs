//! The scripts that run in Redis: one judges all charges of a request, one gives units back, and one charges more.
//!
//! The first two return what each key had before, and the time. The limiter makes the decision of that a second time, so that
//! its outcomes are those of any other store. The arithmetic is exact on both sides: if they ever disagree, the reply is an
//! error.

use std::sync::LazyLock;

use cellgate_limiting::{
    Charge, ChargePoint, Decision, Enforcement, History, Limit, Micros, Rate, Usage, Usages, charge_all,
};
use redis::{Cmd, Script, Value};

use crate::failure::StoreFailure;

static CHARGE: LazyLock<ServerScript> = LazyLock::new(|| ServerScript::new(CHARGE_TEXT));
static REFUND: LazyLock<ServerScript> = LazyLock::new(|| ServerScript::new(REFUND_TEXT));
static CARRY: LazyLock<ServerScript> = LazyLock::new(|| ServerScript::new(CARRY_TEXT));

const CHARGE_TEXT: &str =
    concat!(include_str!("script/exact.lua"), include_str!("script/usage.lua"), include_str!("script/charge.lua"));
const REFUND_TEXT: &str =
    concat!(include_str!("script/exact.lua"), include_str!("script/usage.lua"), include_str!("script/refund.lua"));
const CARRY_TEXT: &str =
    concat!(include_str!("script/exact.lua"), include_str!("script/usage.lua"), include_str!("script/carry.lua"));

/// A script by its text and by the digest under which the server knows it.
struct ServerScript {
    text: &'static str,
    digest: String,
}

/// A call of a script.
pub(crate) struct Call {
    script: &'static ServerScript,
    keys: Vec<String>,
    numbers: Vec<i64>,
}

/// A charge, and units of its key that were used while the store was gone and are charged first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Carried {
    pub(crate) charge: Charge,
    pub(crate) units: u64,
}

/// Units of a charge that go back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScriptRefund {
    units: u64,
    point: ChargePoint,
}

impl ServerScript {
    fn new(text: &'static str) -> Self {
        Self { text, digest: Script::new(text).get_hash().to_owned() }
    }
}

impl Call {
    /// Judges charges: see `script/charge.lua`. Each has a key.
    pub(crate) fn charge(charges: &[Carried], keys: Vec<String>) -> Self {
        let numbers = charges.iter().flat_map(numbers).collect();
        Self { script: &CHARGE, keys, numbers }
    }

    /// Gives units of a charge back: see `script/refund.lua`.
    pub(crate) fn refund(refund: &ScriptRefund, key: String) -> Self {
        let ScriptRefund { units, point } = refund;
        let numbers = vec![signed(*units), signed(point.time().0), point.charged().map_or(-1, signed)];
        Self { script: &REFUND, keys: vec![key], numbers }
    }

    /// Charges units whether they fit or not: see `script/carry.lua`.
    pub(crate) fn carry(limit: Limit, units: u64, key: String) -> Self {
        let rate = limit.rate();
        let numbers = vec![rate.count().into(), signed(rate.period()), limit.burst().into(), signed(units)];
        Self { script: &CARRY, keys: vec![key], numbers }
    }

    /// The command for a server that knows the script.
    pub(crate) fn by_digest(&self) -> Cmd {
        self.command("EVALSHA", &self.script.digest)
    }

    /// The command for a server that does not. It does afterwards.
    pub(crate) fn by_text(&self) -> Cmd {
        self.command("EVAL", self.script.text)
    }

    /// All keys of a call are in one slot of a cluster, so the first one stands for them.
    pub(crate) fn first_key(&self) -> &str {
        self.keys.first().map_or("", String::as_str)
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(self.keys.len()).arg(&self.keys).arg(&self.numbers);
        command
    }
}

impl ScriptRefund {
    /// At most the cost of a charge.
    pub(crate) fn new(charge: &Charge, units: u64, point: ChargePoint) -> Self {
        Self { units: units.min(charge.cost).min(charge.limit.burst().into()), point }
    }

    /// The units that came back, from the reply of a server.
    ///
    /// # Errors
    /// The reply is not that of the script.
    pub(crate) fn units_back(&self, reply: Value) -> Result<u64, StoreFailure> {
        let (now, _, values) = parse(reply).ok_or(StoreFailure::Reply)?;
        match values.as_slice() {
            [value] if value.is_empty() => Ok(0),
            [value] => usage(value).map(|usage| usage.refund(self.units, self.point, now).0).ok_or(StoreFailure::Reply),
            _ => Err(StoreFailure::Reply),
        }
    }
}

/// The decision from the reply of a server.
///
/// # Errors
/// The reply is not that of the script, or contradicts the limiter.
pub(crate) fn decision(charges: &[Carried], reply: Value) -> Result<Decision, StoreFailure> {
    let (now, is_admitted, values) = parse(reply).ok_or(StoreFailure::Reply)?;
    if values.len() != charges.len() {
        return Err(StoreFailure::Reply);
    }
    let charges: Vec<Charge> = charges.iter().map(|carried| carried.charge).collect();
    let mut before = Vec::with_capacity(values.len());
    for (charge, value) in charges.iter().zip(&values) {
        before.push(match value.as_slice() {
            b"" => Usage::unused(charge.limit),
            value => usage(value).ok_or(StoreFailure::Reply)?,
        });
    }
    let mut returned = Returned { charges: &charges, before };
    let decision = charge_all(&mut returned, &charges, now).map_err(|_| StoreFailure::Reply)?;
    if decision.is_admitted() == is_admitted { Ok(decision) } else { Err(StoreFailure::Reply) }
}

/// The usage that a key's value says: `TAT FRACTION COUNT PERIOD BURST SINCE CHARGED`. `None` if it is none.
pub(crate) fn usage(value: &[u8]) -> Option<Usage> {
    let mut numbers = std::str::from_utf8(value).ok()?.split(' ').map(str::parse::<u64>);
    let mut next = || numbers.next()?.ok();
    let (tat, fraction, count, period, burst) = (next()?, next()?, next()?, next()?, next()?);
    let limit = Limit::new(Rate::new(count, period).ok()?, burst).ok()?;
    let history = History { since: Micros(next()?), charged: next()? };
    let usage = Usage::arriving(limit, Micros(tat), u32::try_from(fraction).ok()?, history);
    usage.filter(|_| numbers.next().is_none())
}

/// The reply of the script, as a table of usages.
struct Returned<'a> {
    charges: &'a [Charge],
    before: Vec<Usage>,
}

/// The script has stored the usages already.
impl Usages for Returned<'_> {
    fn get(&mut self, charge: &Charge, now: Micros) -> Usage {
        let place = self.charges.iter().position(|other| other.key == charge.key);
        let usage = place.and_then(|place| self.before.get(place)).copied();
        usage.unwrap_or_else(|| Usage::exhausted(charge.limit, now))
    }

    fn put(&mut self, _charge: &Charge, _usage: Usage, _now: Micros) {}
}

/// The arguments of a charge. A server has no integers of 128 bits, so products are made here.
fn numbers(carried: &Carried) -> [i64; 10] {
    let Carried { charge, units } = carried;
    let (rate, burst) = (charge.limit.rate(), u64::from(charge.limit.burst()));
    let (count, period) = (u64::from(rate.count()), rate.period());
    // The time in which units come back. It is at most that of the burst, so it has 45 bits.
    let time = |units: u64| {
        let level = u128::from(units) * u128::from(period);
        let signed = |number: u128| i64::try_from(number).unwrap_or(i64::MAX);
        (signed(level / u128::from(count)), signed(level % u128::from(count)))
    };
    let (cost, room) = match burst.checked_sub(charge.cost) {
        Some(room) => (time(charge.cost), time(room)),
        None => ((0, 0), (-1, 0)),
    };
    let is_enforced = charge.enforcement == Enforcement::Enforce;
    [
        signed(count),
        signed(period),
        signed(burst),
        signed(charge.cost),
        cost.0,
        cost.1,
        room.0,
        room.1,
        i64::from(is_enforced),
        signed((*units).min(burst)),
    ]
}

fn parse(reply: Value) -> Option<(Micros, bool, Vec<Vec<u8>>)> {
    let Value::Array(values) = reply else { return None };
    let mut values = values.into_iter();
    let (Some(Value::Int(now)), Some(Value::Int(is_admitted))) = (values.next(), values.next()) else { return None };
    let values = values.map(|value| match value {
        Value::BulkString(value) => Some(value),
        _ => None,
    });
    Some((Micros(u64::try_from(now).ok()?), is_admitted == 1, values.collect::<Option<_>>()?))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
