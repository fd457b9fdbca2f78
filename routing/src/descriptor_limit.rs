//! Rate limits of descriptors: those that calls of Envoy's `RateLimitService` name (docs/decisions/0028).

mod tree;

use cellgate_limiting::{
    Charge, Enforcement, KeyHasher, Limit, LimitId, Plans, Rate, SECOND, StoreCharge, WhenStoreFails,
};

use crate::rate_limit::MAX_RATE_LIMITS;
pub(crate) use tree::DescriptorTree;

/// The most limits of descriptors in a configuration. At most one of them applies to a descriptor.
pub const MAX_DESCRIPTOR_LIMITS: usize = 4096;

/// A rate limit of descriptors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescriptorLimit {
    /// Unique among all rate limits of the configuration.
    pub name: Box<str>,
    /// The domain of the calls.
    pub domain: Box<str>,
    /// The entries of a descriptor that the limit counts, in their order. At least one.
    pub key: Vec<DescriptorPart>,
    /// The limit of each key.
    pub rule: DescriptorRule,
    /// Whether the limit can refuse a call.
    pub enforcement: Enforcement,
    /// The answer while the store fails.
    pub when_store_fails: WhenStoreFails,
}

/// An entry of a descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescriptorPart {
    /// The key of the entry.
    pub key: Box<str>,
    /// Its values.
    pub values: EntryValues,
}

/// The values of an entry that a limit counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryValues {
    /// Each value has an allowance of its own.
    Any,
    /// Only this value.
    One(Box<str>),
    /// The values with this prefix.
    Prefix {
        /// Without the `*`. May be empty.
        prefix: Box<str>,
        /// Whether they share one allowance. Otherwise each has its own.
        shared: bool,
    },
}

/// The answer of a limit to the descriptors that it applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DescriptorRule {
    /// Count them.
    Count {
        /// The limit of each key.
        plans: Plans,
        /// The highest rate and burst of a limit that the descriptor carries. `None`: such a limit is ignored.
        override_at_most: Option<Limit>,
    },
    /// Admit them, uncounted.
    Allow,
    /// Refuse them.
    Deny,
}

/// The part of a call that one limit charges.
#[derive(Clone, Copy, Debug)]
pub struct DescriptorClaim {
    /// Units.
    pub cost: u64,
    /// The limit that the descriptor carries.
    pub carried: Option<Limit>,
}

impl DescriptorLimit {
    /// The identity of the limit at this place of the configuration. It differs from those of all limits of requests.
    #[must_use]
    pub fn id(index: usize) -> LimitId {
        // A configuration has fewer limits.
        LimitId(u16::try_from(MAX_RATE_LIMITS + index).unwrap_or(u16::MAX))
    }

    /// The place of a limit with this identity. `None`: it is a limit of requests.
    #[must_use]
    pub(crate) fn index(id: LimitId) -> Option<usize> {
        usize::from(id.0).checked_sub(MAX_RATE_LIMITS)
    }

    /// The charge of a descriptor with these values, which the limit applies to. `index` is the limit's place in the
    /// configuration. `None`: the descriptor is not counted.
    #[must_use]
    pub fn charge<'a>(
        &self,
        index: usize,
        values: impl Iterator<Item = &'a [u8]> + Clone,
        claim: DescriptorClaim,
        hasher: &KeyHasher,
    ) -> Option<StoreCharge> {
        let (limit, cost, when_store_fails) = match &self.rule {
            DescriptorRule::Allow => return None,
            // A cost over the burst is never admitted, by the store or by this process.
            DescriptorRule::Deny => (Limit::of(Rate::new(1, SECOND).ok()?), 2, WhenStoreFails::Local),
            DescriptorRule::Count { plans, override_at_most } => {
                let carried = claim.carried.zip(*override_at_most).map(|(carried, ceiling)| carried.at_most(ceiling));
                // Plans are by the only entry.
                let only = values.clone().next().filter(|_| self.key.len() == 1);
                let only = only.and_then(|value| std::str::from_utf8(value).ok()).unwrap_or_default();
                (plans.limit(only, carried, None)?, claim.cost, self.when_store_fails)
            }
        };
        // A tag before each value: no value equals a prefix.
        let values = self.key.iter().zip(values).flat_map(|(part, value)| -> [&[u8]; 2] {
            match &part.values {
                EntryValues::Prefix { prefix, shared: true } => [b"*", prefix.as_bytes()],
                EntryValues::Any | EntryValues::One(_) | EntryValues::Prefix { .. } => [b"=", value],
            }
        });
        let key = hasher.key(&self.name, values);
        let charge = Charge { id: Self::id(index), key, limit, cost, enforcement: self.enforcement };
        Some(StoreCharge { charge, when_store_fails })
    }
}

#[cfg(test)]
mod tests;
