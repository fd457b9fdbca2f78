use cellgate_limiting::{Charge, Enforcement, KeyHasher, LeaseCache, LeaseLedger, LeaseRules, LimitId, Micros, SECOND};

use super::*;

/// The warnings of limits, in flow style.
fn warnings_of(limits: &str) -> Vec<String> {
    let text = format!(
        "routing_header: x-cell\ncells: [a, b]\nkey: [{{ json: /t }}]\nplacement: {{ slots: {{}} }}\n\
         sync: {{ cluster: c }}\nrate_limits: [{limits}]"
    );
    let config = cellgate_config::from_yaml(&text, "a.yaml").unwrap();
    let limits = config.rate_limits.iter().enumerate();
    let of_limits = limits.flat_map(|(index, limit)| of_lease(&format!("rate_limits[{index}]"), index, limit, &config));
    of_limits.chain(of_sync(&config)).collect()
}

/// A leased limit.
fn leased(more: &str) -> String {
    format!("{{ name: leased, lease: true, key: [routing_key], {more} }}")
}

#[test]
fn a_limit_that_saves_calls_has_no_warning() {
    for more in ["limit: 100/s", "limit: 1/s;burst=4", "limit: 10/s, cost: 5", "limit: 1/s, overrides: { x: 4/s }"] {
        assert_eq!(warnings_of(&leased(more)), [""; 0], "{more}");
    }
}

#[test]
fn a_burst_of_which_nothing_is_leased_is_named() {
    let text = "rate_limits[0].lease: a filter gets at most a quarter of the units that are left, and the largest burst of this \
                limit is 3, so nothing is ever leased: remove `lease`, or raise the burst to 4 at least";
    for more in ["limit: 3/s", "limit: 100/s;burst=3", "limit: 1/s, overrides: { x: 3/s, y: 2/s }"] {
        assert_eq!(warnings_of(&leased(more)), [text], "{more}");
    }
    let carried = |at_most| leased(&format!("limit: 1/s, limit_from: {{ claim: /l, at_most: {at_most} }}"));
    assert_eq!(warnings_of(&carried("3/s")), [text]);
    assert_eq!(warnings_of(&carried("4/s")), [""; 0]);
}

/// The smallest burst is that of the two ends of a lease, with the share that the service gives.
#[test]
fn the_smallest_burst_is_the_first_that_is_leased() {
    for burst in 1..=SMALLEST_BURST {
        let rules = LeaseRules {
            epoch: 1,
            configuration: 0,
            hasher: KeyHasher::new([7; 16]),
            term: 10 * SECOND,
            interval: SECOND,
            share_bits: 2,
            max_sessions: 1,
            max_keys: 1,
            is_store_shared: false,
        };
        let (mut cache, mut ledger) = (LeaseCache::new(1, 0), LeaseLedger::new(rules));
        let limit: Limit = format!("1/s;burst={burst}").parse().unwrap();
        let key = KeyHasher::new([7; 16]).key("leased", []);
        let charge = Charge { id: LimitId(0), key, limit, cost: 1, enforcement: Enforcement::Enforce };
        assert!(!cache.spend(&[charge], Micros(1)));
        let report = cache.report(Micros(1));
        let mut turn = ledger.begin(&report, |_, _| true, Micros(1));
        let charged: Vec<_> = ledger.share(&mut turn, &[burst]).iter().map(|_| Some(Micros(1))).collect();
        cache.apply(&ledger.finish(&turn, &charged).answer.unwrap(), Micros(2));
        assert_eq!(cache.spend(&[charge], Micros(3)), burst == SMALLEST_BURST, "burst {burst}");
    }
}

#[test]
fn a_cost_over_half_of_the_burst_is_named() {
    assert_eq!(
        warnings_of(&leased("limit: 10/s, cost: 6")),
        [
            "rate_limits[0].lease: a request costs 6 units, and at most half of a burst is leased, 5 units, so every request goes to \
             the service: remove `lease`, lower `cost`, or raise the burst to 12 at least"
        ]
    );
    assert_eq!(warnings_of(&leased("limit: 10/s, cost: 6, overrides: { x: 12/s }")), [""; 0]);
}

#[test]
fn a_value_of_the_body_is_named() {
    let text = |fields| {
        format!(
            "rate_limits[0].lease: the service reads {fields} from the body, so no request with a body is admitted by a lease: \
             remove `lease`, or read the value from the head"
        )
    };
    let cost = "cost: { json: /n, at_most: 5, otherwise: 1 }";
    for (key, more, fields) in [
        ("{ json: /user }", "shadow: true", Some("`key[0]`")),
        ("cell, { form: user, otherwise: none }", "shadow: true", Some("`key[1]`")),
        ("cell", cost, Some("`cost`")),
        ("{ json: /user }", cost, Some("`key[0]` and `cost`")),
        ("{ header: x-user }", "cost: { header: x-n, at_most: 5, otherwise: 1 }", None),
    ] {
        let warned = warnings_of(&format!("{{ name: a, lease: true, limit: 10/s, key: [{key}], {more} }}"));
        assert_eq!(warned, fields.map(text).into_iter().collect::<Vec<_>>(), "{key} {more}");
    }
}

#[test]
fn a_limit_without_a_lease_for_the_same_requests_is_named() {
    let all = leased("limit: 10/s");
    let text = "rate_limits[0].lease: `rate_limits[1]` (\"cell\") counts the same requests without a lease, so every request \
                goes to the service: lease it too, or remove `lease` here";
    assert_eq!(warnings_of(&format!("{all}, {{ name: cell, key: [cell], limit: 9/s }}")), [text]);
    assert_eq!(warnings_of(&format!("{all}, {{ name: cell, key: [cell], limit: 9/s, shadow: true }}")), [text]);
    let two = format!("{all}, {{ name: cell, key: [cell], limit: 9/s }}, {{ name: all, key: [], limit: 9/s }}");
    assert_eq!(
        warnings_of(&two),
        [
            "rate_limits[0].lease: `rate_limits[1]` (\"cell\") and `rate_limits[2]` (\"all\") count the same requests without a \
             lease, so every request goes to the service: lease them too, or remove `lease` here"
        ]
    );
}

/// The leases of the first limit save calls for the requests that the second one does not count.
#[test]
fn a_limit_for_some_of_the_requests_is_no_warning() {
    for (first, second, is_named) in [
        ("key: [routing_key]", "key: [cell], limit: 9/s", true),
        ("key: [routing_key]", "key: [cell], limit: 9/s, lease: true", false),
        ("key: [routing_key]", "key: [cell], overrides: { a: 9/s }", false),
        ("key: [routing_key]", "key: [routing_key, method, client_address], limit: 9/s", true),
        ("key: [routing_key]", "key: [peer], limit: 9/s", false),
        ("key: [peer]", "key: [peer], limit: 9/s", true),
        ("key: [peer]", "key: [cell], limit: 9/s", false),
        ("key: [peer], applies_to: { cells: [a] }", "key: [cell], limit: 9/s", true),
        ("key: [routing_key]", "key: [{ header: x }], limit: 9/s", false),
        ("key: [routing_key]", "key: [{ header: x, otherwise: y }], limit: 9/s", true),
        ("key: [routing_key]", "key: [], limit: 9/s, applies_to: { cells: [a] }", false),
        ("key: [routing_key], applies_to: { cells: [a] }", "key: [], limit: 9/s, applies_to: { cells: [b, a] }", true),
        ("key: [routing_key]", "key: [], limit: 9/s, applies_to: { methods: [POST] }", false),
        (
            "key: [], applies_to: { methods: [POST], paths: [/a/b/] }",
            "key: [], limit: 9/s, applies_to: { methods: [POST, PUT], paths: [/a/] }",
            true,
        ),
        ("key: [], applies_to: { paths: [/a/] }", "key: [], limit: 9/s, applies_to: { paths: [/a/b/] }", false),
        ("key: [], applies_to: { hosts: [a.b] }", "key: [], limit: 9/s, applies_to: { hosts: [c.b] }", false),
        ("key: []", "key: [], limit: 9/s, applies_to: { except: { paths: [/h] } }", false),
        (
            "key: [], applies_to: { except: { paths: [/h, /i], methods: [GET] } }",
            "key: [], limit: 9/s, applies_to: { except: { paths: [/h] } }",
            true,
        ),
    ] {
        let warned = warnings_of(&format!("{{ name: l, lease: true, limit: 10/s, {first} }}, {{ name: o, {second} }}"));
        assert_eq!(warned.len(), usize::from(is_named), "{first} beside {second}: {warned:?}");
    }
}

/// Only the service counts requests in flight.
#[test]
fn a_concurrency_limit_for_the_same_requests_is_named() {
    let text = |limit: &str| {
        "routing_header: x-cell\ncells: [a]\nkey: [{ json: /t }]\nplacement: { slots: {} }\nsync: { cluster: c }\n\
         rate_limits: [LEASED]\nconcurrency_limits: [LIMIT]"
            .replace("LEASED", &leased("limit: 10/s"))
            .replace("LIMIT", limit)
    };
    let warned = |limit: &str| {
        let config = cellgate_config::from_yaml(&text(limit), "a.yaml").unwrap();
        of_lease("rate_limits[0]", 0, &config.rate_limits[0], &config)
    };
    assert_eq!(
        warned("{ name: open, key: [cell], at_most: 9 }"),
        [
            "rate_limits[0].lease: `concurrency_limits[0]` (\"open\") counts the same requests without a lease, so every request \
             goes to the service: remove `lease` here"
        ]
    );
    assert_eq!(warned("{ name: open, key: [cell], at_most: 9, applies_to: { paths: [/a/] } }"), [""; 0]);
}

#[test]
fn a_service_to_lease_from_needs_a_leased_limit() {
    let text = "sync: no limit has `lease: true`, so filters lease nothing: add it to a limit, or remove `sync`";
    assert_eq!(warnings_of(""), [text]);
    assert_eq!(warnings_of("{ name: a, key: [], limit: 9/s }"), [text]);
}
