use super::*;

/// The warnings of limits, in flow style, beside other lines.
fn warnings_beside(lines: &str, limits: &str) -> Vec<String> {
    let text = format!("routing_header: x-cell\ncells: [a, b, c]\n{lines}\nrate_limits: [{limits}]");
    of_rate_limits(&cellgate_config::from_yaml(&text, "a.yaml").unwrap())
}

fn warnings_of(limits: &str) -> Vec<String> {
    warnings_beside("key: [{ json: /t }]\nplacement: { slots: { count: 16 } }", limits)
}

/// The beginnings of warnings, up to a colon and a space.
fn paths(warnings: &[String]) -> Vec<&str> {
    warnings.iter().map(|warning| warning.split(": ").next().unwrap()).collect()
}

#[test]
fn a_usual_limit_has_no_warning() {
    let example = include_str!("../../../../examples/rate-limits.yaml");
    assert_eq!(of_rate_limits(&cellgate_config::from_yaml(example, "a.yaml").unwrap()), [""; 0]);
}

#[test]
fn requests_that_have_no_limit_are_named() {
    for (limit, others) in [
        ("overrides: { x: 1/s }", Some("requests with a key that has no plan and no override")),
        ("plans: { p: 1/s }, plan_from: { claim: /p }", Some("requests whose claim names no plan of this limit")),
        ("limit_from: { claim: /l, at_most: 1/s }", Some("requests whose claim holds no limit")),
        ("limit: 1/s, overrides: { x: 1/s }", None),
    ] {
        let expected =
            others.map(|others| format!("rate_limits[0]: {others} are not counted: add `limit` if they should be"));
        let warned = warnings_of(&format!("{{ name: n, key: [routing_key], {limit} }}"));
        assert_eq!(warned, expected.into_iter().collect::<Vec<_>>(), "{limit}");
    }
}

#[test]
fn a_plan_of_no_key_needs_a_claim() {
    let limit = |more| format!("{{ name: n, key: [routing_key], limit: 1/s, plans: {{ p: 2/s, q: 3/s }}{more} }}");
    let text = |plan| {
        format!(
            "rate_limits[0].plans: no key has the plan \"{plan}\": add it to `plan_of`, add `plan_from`, or remove it"
        )
    };
    assert_eq!(warnings_of(&limit(", plan_of: { x: q }")), [text("p")]);
    assert_eq!(warnings_of(&limit("")), [text("p"), text("q")]);
    assert_eq!(warnings_of(&limit(", plan_from: { claim: /p }")), [""; 0]);
}

#[test]
fn a_key_with_an_override_does_not_use_its_plan() {
    let warned = warnings_of(
        "{ name: n, key: [routing_key], limit: 1/s, plans: { p: 2/s }, plan_of: { x: p, y: p, z: p }, overrides: { y: 3/s, z: 3/s } }",
    );
    assert_eq!(
        warned,
        [
            "rate_limits[0].plan_of: \"y\" is in `overrides` too, which comes first: remove one of them (and 1 more of this table)"
        ]
    );
}

#[test]
fn a_key_in_upper_case_is_a_mistake_if_every_key_is_in_lower_case() {
    let limit = |key, tables| format!("{{ name: n, key: [{key}], limit: 1/s, {tables} }}");
    let lower = "key: [{ json: /t, case: lower }]\nplacement: { default: a }";
    let overrides = "overrides: { Acme: 2/s, acme: 2/s }";
    let text = "\"Acme\" matches no key, because the key has `case: lower`: write \"acme\"";
    assert_eq!(warnings_beside(lower, &limit("routing_key", overrides)), [format!("rate_limits[0].overrides: {text}")]);
    assert_eq!(
        warnings_of(&limit("{ query: t, case: lower }", "plans: { p: 1/s }, plan_of: { Acme: p }")),
        [format!("rate_limits[0].plan_of: {text}")]
    );
    assert_eq!(warnings_of(&limit("routing_key", overrides)), [""; 0]);
    assert_eq!(warnings_beside(lower, &limit("{ query: t }", overrides)), [""; 0]);
    assert_eq!(warnings_of(&limit("{ query: t, case: lower, otherwise: Acme }", overrides)), [""; 0]);
}

#[test]
fn a_text_that_is_no_address_matches_no_client() {
    let warned = warnings_of(
        "{ name: n, key: [client_address], limit: 1/s, plans: { p: 2/s }, plan_of: { '2001:DB8::1': p, '2001:db8::1': p }, \
         overrides: { '192.0.2.1': 3/s, /run/client.sock: 3/s, '192.0.2.1:80': 3/s } }",
    );
    let text = "matches no client, because addresses are compared as text: write";
    assert_eq!(
        warned,
        [
            format!("rate_limits[0].plan_of: \"2001:DB8::1\" {text} \"2001:db8::1\""),
            format!(
                "rate_limits[0].overrides: \"192.0.2.1:80\" {text} an IP address without a port, such as \"192.0.2.1\" or \
                 \"2001:db8::1\""
            ),
        ]
    );
}

#[test]
fn a_scope_outside_that_of_the_configuration_counts_nothing() {
    let rest = "key: [{ json: /t }]\nplacement: { default: a }\napplies_to: { methods: [POST], paths: [/v1/] }";
    let limit = |scope| format!("{{ name: n, key: [], limit: 1/s, applies_to: {scope} }}");
    for (scope, fields) in [
        ("{ methods: [GET, PUT], paths: [/v2/] }", &["methods", "paths"][..]),
        ("{ methods: [GET, POST], paths: [/v1/a] }", &[]),
        ("{ paths: [/] }", &[]),
        ("{}", &[]),
    ] {
        let expected: Vec<_> = fields.iter().map(|field| format!("rate_limits[0].applies_to.{field}")).collect();
        assert_eq!(paths(&warnings_beside(rest, &limit(scope))), expected, "{scope}");
    }
}

#[test]
fn a_cell_without_requests_or_with_few_is_named() {
    let limit = "{ name: n, key: [], limit: 1/s, applies_to: { cells: [a, b, c] } }";
    let warned = |lines: &str| warnings_beside(&format!("key: [{{ json: /t }}]\n{lines}"), limit);
    let drained = |index: usize, cell: &str| {
        format!(
            "rate_limits[0].applies_to.cells[{index}]: \"{cell}\": the cell is drained, so this limit counts only what \
             overrides, exact keys, prefixes or the policy send there: remove the cell from the list once it is empty"
        )
    };
    let unused = |index: usize, cell: &str| {
        format!(
            "rate_limits[0].applies_to.cells[{index}]: \"{cell}\": no key and no policy sends a request there, so this limit \
             counts none: remove the cell from the list"
        )
    };
    let weights = "slots: { count: 16, weights: { a: 1, b: 0, c: 0 } }";
    assert_eq!(warned("placement: { slots: { count: 16 } }"), [""; 0]);
    assert_eq!(warned(&format!("placement: {{ exact: {{ x: b }}, {weights} }}")), [drained(1, "b"), unused(2, "c")]);
    assert_eq!(warned(&format!("placement: {{ prefixes: {{ x: c }}, {weights} }}")), [unused(1, "b"), drained(2, "c")]);
    assert_eq!(
        warned(&format!("placement: {{ {weights} }}\npolicy: {{ key_missing: {{ use: c }} }}")),
        [unused(1, "b"), drained(2, "c")]
    );
    // An exact key hides that another cell has its text as a prefix.
    assert_eq!(warned("placement: { exact: { x: b }, prefixes: { x: c }, default: a }"), [""; 0]);
    assert_eq!(warned("placement: { exact: { x: b } }"), [unused(0, "a"), unused(2, "c")]);
    assert_eq!(warned("placement: { default: a }\npolicy: { key_missing: { use: c } }"), [unused(1, "b")]);
    assert_eq!(warned("placement: { exact: { x: b } }\npolicy: { key_unplaced: hash }"), [""; 0]);
}

#[test]
fn a_cost_over_the_smallest_burst_is_never_admitted() {
    let limit = |cost| format!("{{ name: n, key: [routing_key], limit: 9/s, overrides: {{ x: 5/s }}, cost: {cost} }}");
    assert_eq!(warnings_of(&limit("{ content_length: 1KiB, otherwise: 5 }")), [""; 0]);
    for (cost, what) in [
        ("{ content_length: 1KiB, otherwise: 6 }", "with a body of unknown length"),
        ("{ header: x-cost, at_most: 100, otherwise: 6 }", "without a number"),
    ] {
        assert_eq!(
            warnings_of(&limit(cost)),
            [format!(
                "rate_limits[0].cost.otherwise: a request {what} costs 6 units and the smallest burst of this limit is 5, so it \
                 is never admitted there: lower `otherwise`, or raise the burst"
            )]
        );
    }
}

#[test]
fn a_limit_behind_a_lower_one_is_never_reached() {
    let limits = |limits: &[&str]| {
        let limits: Vec<_> =
            limits.iter().enumerate().map(|(index, rest)| format!("{{ name: n{index}, {rest} }}")).collect();
        warnings_of(&limits.join(", "))
    };
    let warning = |index: usize, other: usize| {
        format!(
            "rate_limits[{index}]: this limit is never reached, because `rate_limits[{other}]` (\"n{other}\") has the same key \
             and requests, and its rate and burst are not higher: remove one of them, or lower this one"
        )
    };
    assert_eq!(limits(&["key: [cell], limit: 100/s", "key: [cell], limit: 50/s"]), [warning(0, 1)]);
    assert_eq!(limits(&["key: [cell], limit: 1/s", "key: [cell], limit: 60/min;burst=1"]), [warning(1, 0)]);
    assert_eq!(
        limits(&[
            "key: [], limit: 5/s, applies_to: { cells: [a, b] }",
            "key: [], limit: 6/s, applies_to: { cells: [b, a] }, shadow: true",
        ]),
        [warning(1, 0)]
    );
    // Each of these limits can refuse before the other one does.
    for (one, other) in [
        ("key: [cell], limit: 10/s;burst=5", "key: [cell], limit: 5/s;burst=10"),
        ("key: [cell], limit: 5/s", "key: [routing_key], limit: 10/s"),
        ("key: [cell], limit: 5/s", "key: [cell], limit: 10/s, cost: 2"),
        ("key: [cell], limit: 5/s", "key: [cell], limit: 10/s, applies_to: { methods: [POST] }"),
        ("key: [cell], limit: 5/s", "key: [cell], limit: 10/s, applies_to: { cells: [a] }"),
        ("key: [cell], limit: 5/s", "key: [cell], limit: 10/s, when_store_fails: deny"),
        ("key: [cell], limit: 5/s, shadow: true", "key: [cell], limit: 10/s"),
        ("key: [cell], limit: 5/s", "key: [cell], limit: 10/s, overrides: { a: 1/s }"),
    ] {
        assert_eq!(limits(&[one, other]), [""; 0], "{one} and {other}");
    }
}

#[test]
fn sources_of_limits_have_the_warnings_of_sources() {
    let warned = warnings_of(
        "{ name: n, key: [{ header: x_key }, { json: /items/0/id }], limit: 9/s, cost: { query: n, at_most: 9, otherwise: 1 } }",
    );
    assert_eq!(paths(&warned), ["rate_limits[0].key[0].header", "rate_limits[0].key[1].json"]);
    assert!(warned[1].contains("`/items/0/id` counts a batch by element 0 alone"), "{warned:?}");
}

#[test]
fn a_shadow_configuration_counts_nothing() {
    let rest = "key: [{ json: /t }]\nplacement: { default: a }\nshadow: true";
    assert_eq!(
        warnings_beside(rest, "{ name: n, key: [], limit: 1/s }"),
        ["rate_limits: `shadow: true` counts no request, so no limit applies"]
    );
    assert_eq!(warnings_beside(rest, ""), [""; 0]);
}
