//! The documents of `/limits` on the admin port. `cellgate limits` reads them.
//!
//! They name a limit key by its digest, and have no value of a request. A reader ignores fields that it does not know, so
//! that a newer service can add some. A limit is written as in the configuration: `100/min;burst=20`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `GET /limits`: the rate limits of the configuration in force, and the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitList {
    /// In the order of the configuration.
    pub limits: Vec<LimitSummary>,
    /// The store of what is in use.
    pub store: StoreStatus,
}

/// A rate limit, without the keys that have a plan or a limit of their own: a key may be an API key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitSummary {
    /// Its name.
    pub name: String,
    /// The parts of its key, such as `routing_key` or `header x-api-key`.
    pub key: Vec<String>,
    /// The limit of every key that nothing else gives one.
    pub limit: Option<String>,
    /// The plans with their limits.
    pub plans: BTreeMap<String, String>,
    /// How many keys the configuration gives a plan.
    pub keys_with_plan: u64,
    /// How many keys have a limit of their own.
    pub overrides: u64,
    /// The claim that names the plan of a request.
    pub plan_from: Option<String>,
    /// The claim that holds the limit of a request.
    pub limit_from: Option<String>,
    /// The highest limit that `limit_from` can give.
    pub at_most: Option<String>,
    /// The units that a request takes: a number, or where it is from.
    pub cost: String,
    /// Whether it is measured and never refuses.
    pub shadow: bool,
    /// `allow`, `deny` or `local`.
    pub when_store_fails: String,
    /// The units that filters hold, of all keys together. `None` if the limit is not leased.
    #[serde(default)]
    pub outstanding: Option<u64>,
}

/// The state and the counts of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreStatus {
    /// `embedded` in this process, or of a Redis: `connecting`, `available`, `degraded` or `unavailable`.
    pub state: String,
    /// Why the store does not answer, or not all keys, and what to do.
    pub problem: Option<String>,
    /// Keys with a usage of their own in this process. Of a Redis store, those of its fallback.
    pub keys: u64,
    /// The most of them (`--max-limit-keys`).
    pub max_keys: u64,
    /// Usages with nothing in use that a new key has replaced in this process, since the start.
    pub evictions: u64,
    /// Charges in this process of keys that found no place and share an allowance, since the start.
    pub overflow_charges: u64,
}

/// `GET /limits/NAME?value=…`: what a key has in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyUsage {
    /// The name of the limit.
    pub name: String,
    /// The digest of the key.
    pub digest: String,
    /// The limit of the key. `None` if only a request decides it, and none is known.
    pub limit: Option<String>,
    /// The origin of `limit`.
    pub limit_is: LimitOf,
    /// Units in use.
    pub used: u64,
    /// Units that are left under `limit`.
    pub remaining: Option<u64>,
    /// Milliseconds until nothing is in use, if no request comes, rounded up.
    pub full_in_ms: u64,
    /// Units of `used` that filters hold, and have not reported as spent. `None` if the limit is not leased.
    #[serde(default)]
    pub outstanding: Option<u64>,
}

/// The origin of the limit of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitOf {
    /// The key's own limit, in `overrides`.
    Override,
    /// The plan that `plan_of` gives the key.
    Plan,
    /// The limit of every key that nothing else gives one.
    Default,
    /// The lowest limit of any key: the value is unusable.
    Lowest,
    /// The last charge: claims of requests decide the limit.
    LastCharge,
    /// Unknown: claims of requests decide it, and nothing is in use.
    Requests,
    /// The configuration has no limit for this key, so it counts nothing.
    Nothing,
}

/// `POST /limits/NAME/reset?value=…`: what was forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// The name of the limit.
    pub name: String,
    /// The digest of the key.
    pub digest: String,
    /// Whether anything was in use.
    pub was_in_use: bool,
    /// The units that were in use in the store just before.
    pub units: u64,
    /// The units that filters hold, and may spend beside the new allowance.
    #[serde(default)]
    pub outstanding: u64,
    /// How long a filter that no longer reaches the service may spend them. Milliseconds.
    #[serde(default)]
    pub lease_term_ms: u64,
}
