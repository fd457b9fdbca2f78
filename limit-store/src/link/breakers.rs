//! The circuit breakers of a connection: one, or one for each part of a cluster whose keys are judged alone.
//!
//! A part is the slots that one primary had when the connection was made. If slots move later, a part has several
//! primaries: then one that fails can open the breaker of the others' keys in it, until it is probed.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use redis::Value;

use super::slot::slot;

/// How many names are tried for a probe's key. Each hits a part of one percent with a probability of 1 in 100.
const MAX_NAMES: u32 = 20_000;

/// Circuit breakers.
#[derive(Debug)]
pub(crate) struct Breakers {
    parts: Vec<Part>,
    /// First slot, last slot, part.
    ranges: Vec<(u16, u16, usize)>,
    max_failures: u32,
}

#[derive(Debug)]
struct Part {
    failures: AtomicU32,
    is_open: AtomicBool,
    /// A key in this part that no limit has.
    probe: String,
}

/// The state that a failure has opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// Nothing.
    Nothing,
    /// A part, while others are closed.
    Part,
    /// All parts are open now.
    All,
}

impl Breakers {
    /// One breaker.
    pub(crate) fn one(probe: String, max_failures: u32) -> Self {
        Self { parts: vec![Part::new(probe)], ranges: Vec::new(), max_failures }
    }

    /// A breaker for each primary, from the reply to `CLUSTER SLOTS`. `name` makes the key of a probe from a number. If the
    /// reply cannot be read, there is one breaker.
    pub(crate) fn of_cluster(reply: &Value, name: impl Fn(u32) -> String, max_failures: u32) -> Self {
        let mut breakers = Self { parts: Vec::new(), ranges: Vec::new(), max_failures };
        let mut primaries: Vec<&Value> = Vec::new();
        let entries = if let Value::Array(entries) = reply { entries.as_slice() } else { &[] };
        for entry in entries {
            let Value::Array(entry) = entry else { continue };
            let [Value::Int(first), Value::Int(last), primary, ..] = entry.as_slice() else { continue };
            let (Ok(first), Ok(last)) = (u16::try_from(*first), u16::try_from(*last)) else { continue };
            let part = primaries.iter().position(|other| *other == primary).unwrap_or(primaries.len());
            if part == primaries.len() {
                primaries.push(primary);
                breakers.parts.push(Part::new(String::new()));
            }
            breakers.ranges.push((first, last, part));
        }
        for number in 0..MAX_NAMES {
            if breakers.parts.iter().all(|part| !part.probe.is_empty()) {
                break;
            }
            let name = name(number);
            let place = breakers.part_of(&name);
            if let Some(part) = breakers.parts.get_mut(place).filter(|part| part.probe.is_empty()) {
                part.probe = name;
            }
        }
        // A part without a probe would stay open for ever.
        if breakers.parts.is_empty() || breakers.parts.iter().any(|part| part.probe.is_empty()) {
            return Self::one(name(0), max_failures);
        }
        breakers
    }

    /// The part that has a key.
    pub(crate) fn part_of(&self, key: &str) -> usize {
        if self.ranges.is_empty() {
            return 0;
        }
        let slot = slot(key.as_bytes());
        let range = self.ranges.iter().find(|(first, last, _)| (*first..=*last).contains(&slot));
        range.map_or(0, |(_, _, part)| *part)
    }

    pub(crate) fn is_open(&self, part: usize) -> bool {
        self.parts.get(part).is_some_and(|part| part.is_open.load(Ordering::Relaxed))
    }

    /// How many parts are open, and how many there are.
    pub(crate) fn open(&self) -> (usize, usize) {
        let open = self.parts.iter().filter(|part| part.is_open.load(Ordering::Relaxed)).count();
        (open, self.parts.len())
    }

    pub(crate) fn succeed(&self, part: usize) {
        if let Some(part) = self.parts.get(part) {
            part.failures.store(0, Ordering::Relaxed);
            part.is_open.store(false, Ordering::Relaxed);
        }
    }

    pub(crate) fn open_at(&self, part: usize) {
        if let Some(part) = self.parts.get(part) {
            part.is_open.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn fail(&self, part: usize) -> Opened {
        let Some(part) = self.parts.get(part) else { return Opened::Nothing };
        if part.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1) < self.max_failures {
            return Opened::Nothing;
        }
        part.is_open.store(true, Ordering::Relaxed);
        let (open, parts) = self.open();
        if open == parts { Opened::All } else { Opened::Part }
    }

    /// The key of each part's probe.
    pub(crate) fn probes(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| part.probe.as_str())
    }
}

impl Part {
    fn new(probe: String) -> Self {
        Self { failures: AtomicU32::new(0), is_open: AtomicBool::new(false), probe }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(entries: &[(i64, i64, &str)]) -> Value {
        let entry = |(first, last, primary): &(i64, i64, &str)| {
            let primary = Value::Array(vec![Value::BulkString((*primary).into()), Value::Int(6379)]);
            Value::Array(vec![Value::Int(*first), Value::Int(*last), primary])
        };
        Value::Array(entries.iter().map(entry).collect())
    }

    #[test]
    fn each_primary_has_a_breaker_and_a_probe() {
        let slots = reply(&[(0, 99, "a"), (100, 9_999, "b"), (10_000, 16_383, "a")]);
        let breakers = Breakers::of_cluster(&slots, |number| format!("{number}probe"), 2);
        let probes: Vec<&str> = breakers.probes().collect();
        assert_eq!(probes.iter().map(|probe| breakers.part_of(probe)).collect::<Vec<_>>(), [0, 1]);

        assert_eq!((breakers.fail(1), breakers.open()), (Opened::Nothing, (0, 2)));
        breakers.succeed(1);
        assert_eq!((breakers.fail(1), breakers.fail(1)), (Opened::Nothing, Opened::Part));
        assert!(breakers.is_open(1) && !breakers.is_open(0));
        assert_eq!((breakers.fail(0), breakers.fail(0)), (Opened::Nothing, Opened::All));
        breakers.succeed(1);
        assert_eq!((breakers.is_open(1), breakers.open()), (false, (1, 2)));
    }

    #[test]
    fn a_reply_that_cannot_be_read_makes_one_breaker() {
        for bad in [Value::Nil, reply(&[]), reply(&[(-1, 5, "a")]), Value::Array(vec![Value::Nil])] {
            let breakers = Breakers::of_cluster(&bad, |number| format!("{number}probe"), 1);
            assert_eq!((breakers.open(), breakers.part_of("any"), breakers.fail(0)), ((0, 1), 0, Opened::All));
        }
    }
}
