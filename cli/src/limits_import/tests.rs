use cellgate_config::from_yaml;
use cellgate_limiting::{Enforcement, Limit};
use cellgate_routing::{Decider, DescriptorRule, Tier};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const MINIMAL: &str = "routing_header: x-cell\ncells: [a]\nkey: [{ header: x-tenant }]\nplacement: { default: a }\n";

/// The limit of a descriptor: nothing, no limit, or requests in microseconds, and whether it is only measured.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Unlimited,
    Limit { requests: u64, micros: u64, shadow: bool },
}

/// The matching of envoyproxy/ratelimit (`GetLimit` in `src/config/config_impl.go`, with the wildcards of each level): first
/// the value, then the wildcards of the list in its order, then no value; and never back.
fn reference(root: &Value, descriptor: &[(&str, &str)]) -> Found {
    let mut list = &root["descriptors"];
    for (index, (key, value)) in descriptor.iter().enumerate() {
        let nodes: Vec<_> = list.as_array().into_iter().flatten().filter(|node| node["key"] == *key).collect();
        let own = |node: &Value| node["value"].as_str().unwrap_or_default().to_owned();
        let exact = nodes.iter().find(|node| !own(node).is_empty() && own(node) == *value);
        let wildcard = || nodes.iter().find(|node| own(node).strip_suffix('*').is_some_and(|it| value.starts_with(it)));
        let any = || nodes.iter().find(|node| own(node).is_empty());
        let Some(node) = exact.or_else(wildcard).or_else(any) else { return Found::Nothing };
        if index + 1 == descriptor.len() {
            let limit = &node["rate_limit"];
            if limit.is_null() {
                return Found::Nothing;
            }
            if limit["unlimited"] == true {
                return Found::Unlimited;
            }
            let seconds = match limit["unit"].as_str().unwrap() {
                "second" => 1,
                "minute" => 60,
                "hour" => 3600,
                "day" => 86_400,
                "week" => 7 * 86_400,
                "month" => 30 * 86_400,
                "year" => 365 * 86_400,
                other => panic!("{other}"),
            };
            let requests = limit["requests_per_unit"].as_u64().unwrap();
            return Found::Limit { requests, micros: seconds * 1_000_000, shadow: node["shadow_mode"] == true };
        }
        list = &node["descriptors"];
    }
    Found::Nothing
}

/// The matching of Cellgate, with what the import wrote.
fn ours(decider: &Decider, descriptor: &[(&str, &str)]) -> Found {
    let entries = descriptor.iter().map(|(key, value)| (key.as_bytes(), value.as_bytes()));
    let Some((_, limit)) = decider.descriptor_limit(b"d", entries) else { return Found::Nothing };
    let shadow = limit.enforcement == Enforcement::Shadow;
    let of = |limit: Limit| (limit.rate().count().into(), limit.rate().period());
    match &limit.rule {
        DescriptorRule::Allow => Found::Unlimited,
        // The unit of a limit that admits nothing says nothing.
        DescriptorRule::Deny => Found::Limit { requests: 0, micros: 0, shadow },
        DescriptorRule::Count { plans, .. } => {
            let (requests, micros) = of(plans.limit("", None, None).unwrap());
            Found::Limit { requests, micros, shadow }
        }
    }
}

/// Both to the same words: a descriptor without a limit, whether it is found or not, is admitted and not counted.
fn effect(found: Found) -> Found {
    match found {
        Found::Nothing | Found::Unlimited => Found::Unlimited,
        Found::Limit { requests: 0, shadow, .. } => Found::Limit { requests: 0, micros: 0, shadow },
        limit @ Found::Limit { .. } => limit,
    }
}

fn decider(text: &str) -> Decider {
    let imported = import(text).unwrap();
    let config = from_yaml(&format!("{MINIMAL}{}", imported.text), "imported.yaml");
    Decider::new(config.unwrap_or_else(|error| panic!("{error}\n{}", imported.text)), Tier::Service)
}

const VALUES: [&str; 7] = ["", "x", "xy", "xyz", "y", "xz", "z"];

/// All descriptors of up to three entries.
fn descriptors() -> Vec<Vec<(&'static str, &'static str)>> {
    let entries: Vec<_> = ["k", "l"].iter().flat_map(|key| VALUES.map(|value| (*key, value))).collect();
    let mut all: Vec<Vec<_>> = entries.iter().map(|entry| vec![*entry]).collect();
    let mut longest = all.clone();
    for _ in 0..2 {
        longest = longest
            .iter()
            .flat_map(|start| entries.iter().map(|entry| [&start[..], &[*entry]].concat()).collect::<Vec<_>>())
            .collect();
        all.extend(longest.iter().cloned());
    }
    all
}

fn compare(root: &Value) {
    let decider = decider(&root.to_string());
    for descriptor in descriptors() {
        let (theirs, ours) = (effect(reference(root, &descriptor)), effect(ours(&decider, &descriptor)));
        assert_eq!(theirs, ours, "{descriptor:?} in {root:#}");
    }
}

fn rate_limit() -> impl Strategy<Value = Value> {
    let units = prop::sample::select(vec!["second", "minute", "hour", "day", "week", "month", "year"]);
    prop_oneof![
        2 => Just(Value::Null),
        1 => Just(json!({ "unlimited": true })),
        6 => (units, 0_u32..50).prop_map(|(unit, number)| json!({ "unit": unit, "requests_per_unit": number })),
    ]
}

fn tree() -> impl Strategy<Value = Value> {
    let values = || prop::sample::select(vec!["", "x", "xy", "x*", "xy*", "*", "y"]);
    let node = move |below: BoxedStrategy<Value>| {
        (prop::sample::select(vec!["k", "l"]), values(), rate_limit(), any::<bool>(), below).prop_map(
            |(key, value, limit, shadow, below)| {
                json!({ "key": key, "value": value, "rate_limit": limit, "shadow_mode": shadow, "descriptors": below })
            },
        )
    };
    let list = |node: BoxedStrategy<Value>| prop::collection::vec(node, 0..5).prop_map(without_duplicates).boxed();
    let third = list(node(Just(Value::Null).boxed()).boxed());
    let second = list(node(third).boxed());
    list(node(second).boxed()).prop_map(|list| json!({ "domain": "d", "descriptors": list }))
}

fn without_duplicates(list: Vec<Value>) -> Value {
    let mut seen = std::collections::BTreeSet::new();
    let is_new = |node: &Value| seen.insert((node["key"].to_string(), node["value"].to_string()));
    let mut is_new = is_new;
    list.into_iter().filter(|node| is_new(node)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_descriptor_gets_the_same_limit(root in tree()) {
        compare(&root);
    }

    #[test]
    fn no_text_is_too_strange(text in "\\PC{0,200}") {
        let _ = import(&text);
        let _ = import(&format!("domain: d\ndescriptors: {text}"));
    }
}

/// The examples of envoyproxy/ratelimit's documentation, in one domain.
#[test]
fn documented_examples_get_the_same_limit() {
    let text = r#"
domain: d
descriptors:
  - key: k
    value: x
    descriptors:
      - { key: l, rate_limit: { unit: day, requests_per_unit: 5 } }
  - { key: l, rate_limit: { unit: DAY, requests_per_unit: 100 } }
  - { key: k, rate_limit: { unit: second, requests_per_unit: 10 } }
  - { key: k, value: xy, rate_limit: { unit: second, requests_per_unit: 0 } }
  - { key: k, value: xyz }
  - key: k
    value: y*
    rate_limit: { unlimited: true }
    descriptors:
      - { key: l, value: z, rate_limit: { unit: hour, requests_per_unit: 7 }, shadow_mode: true }
"#;
    let root: Value = serde_saphyr::from_str(&text.replace("DAY", "day")).unwrap();
    compare(&root);
    let decider = decider(text);
    let day = Found::Limit { requests: 5, micros: 86_400_000_000, shadow: false };
    assert_eq!(ours(&decider, &[("k", "x"), ("l", "z")]), day);
    assert_eq!(ours(&decider, &[("k", "xyz")]), Found::Unlimited);
}

#[test]
fn what_has_no_equal_is_said() {
    let text = r#"
domain: 7
colour: red
descriptors:
  - key: a
    value: v*
    share_threshold: true
    detailed_metric: true
    rate_limit: { name: Base Limit, unit: minute, requests_per_unit: 4000000000, burst: 2 }
  - { key: a, value: vw*, rate_limit: { unit: minute, requests_per_unit: 1 } }
  - { key: a, value: 12, value_to_metric: true, share_threshold: true, rate_limit: { unit: minute, requests_per_unit: 1, replaces: [{ name: base }] } }
  - { key: b*, quota_mode: true, metadata: { a: b }, shadow_mode: true }
  - { key: c, shadow_mode: true, descriptors: [{ key: d, rate_limit: { unit: week, requests_per_unit: 0, name: base limit }, shadow_mode: true }] }
"#;
    let imported = import(text).unwrap();
    assert_eq!(
        imported.text,
        r#"descriptor_limits:
  - name: "base-limit"
    domain: "7"
    descriptor: [{ key: "a", value: "v*", shared: true }]
    limit: 1000000000/minute
  - name: "7-a-12"
    domain: "7"
    descriptor: [{ key: "a", value: "12" }]
    limit: 1/minute
  - name: "7-b"
    domain: "7"
    descriptor: [{ key: "b*" }]
    always: allow
  - name: "base-limit-2"
    domain: "7"
    descriptor: [{ key: "c" }, { key: "d" }]
    always: deny
    shadow: true
"#
    );
    assert_eq!(
        imported.warnings,
        [
            "colour: unknown field; left out",
            "descriptors[0].detailed_metric: has no equal: metrics have the name of the limit and no values",
            "descriptors[0].rate_limit.burst: unknown field; left out",
            "descriptors[0].rate_limit.requests_per_unit: a limit has at most 1000000000 units here, so it was lowered to that",
            "descriptors[1]: never matches, because the value \"v*\" comes first; left out",
            "descriptors[2].value_to_metric: has no equal: metrics have the name of the limit and no values",
            "descriptors[2].share_threshold: has no effect on a value without a final `*`; left out",
            "descriptors[2].rate_limit.replaces: has no equal: a call with the descriptors of both limits is charged by both",
            "descriptors[3].quota_mode: has no equal: the limit is enforced by itself",
            "descriptors[3].metadata: has no equal: left out",
            "descriptors[3].key: a `*` at the end of a key is a character of the key here, not a wildcard",
            "descriptors[3].shadow_mode: has no effect on a descriptor without a limit; left out",
            "descriptors[4].shadow_mode: has no effect without `rate_limit`; left out",
        ]
    );
    from_yaml(&format!("{MINIMAL}{}", imported.text), "imported.yaml").unwrap();
    assert_eq!(import("domain: d").unwrap().text, "descriptor_limits: []\n");
}

#[test]
fn what_envoyproxy_refuses_is_refused() {
    let one = |descriptor: &str| format!("{{ domain: d, descriptors: [{descriptor}] }}");
    for (text, message) in [
        ("[]".to_owned(), "the file: expected a map with `domain` and `descriptors`"),
        ("descriptors: []".to_owned(), "domain: expected the name of the domain"),
        ("{ domain: d, descriptors: 7 }".to_owned(), "descriptors: expected a list"),
        (one("7"), "descriptors[0]: expected a map with `key`"),
        (one("{ value: v }"), "descriptors[0].key: expected a key"),
        (one("{ key: [k] }"), "descriptors[0].key: expected a text"),
        (one("{ key: k, rate_limit: 7 }"), "descriptors[0].rate_limit: expected a map"),
        (
            one("{ key: k }, { key: k }"),
            "descriptors[1]: duplicate descriptor: another one of this list has the same key and value",
        ),
        (
            one("{ key: k, descriptors: [{ key: l, rate_limit: { unit: fortnight, requests_per_unit: 1 } }] }"),
            "descriptors[0].descriptors[0].rate_limit.unit: \"fortnight\" is no unit: use second, minute, hour, day, week, \
             month or year",
        ),
        (
            one("{ key: k, rate_limit: { requests_per_unit: 1 } }"),
            "descriptors[0].rate_limit.unit: expected a unit: second, minute, hour, day, week, month or year",
        ),
        (
            one("{ key: k, rate_limit: { unlimited: true, unit: day } }"),
            "descriptors[0].rate_limit.unit: an unlimited descriptor has no unit: remove one of the two",
        ),
        (
            one("{ key: k, rate_limit: { unit: day, requests_per_unit: -1 } }"),
            "descriptors[0].rate_limit.requests_per_unit: expected a whole number from 0 to 4294967295",
        ),
        (
            one(&format!("{{ key: {} }}", "k".repeat(1025))),
            "descriptors[0].key: expected at most 1024 bytes, found 1025",
        ),
    ] {
        assert_eq!(import(&text).unwrap_err().to_string(), message);
    }
    assert!(import("domain: [").unwrap_err().to_string().starts_with("not YAML: "));
}
