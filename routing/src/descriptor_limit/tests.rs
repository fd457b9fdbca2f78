use super::*;
use cellgate_limiting::PlansBuilder;

fn part(text: &str) -> DescriptorPart {
    let (key, value) = text.split_once('=').map_or((text, None), |(key, value)| (key, Some(value)));
    let values = match value {
        None => EntryValues::Any,
        Some(value) => match value.strip_suffix('*') {
            Some(prefix) => {
                EntryValues::Prefix { prefix: prefix.trim_start_matches('~').into(), shared: prefix.starts_with('~') }
            }
            None => EntryValues::One(value.into()),
        },
    };
    DescriptorPart { key: key.into(), values }
}

fn limit(domain: &str, key: &str) -> DescriptorLimit {
    let plans = PlansBuilder {
        default: "10/s".parse().ok(),
        overrides: vec![("vip", "99/s".parse().unwrap())],
        ..PlansBuilder::default()
    };
    DescriptorLimit {
        name: key.into(),
        domain: domain.into(),
        key: key.split(' ').map(part).collect(),
        rule: DescriptorRule::Count { plans: plans.build().unwrap(), override_at_most: "50/s".parse().ok() },
        enforcement: Enforcement::Enforce,
        when_store_fails: WhenStoreFails::Local,
    }
}

fn entries(text: &str) -> Vec<(&[u8], &[u8])> {
    text.split(' ')
        .filter_map(|entry| entry.split_once('='))
        .map(|(key, value)| (key.as_bytes(), value.as_bytes()))
        .collect()
}

#[test]
fn the_most_specific_entry_wins_and_is_not_taken_back() {
    let keys = ["a", "a=1", "a=1*", "a=12*", "a=", "a b", "a=1* b=x", "a=1* b=xyz*", "a=1* b", "a=12 b=only", "b=~t*"];
    let mut limits: Vec<_> = keys.iter().map(|key| limit("shop", key)).collect();
    limits.push(limit("other", "a"));
    limits.push(limit("shop", "a"));
    let tree = DescriptorTree::new(&limits);
    for (descriptor, expected) in [
        ("a=2", Some("a")),
        ("a=1", Some("a=1")),
        ("a=13", Some("a=1*")),
        ("a=123", Some("a=12*")),
        ("a=", Some("a=")),
        ("a=2 b=x", Some("a b")),
        ("a=13 b=x", Some("a=1* b=x")),
        ("a=13 b=xyz1", Some("a=1* b=xyz*")),
        ("a=13 b=y", Some("a=1* b")),
        ("b=tea", Some("b=~t*")),
        ("b=sea", None),
        // `a=12` is more specific than `a=1*`, and has no `b=x`.
        ("a=12 b=x", None),
        ("a=12 b=only", Some("a=12 b=only")),
        ("a=12", None),
        ("a=1 b=x", None),
        ("a=2 c=x", None),
        ("a=2 b=x c=y", None),
        ("c=1", None),
        ("", None),
    ] {
        let found = tree.find(b"shop", entries(descriptor).into_iter());
        assert_eq!(found.map(|index| &*limits[index].name), expected, "{descriptor}");
    }
    assert_eq!(tree.find(b"other", entries("a=1").into_iter()), Some(keys.len()));
    assert_eq!(tree.find(b"unknown", entries("a=1").into_iter()), None);
    assert_eq!(tree.find(b"shop", [(&b"a"[..], &b"\xff"[..])].into_iter()), Some(0));
}

#[test]
fn each_value_has_an_allowance_unless_a_prefix_is_shared() {
    let hasher = KeyHasher::new([7; 16]);
    let key = |limit: &DescriptorLimit, descriptor: &str| {
        let entries = entries(descriptor);
        let values = entries.iter().map(|(_, value)| *value);
        limit.charge(0, values, DescriptorClaim { cost: 1, carried: None }, &hasher).unwrap().charge.key
    };
    for (key_of_limit, same) in [("a", false), ("a=t*", false), ("a=~t*", true), ("a=tea", true)] {
        let limit = limit("shop", key_of_limit);
        // Only the tree decides whether a limit applies.
        let values = if key_of_limit == "a=tea" { ["a=tea", "a=tea"] } else { ["a=tea", "a=two"] };
        assert_eq!(key(&limit, values[0]) == key(&limit, values[1]), same, "{key_of_limit}");
    }
    let shared = limit("shop", "a=~t* b");
    assert_eq!(key(&shared, "a=t1 b=x"), key(&shared, "a=t2 b=x"));
    assert_ne!(key(&shared, "a=t1 b=x"), key(&shared, "a=t2 b=y"));
}

#[test]
fn an_override_comes_first_then_the_limit_of_the_descriptor_then_the_default() {
    let hasher = KeyHasher::new([7; 16]);
    let charge = |limit: &DescriptorLimit, value: &'static [u8], carried: Option<&str>| {
        let claim = DescriptorClaim { cost: 3, carried: carried.map(|text| text.parse().unwrap()) };
        limit.charge(5, std::iter::once(value), claim, &hasher).map(|charge| charge.charge)
    };
    let limit = limit("shop", "a");
    let text = |text: &str| text.parse::<Limit>().unwrap();
    for (value, carried, expected) in [
        (&b"x"[..], None, "10/s"),
        (b"vip", None, "99/s"),
        (b"vip", Some("20/s"), "99/s"),
        (b"x", Some("20/s"), "20/s"),
        (b"x", Some("80/s"), "50/s"),
        (b"\xff", None, "10/s"),
    ] {
        let charge = charge(&limit, value, carried).unwrap();
        assert_eq!((charge.limit, charge.cost), (text(expected), 3), "{value:?} {carried:?}");
        assert_eq!(DescriptorLimit::index(charge.id), Some(5));
    }
    let mut ignoring = limit.clone();
    let DescriptorRule::Count { override_at_most, .. } = &mut ignoring.rule else { panic!() };
    *override_at_most = None;
    assert_eq!(charge(&ignoring, b"x", Some("20/s")).unwrap().limit, text("10/s"));

    let with_rule = |rule| DescriptorLimit { rule, ..limit.clone() };
    assert_eq!(charge(&with_rule(DescriptorRule::Allow), b"x", Some("20/s")), None);
    let denied = charge(&with_rule(DescriptorRule::Deny), b"x", Some("20/s")).unwrap();
    assert!(denied.cost > u64::from(denied.limit.burst()));
    assert_eq!(DescriptorLimit::index(LimitId(31)), None);
}

/// A limit that refuses everything counts nothing, so it does not need the store to refuse.
#[test]
fn what_is_denied_is_denied_without_the_store() {
    let rules = [DescriptorRule::Deny, limit("shop", "a").rule];
    let answers = rules.map(|rule| {
        let limit = DescriptorLimit { rule, when_store_fails: WhenStoreFails::Allow, ..limit("shop", "a") };
        let claim = DescriptorClaim { cost: 1, carried: None };
        limit.charge(0, std::iter::once(&b"x"[..]), claim, &KeyHasher::new([7; 16])).unwrap().when_store_fails
    });
    assert_eq!(answers, [WhenStoreFails::Local, WhenStoreFails::Allow]);
}
