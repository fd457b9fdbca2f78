//! Plans: named limits, and which key has which.

use std::collections::BTreeMap;

use crate::limit::Limit;

/// The limits of the keys of one limit: a limit for single keys, a plan for many, and one for all others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plans {
    default: Option<Limit>,
    plans: BTreeMap<Box<str>, Limit>,
    /// Plans are resolved, so that a look-up is one.
    keys: BTreeMap<Box<str>, KeyPlan>,
    overrides: BTreeMap<Box<str>, Limit>,
    /// The plans of no key.
    unassigned: Vec<Box<str>>,
    lowest: Option<Limit>,
}

/// The plan of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct KeyPlan {
    limit: Limit,
    /// Its place among the plans.
    place: usize,
}

/// Which entry of [`Plans`] gives a key its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitOrigin<'a> {
    /// The key's own limit.
    Override,
    /// The limit that the request carries.
    Carried,
    /// The plan that the configuration gives the key.
    PlanOfKey(&'a str),
    /// The plan that the request names.
    NamedPlan(&'a str),
    /// The limit of every key that nothing else gives one.
    Default,
    /// The lowest of all, because the request's value is unusable.
    Lowest,
}

/// The entries of [`Plans`] as they are written, in any order.
#[derive(Clone, Debug, Default)]
pub struct PlansBuilder<'a> {
    /// The limit of every key that nothing else gives one. Without it, such keys have no limit.
    pub default: Option<Limit>,
    /// Plans by name.
    pub plans: Vec<(&'a str, Limit)>,
    /// Keys with the name of their plan.
    pub keys: Vec<(&'a str, &'a str)>,
    /// Keys with a limit of their own.
    pub overrides: Vec<(&'a str, Limit)>,
}

/// Why entries are no plans.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPlans {
    /// Two plans have one name.
    #[error("the plan {0:?} is defined twice: remove one")]
    DuplicatePlan(Box<str>),
    /// A key has two plans or two limits.
    #[error("the key {0:?} is listed twice: remove one")]
    DuplicateKey(Box<str>),
    /// A key has a plan that is not defined.
    #[error("the key {key:?} has the plan {plan:?}, which is not defined: define it or correct the name")]
    UnknownPlan {
        /// The key.
        key: Box<str>,
        /// The name of its plan.
        plan: Box<str>,
    },
}

impl PlansBuilder<'_> {
    /// Checks the entries and builds the tables.
    ///
    /// # Errors
    /// The first entry that contradicts another one.
    pub fn build(self) -> Result<Plans, BadPlans> {
        let plans = table(self.plans, BadPlans::DuplicatePlan)?;
        let unassigned = unassigned(&plans, &self.keys);
        let names: Vec<(&str, Limit)> = plans.iter().map(|(name, limit)| (&**name, *limit)).collect();
        let find = |plan: &str| {
            let place = names.binary_search_by_key(&plan, |(name, _)| *name).ok()?;
            names.get(place).map(|(_, limit)| KeyPlan { limit: *limit, place })
        };
        let resolved = self.keys.into_iter().map(|(key, plan)| match find(plan) {
            Some(found) => Ok((key, found)),
            None => Err(BadPlans::UnknownPlan { key: key.into(), plan: plan.into() }),
        });
        let keys = table(resolved.collect::<Result<Vec<_>, _>>()?, BadPlans::DuplicateKey)?;
        let overrides = table(self.overrides, BadPlans::DuplicateKey)?;
        let mut plans = Plans { default: self.default, plans, keys, overrides, unassigned, lowest: None };
        plans.lowest = plans.limits().reduce(Limit::lower);
        Ok(plans)
    }
}

impl Plans {
    /// The limit of a key, and `None` if it has none. The first that exists: the key's own limit, the limit that the request
    /// carries, the plan that the configuration gives the key, the plan that the request names (from a verified claim, say),
    /// the default. A name that is no plan counts as none.
    #[must_use]
    pub fn limit(&self, key: &str, carried: Option<Limit>, named: Option<&str>) -> Option<Limit> {
        let own = self.overrides.get(key).copied();
        let planned = || {
            self.keys.get(key).map(|plan| &plan.limit).or_else(|| named.and_then(|name| self.plans.get(name))).copied()
        };
        own.or(carried).or_else(planned).or(self.default)
    }

    /// The limit of a key as [`Plans::limit`] finds it, and its origin. For people: it takes longer.
    #[must_use]
    pub fn explain(&self, key: &str, carried: Option<Limit>, named: Option<&str>) -> Option<(Limit, LimitOrigin<'_>)> {
        let of_key = || {
            let plan = self.keys.get(key)?;
            let name = self.plans.keys().nth(plan.place)?;
            Some((plan.limit, LimitOrigin::PlanOfKey(name)))
        };
        let by_name = || {
            let (name, limit) = self.plans.get_key_value(named?)?;
            Some((*limit, LimitOrigin::NamedPlan(name)))
        };
        let own = self.overrides.get(key).map(|limit| (*limit, LimitOrigin::Override));
        let carried = || carried.map(|limit| (limit, LimitOrigin::Carried));
        own.or_else(carried).or_else(of_key).or_else(by_name).or_else(|| Some((self.default?, LimitOrigin::Default)))
    }

    /// The lowest limit that a key can have, for requests whose value is unusable: by a value of another form, none of them may
    /// have more than by its own. With the limit that the request has otherwise, if it is lower.
    #[must_use]
    pub fn lowest(&self, otherwise: Option<Limit>) -> Option<Limit> {
        self.lowest.into_iter().chain(otherwise).reduce(Limit::lower)
    }

    /// The plans with their limits, by name in ascending order.
    pub fn plans(&self) -> impl Iterator<Item = (&str, Limit)> {
        self.plans.iter().map(|(name, limit)| (&**name, *limit))
    }

    /// The limit of every key that nothing else gives one.
    #[must_use]
    pub fn default_limit(&self) -> Option<Limit> {
        self.default
    }

    /// All limits that a key can have, in no order that counts.
    pub fn limits(&self) -> impl Iterator<Item = Limit> {
        let tables = [&self.plans, &self.overrides].into_iter().flat_map(|table| table.values().copied());
        self.default.into_iter().chain(tables).chain(self.keys.values().map(|plan| plan.limit))
    }

    /// The keys with a plan or a limit of their own, each with whether it is its own limit. A key with both is there twice.
    pub fn listed(&self) -> impl Iterator<Item = (&str, bool)> {
        let keys = self.keys.keys().map(|key| (&**key, false));
        keys.chain(self.overrides.keys().map(|key| (&**key, true)))
    }

    /// The plans of no key, in ascending order. Only a request can name one of them.
    pub fn unassigned(&self) -> impl Iterator<Item = &str> {
        self.unassigned.iter().map(|name| &**name)
    }
}

/// The plans of no key. A set would add a sort to the filter's module.
fn unassigned(plans: &BTreeMap<Box<str>, Limit>, keys: &[(&str, &str)]) -> Vec<Box<str>> {
    let mut assigned: Vec<(&str, bool)> = plans.keys().map(|name| (&**name, false)).collect();
    for (_, plan) in keys {
        let index = assigned.binary_search_by_key(plan, |(name, _)| *name);
        if let Some((_, is_assigned)) = index.ok().and_then(|index| assigned.get_mut(index)) {
            *is_assigned = true;
        }
    }
    assigned.into_iter().filter(|(_, is_assigned)| !is_assigned).map(|(name, _)| name.into()).collect()
}

fn table<T>(entries: Vec<(&str, T)>, duplicate: fn(Box<str>) -> BadPlans) -> Result<BTreeMap<Box<str>, T>, BadPlans> {
    let mut table = BTreeMap::new();
    for (name, entry) in entries {
        if table.insert(Box::from(name), entry).is_some() {
            return Err(duplicate(name.into()));
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(text: &str) -> Limit {
        text.parse().unwrap()
    }

    fn builder() -> PlansBuilder<'static> {
        PlansBuilder {
            default: Some(limit("1/s")),
            plans: vec![("free", limit("10/s")), ("pro", limit("100/s"))],
            keys: vec![("acme", "pro"), ("globex", "free")],
            overrides: vec![("globex", limit("7/s"))],
        }
    }

    #[test]
    fn the_nearest_limit_counts() {
        let plans = builder().build().unwrap();
        for (key, carried, named, text) in [
            ("globex", Some("9/s"), Some("pro"), "7/s"),
            ("acme", Some("9/s"), None, "9/s"),
            ("acme", None, None, "100/s"),
            ("acme", None, Some("free"), "100/s"),
            ("initech", None, Some("free"), "10/s"),
            ("initech", None, Some("gold"), "1/s"),
            ("initech", None, None, "1/s"),
        ] {
            assert_eq!(plans.limit(key, carried.map(limit), named), Some(limit(text)), "{key} {carried:?} {named:?}");
            let explained = plans.explain(key, carried.map(limit), named).map(|(limit, _)| limit);
            assert_eq!(explained, Some(limit(text)), "{key} {carried:?} {named:?}");
        }
        assert_eq!(plans.lowest(None), Some(limit("1/s")));
        assert_eq!(plans.lowest(Some(limit("1/min"))), Some(limit("1/min")));
        let plans = PlansBuilder { default: None, ..builder() }.build().unwrap();
        assert_eq!(plans.lowest(Some(limit("9/s"))), Some(limit("7/s")));
        assert_eq!(plans.limit("initech", None, Some("gold")), None);
    }

    #[test]
    fn a_limit_has_an_origin() {
        let plans = builder().build().unwrap();
        let origin = |key, named| plans.explain(key, None, named).map(|(_, origin)| origin);
        assert_eq!(origin("globex", Some("pro")), Some(LimitOrigin::Override));
        assert_eq!(origin("acme", Some("free")), Some(LimitOrigin::PlanOfKey("pro")));
        assert_eq!(origin("initech", Some("free")), Some(LimitOrigin::NamedPlan("free")));
        assert_eq!(origin("initech", Some("gold")), Some(LimitOrigin::Default));
        let plans = PlansBuilder { default: None, ..builder() }.build().unwrap();
        assert_eq!(plans.explain("initech", None, None), None);
        assert_eq!(plans.plans().map(|(name, _)| name).collect::<Vec<_>>(), ["free", "pro"]);
    }

    #[test]
    fn the_entries_can_be_listed() {
        let plans = PlansBuilder { keys: vec![("globex", "free")], ..builder() }.build().unwrap();
        assert_eq!(plans.default_limit(), Some(limit("1/s")));
        assert_eq!(plans.unassigned().collect::<Vec<_>>(), ["pro"]);
        assert_eq!(plans.listed().collect::<Vec<_>>(), [("globex", false), ("globex", true)]);
        let mut bursts: Vec<_> = plans.limits().map(Limit::burst).collect();
        bursts.sort_unstable();
        assert_eq!(bursts, [1, 7, 10, 10, 100]);
        assert_eq!(builder().build().unwrap().unassigned().count(), 0);
    }

    #[test]
    fn contradictions_are_refused() {
        let mut twice = builder();
        twice.plans.push(("pro", limit("2/s")));
        assert_eq!(twice.build(), Err(BadPlans::DuplicatePlan("pro".into())));

        let mut twice = builder();
        twice.keys.push(("acme", "free"));
        assert_eq!(twice.build(), Err(BadPlans::DuplicateKey("acme".into())));

        let mut unknown = builder();
        unknown.keys.push(("initech", "gold"));
        assert_eq!(unknown.build(), Err(BadPlans::UnknownPlan { key: "initech".into(), plan: "gold".into() }));
    }
}
