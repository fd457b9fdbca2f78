//! Rate limits as they are configured: plain data (docs/decisions/0026).

mod due;
mod settlement;

use std::fmt;

use cellgate_limiting::{Enforcement, KeyHasher, Limit, LimitKey, Plans, WhenStoreFails};

use crate::action::CellId;
use crate::scope::Scope;
use crate::source::{Source, Template};
pub use due::{ConcurrencyFinding, DueAllowance, DueLimits, LimitFinding, NotCounted};
pub use settlement::{OnFailure, ResponseNeeds, ResponsePlace, Settlement};

/// The most rate limits of a configuration.
pub const MAX_RATE_LIMITS: usize = cellgate_limiting::MAX_CHARGES;

/// The most parts of a limit's key.
pub const MAX_KEY_PARTS: usize = 8;

/// A rate limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Unique in the configuration.
    pub name: Box<str>,
    /// Requests with the same values share one allowance. Without parts, all requests share one.
    pub key: Vec<LimitKeyPart>,
    /// The limit of each key.
    pub plans: Plans,
    /// The claim that names the plan of a request.
    pub plan_from: Option<Source>,
    /// The claim that holds the limit of a request.
    pub limit_from: Option<CarriedLimit>,
    /// The requests that the limit counts.
    pub scope: Scope,
    /// The cells whose requests the limit counts. All cells if the list is empty.
    pub cells: Vec<CellId>,
    /// Units for a request.
    pub cost: CostRule,
    /// The number in the response that replaces the cost.
    pub settlement: Option<Settlement>,
    /// Whether the limit can refuse a request.
    pub enforcement: Enforcement,
    /// Whether filters may spend units that the service has charged for them in advance.
    pub is_leased: bool,
    /// The answer while the store fails.
    pub when_store_fails: WhenStoreFails,
}

/// A part of a limit's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitKeyPart {
    /// The key that decided the cell.
    RoutingKey,
    /// The decided cell.
    Cell,
    /// The URI of the client's verified certificate, such as its SPIFFE ID.
    Peer,
    /// The client's IP address, as Envoy knows it.
    ClientAddress,
    /// The request's method.
    Method,
    /// The first template that the path matches.
    Path {
        /// In order of precedence.
        templates: Vec<Template>,
        /// The value of requests that match none. Without it, the limit does not count them.
        otherwise: Option<Box<str>>,
    },
    /// A value of the request.
    Value {
        /// The place of the value.
        source: Source,
        /// The value of requests that have none. Without it, the limit does not count them.
        otherwise: Option<Box<str>>,
    },
}

/// A limit that travels with the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarriedLimit {
    /// The claim that holds it.
    pub source: Source,
    /// The highest rate and burst.
    pub at_most: Limit,
}

/// The cost of a request, in units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CostRule {
    /// The same for every request.
    Fixed(u64),
    /// A unit for each `unit_bytes` of Content-Length, or part of it. At least one unit.
    ContentLength {
        /// At least 1.
        unit_bytes: u64,
        /// The cost of a request with a body and without a Content-Length.
        otherwise: u64,
    },
    /// A number in the request.
    Number {
        /// The place of the number.
        source: Source,
        /// The highest cost.
        at_most: u64,
        /// The cost of a request without a number, or with one that is not whole or negative.
        otherwise: u64,
    },
}

impl RateLimit {
    /// The limit key of the values of its parts, in their order. `None` is an unusable value: no text has the same key.
    #[must_use]
    pub fn key_of<'a>(&'a self, values: impl Iterator<Item = Option<&'a str>>, hasher: &KeyHasher) -> LimitKey {
        key_of(&self.name, values, hasher)
    }

    /// The sources of its values, in the head or in the body.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &Source> {
        let in_cost = match &self.cost {
            CostRule::Number { source, .. } => Some(source),
            CostRule::Fixed(_) | CostRule::ContentLength { .. } => None,
        };
        let carried = self.limit_from.as_ref().map(|carried| &carried.source);
        key_sources(&self.key).chain(in_cost).chain(&self.plan_from).chain(carried)
    }
}

/// The limit key of the values of a key, in the order of its parts. `None` is an unusable value.
pub(crate) fn key_of<'a>(
    limit: &'a str,
    values: impl Iterator<Item = Option<&'a str>>,
    hasher: &KeyHasher,
) -> LimitKey {
    let tagged = values.flat_map(|value| -> [&[u8]; 2] {
        match value {
            Some(text) => [b"=", text.as_bytes()],
            None => [b"!", b""],
        }
    });
    hasher.key(limit, tagged)
}

/// The sources of a key's values, in the head or in the body.
pub(crate) fn key_sources(key: &[LimitKeyPart]) -> impl Iterator<Item = &Source> {
    key.iter().filter_map(|part| match part {
        LimitKeyPart::Value { source, .. } => Some(source),
        _ => None,
    })
}

/// As in the configuration: `routing_key`, `paths`, or the source, such as `header x-api-key`.
impl fmt::Display for LimitKeyPart {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            LimitKeyPart::RoutingKey => "routing_key",
            LimitKeyPart::Cell => "cell",
            LimitKeyPart::Peer => "peer",
            LimitKeyPart::ClientAddress => "client_address",
            LimitKeyPart::Method => "method",
            LimitKeyPart::Path { .. } => "paths",
            LimitKeyPart::Value { source, .. } => return source.fmt(formatter),
        })
    }
}

/// `1`, `content_length, 65536 bytes a unit`, `header x-cost, at most 10`.
impl fmt::Display for CostRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CostRule::Fixed(cost) => cost.fmt(formatter),
            CostRule::ContentLength { unit_bytes, .. } => {
                write!(formatter, "content_length, {unit_bytes} bytes a unit")
            }
            CostRule::Number { source, at_most, .. } => write!(formatter, "{source}, at most {at_most}"),
        }
    }
}
