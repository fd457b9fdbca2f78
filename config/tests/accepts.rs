//! The meaning of a valid configuration.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

use cellgate_limiting::{Enforcement, Limit, WhenStoreFails};
use cellgate_routing::{
    CellId, Config, CostRule, DescriptorPart, DescriptorRule, Duplicates, EntryValues, Format, LimitKeyPart, OnFailure,
    PolicyAction, Reason, ResponsePlace, Scope, Settlement,
};

const FULL: &str = r#"
version: demo-1
routing_header: X-Cell
cells: [cell-a, cell-b, cell-c]
applies_to: { hosts: [api.example.com, "*.Example.org"], methods: [POST, PUT], paths: [/api/] }
content_types: { json: [application/json], form: [application/x-www-form-urlencoded] }
key:
  - json: /tenant/id
  - form: tenant_id
  - header: X-Tenant-Id
  - query: tenant
  - path: /orgs/{key}
  - { path: "/projects/{key}", escaped_slashes: keep }
  - { path: "/groups/{key}", escaped_slashes: reject }
  - cookie: tenant
duplicates: last
placement:
  overrides: { acme: cell-b }
  exact: { globex: cell-a, 007: cell-c, "true": cell-c }
  prefixes: { "eu-": cell-c }
  slots: { count: 1024, seed: 7, weights: { cell-a: 1, cell-b: 2, cell-c: 0 } }
  default: cell-a
policy:
  key_missing: { use: default }
  key_boolean: { use: cell-b }
  body_malformed: { reject: 422 }
  body_too_large: defer
  key_null: next
  key_unplaced: hash
shadow: true
decided_by: { peers: ["spiffe://cluster.local/ns/edge/sa/gateway", "spiffe://d-1.example_x/..a/b.c"], cell: cell-b }
limits: { inspect_bytes: 32KiB, stream_bytes: 8MiB, key_bytes: 128, depth: 32 }
"#;

const LIMITS: &str = r#"
routing_header: x-cell
cells: [cell-a, cell-b]
key: [{ json: /tenant/id }]
placement: { default: cell-a }
rate_limits:
  - name: per-tenant
    key: [routing_key]
    limit: 100/min;burst=20
  - name: per-api-key
    key: [{ header: X-API-Key, otherwise: anonymous }]
    limit: 5/s
    plans: { free: 10/s, pro: 100/s }
    plan_of: { key-of-globex: pro }
    plan_from: { claim: /plan }
    overrides: { "key-of-acme": 500/s }
    applies_to: { hosts: [api.example.com], methods: [POST], paths: [/v1/], except: { paths: [/v1/health] } }
  - name: protect-cell-b
    key: [cell]
    limit: 2000/s
    applies_to: { cells: [cell-b] }
    cost: { content_length: 64KiB, otherwise: 16 }
    shadow: true
    when_store_fails: allow
  - name: all_2
    key: []
    limit_from: { claim: /limits/0, at_most: 100/s, value: "{key} units", case: lower }
    cost: { json: /batch/size, at_most: 50, otherwise: 2 }
    when_store_fails: deny
  - name: caller
    key: [peer, client_address, method, { json: /tenant/id }, { path: "/orgs/{key}", escaped_slashes: keep }]
    limit: 9/h
    cost: 9
"#;

const LEAST: &str = r#"{"routing_header":"x-cell","cells":["a"],"key":[{"json":"/t"}],"placement":{"default":"a"}}"#;

#[test]
fn every_field_is_read() {
    let config = cellgate_config::from_yaml(FULL, "cellgate.yaml").unwrap();
    assert_eq!(&*config.version, "demo-1");
    assert_eq!(&*config.routing_header, "x-cell");
    assert_eq!(config.cells, ["cell-a", "cell-b", "cell-c"].map(Box::from));
    assert_eq!(config.scope.hosts, ["api.example.com", "*.Example.org"].map(|host| host.parse().unwrap()));
    assert_eq!(config.scope.methods, ["POST", "PUT"].map(Box::from));
    assert_eq!(config.scope.paths, ["/api/"].map(Box::from));
    assert_eq!((config.content_types.of(Format::Json).len(), config.content_types.of(Format::Form).len()), (1, 1));
    let sources: Vec<_> = config.sources.iter().map(ToString::to_string).collect();
    assert_eq!(
        sources,
        [
            "json /tenant/id",
            "form tenant_id",
            "header x-tenant-id",
            "query tenant",
            "path /orgs/{key}",
            "path /projects/{key}, escaped_slashes keep",
            "path /groups/{key}",
            "cookie tenant"
        ]
    );
    assert_eq!(config.duplicates, Duplicates::Last);
    assert!(config.shadow);
    let decided_by = config.decided_by.as_ref().unwrap();
    assert_eq!(decided_by.peers.len(), 2);
    assert!(decided_by.lists(b"spiffe://cluster.local/ns/edge/sa/gateway"));
    assert!(!decided_by.lists(b"spiffe://cluster.local/ns/edge/sa/gatewa"));
    assert_eq!(decided_by.cell, Some(CellId(1)));
    let limits = config.limits;
    assert_eq!(
        (limits.inspect_bytes, limits.stream_bytes, limits.key_bytes, limits.depth),
        (32 << 10, 8 << 20, 128, 32)
    );
}

#[test]
fn placement_and_policy_are_built() {
    let config = cellgate_config::from_yaml(FULL, "cellgate.yaml").unwrap();
    let place = |key| config.placement.place(key).map(|(cell, reason)| (config.cell_name(cell), reason));
    assert_eq!(place("acme"), Some(("cell-b", Reason::Override)));
    assert_eq!(place("globex"), Some(("cell-a", Reason::Exact)));
    // A key is a string, even if YAML reads such a scalar as another type elsewhere.
    assert_eq!(place("007"), Some(("cell-c", Reason::Exact)));
    assert_eq!(place("true"), Some(("cell-c", Reason::Exact)));
    assert_eq!(place("eu-initech"), Some(("cell-c", Reason::Prefix)));
    assert_eq!(place("initech").unwrap().1, Reason::Slot);
    assert_eq!(config.placement.slots().owners().len(), 1024);
    assert!(!config.placement.slots().owners().contains(&CellId(2)), "cell-c is drained");

    for (reason, answer) in [
        (Reason::KeyMissing, PolicyAction::Use(CellId(0))),
        (Reason::KeyBoolean, PolicyAction::Use(CellId(1))),
        (Reason::BodyMalformed, PolicyAction::Reject(422)),
        (Reason::BodyTooLarge, PolicyAction::Defer),
        (Reason::KeyNull, PolicyAction::Next),
        (Reason::KeyUnplaced, PolicyAction::Hash),
        (Reason::BodyTruncated, Reason::BodyTruncated.default_answer()),
    ] {
        assert_eq!(config.policy.answer(reason), answer, "{reason}");
    }
}

#[test]
fn optional_fields_have_defaults() {
    let config = cellgate_config::from_json(LEAST, "least.json").unwrap();
    let limits = config.limits;
    assert_eq!(
        (limits.inspect_bytes, limits.stream_bytes, limits.key_bytes, limits.depth),
        (32 << 10, 16 << 20, 256, 64)
    );
    assert_eq!(config.duplicates, Duplicates::Reject);
    assert!(!config.shadow);
    assert_eq!(config.decided_by, None);
    assert_eq!(config.scope, Scope::default());
    assert_eq!((config.content_types.of(Format::Json).len(), config.content_types.of(Format::Form).len()), (2, 1));
    for reason in Reason::ALL {
        assert_eq!(config.policy.answer(*reason), reason.default_answer());
    }
}

#[test]
fn a_claim_is_a_source_with_a_place_in_the_metadata() {
    let text = LEAST.replace(r#"{"json":"/t"}"#, r#"{"claim":"/orgs/0/a~1b"},{"claim":"/email","value":"*@{key}"}"#);
    let config = cellgate_config::from_json(&text, "claims.json").unwrap();
    let sources: Vec<_> = config.sources.iter().map(ToString::to_string).collect();
    assert_eq!(sources, ["claim /orgs/0/a~1b", "claim /email, value *@{key}"]);
    assert_eq!(&*config.claims.metadata_key, "payload");
    let named = text.replacen('{', r#"{"claims":{"metadata_key":"https://issuer.example"},"#, 1);
    assert_eq!(
        &*cellgate_config::from_json(&named, "claims.json").unwrap().claims.metadata_key,
        "https://issuer.example"
    );
}

fn limit(text: &str) -> Limit {
    text.parse().unwrap()
}

/// A part of a key or a cost for comparison: `header x-api-key or anonymous`.
fn part(part: &LimitKeyPart) -> String {
    match part {
        LimitKeyPart::Value { source, otherwise } => {
            format!("{source}{}", otherwise.as_ref().map(|text| format!(" or {text}")).unwrap_or_default())
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn rate_limits_are_read_in_their_order() {
    let config = cellgate_config::from_yaml(LIMITS, "limits.yaml").unwrap();
    let names: Vec<_> = config.rate_limits.iter().map(|limit| &*limit.name).collect();
    assert_eq!(names, ["per-tenant", "per-api-key", "protect-cell-b", "all_2", "caller"]);
    let keys: Vec<Vec<_>> = config.rate_limits.iter().map(|limit| limit.key.iter().map(part).collect()).collect();
    assert_eq!(
        keys,
        [
            vec!["RoutingKey"],
            vec!["header x-api-key or anonymous"],
            vec!["Cell"],
            vec![],
            vec!["Peer", "ClientAddress", "Method", "json /tenant/id", "path /orgs/{key}, escaped_slashes keep"],
        ]
    );
    let enforced: Vec<_> = config.rate_limits.iter().map(|limit| limit.enforcement == Enforcement::Enforce).collect();
    assert_eq!(enforced, [true, true, false, true, true]);
    let fails: Vec<_> = config.rate_limits.iter().map(|limit| limit.when_store_fails).collect();
    let local = WhenStoreFails::Local;
    assert_eq!(fails, [local, local, WhenStoreFails::Allow, WhenStoreFails::Deny, local]);
}

#[test]
fn a_rate_limit_has_the_limits_of_its_keys() {
    let config = cellgate_config::from_yaml(LIMITS, "limits.yaml").unwrap();
    let [tenant, api_key, _, all, _] = &config.rate_limits[..] else { panic!("five limits") };
    assert_eq!(tenant.plans.limit("acme", None, Some("pro")), Some(limit("100/min;burst=20")));
    for (key, plan, expected) in [
        ("key-of-acme", Some("free"), "500/s"),
        ("key-of-globex", Some("free"), "100/s"),
        ("initech", Some("free"), "10/s"),
        ("initech", None, "5/s"),
    ] {
        assert_eq!(api_key.plans.limit(key, None, plan), Some(limit(expected)), "{key} {plan:?}");
    }
    assert_eq!(api_key.plan_from.as_ref().map(ToString::to_string).as_deref(), Some("claim /plan"));
    assert_eq!((&api_key.limit_from, tenant.plan_from.as_ref()), (&None, None));
    let carried = all.limit_from.as_ref().unwrap();
    assert_eq!(carried.source.to_string(), "claim /limits/0, value {key} units, case lower");
    assert_eq!(carried.at_most, limit("100/s"));
    assert_eq!(all.plans.limit("", None, None), None);
}

#[test]
fn a_rate_limit_has_a_scope_and_a_cost() {
    let config = cellgate_config::from_yaml(LIMITS, "limits.yaml").unwrap();
    let [tenant, api_key, cell_b, all, caller] = &config.rate_limits[..] else { panic!("five limits") };
    assert_eq!((&tenant.scope, &tenant.cells[..]), (&Scope::default(), &[][..]));
    assert_eq!(api_key.scope.hosts, ["api.example.com".parse().unwrap()]);
    assert_eq!((&api_key.scope.methods[..], &api_key.scope.paths[..]), (&["POST".into()][..], &["/v1/".into()][..]));
    assert_eq!(api_key.scope.except.paths, ["/v1/health".into()]);
    assert_eq!(cell_b.cells, [CellId(1)]);

    assert_eq!(tenant.cost, CostRule::Fixed(1));
    assert_eq!(caller.cost, CostRule::Fixed(9));
    assert_eq!(cell_b.cost, CostRule::ContentLength { unit_bytes: 64 << 10, otherwise: 16 });
    let CostRule::Number { source, at_most: 50, otherwise: 2 } = &all.cost else { panic!("{:?}", all.cost) };
    assert_eq!(source.to_string(), "json /batch/size");
}

#[test]
fn concurrency_limits_are_read_in_their_order() {
    let text = format!(
        "{LIMITS}concurrency_limits:
  - name: in-flight
    key: [routing_key, {{ json: /batch/size }}]
    at_most: 20
  - name: reports
    key: []
    at_most: 1000000
    applies_to: {{ paths: [/reports/], cells: [cell-b] }}
    shadow: true
"
    );
    let config = cellgate_config::from_yaml(&text, "limits.yaml").unwrap();
    let [tenant, reports] = &config.concurrency_limits[..] else { panic!("two limits") };
    assert_eq!((&*tenant.name, tenant.at_most, tenant.enforcement), ("in-flight", 20, Enforcement::Enforce));
    assert_eq!(tenant.key.iter().map(part).collect::<Vec<_>>(), ["RoutingKey", "json /batch/size"]);
    assert_eq!((&tenant.scope, &tenant.cells[..]), (&Scope::default(), &[][..]));
    assert_eq!((&*reports.name, reports.at_most, reports.enforcement), ("reports", 1_000_000, Enforcement::Shadow));
    assert_eq!((&reports.scope.paths[..], &reports.cells[..]), (&["/reports/".into()][..], &[CellId(1)][..]));
    assert_eq!(cellgate_config::from_yaml(LIMITS, "limits.yaml").unwrap().concurrency_limits, []);
}

/// Some control planes write whole numbers as `9.0`. No limits are the same as none.
#[test]
fn rate_limits_are_the_same_in_json() {
    let json = cellgate_config::to_json(LIMITS, "limits.yaml").unwrap();
    let same = cellgate_config::from_json(&json.replace(":9}", ":9.0}"), "limits.json").unwrap();
    assert_eq!(same.rate_limits, cellgate_config::from_yaml(LIMITS, "limits.yaml").unwrap().rate_limits);
    let none = LEAST.replacen('{', r#"{"rate_limits":[],"#, 1);
    assert_eq!(cellgate_config::from_json(&none, "none.json").unwrap().rate_limits, []);
    assert_eq!(cellgate_config::from_json(LEAST, "least.json").unwrap().rate_limits, []);
}

#[test]
fn a_settlement_is_read() {
    let limit = |settle: &str| format!(r#"{{"rate_limits":[{{"name":"a","key":[],"limit":"9/s","settle":{settle}}}],"#);
    let settlement = |settle: &str| {
        let text = LEAST.replacen('{', &limit(settle), 1);
        cellgate_config::from_json(&text, "settle.json").unwrap().rate_limits.remove(0).settlement
    };
    let expected =
        Settlement { place: ResponsePlace::Header("x-used".into()), at_most: 7, on_failure: OnFailure::Keep };
    assert_eq!(settlement(r#"{"response_header":"X-Used","at_most":7}"#), Some(expected));
    let expected = Settlement { place: ResponsePlace::Trailer("x".into()), at_most: 7, on_failure: OnFailure::Release };
    let text = r#"{"response_trailer":"x","at_most":7,"on_failure":"release"}"#;
    assert_eq!(settlement(text), Some(expected));
}

#[test]
fn a_limit_is_leased_if_it_says_so() {
    let longest = "c".repeat(115);
    let text = format!(
        r#"{{"sync":{{"cluster":"{longest}"}},"rate_limits":[{{"name":"a","key":[],"limit":"9/s","lease":true}},{{"name":"b","key":[],"limit":"9/s","lease":false}},{{"name":"c","key":[],"limit":"9/s"}}],"#
    );
    let config = cellgate_config::from_json(&LEAST.replacen('{', &text, 1), "leased.json").unwrap();
    let leased: Vec<_> = config.rate_limits.iter().map(|limit| limit.is_leased).collect();
    assert_eq!(leased, [true, false, false]);
    assert_eq!(config.sync.map(|sync| sync.cluster.into_string()), Some(longest));
    assert_eq!(cellgate_config::from_json(LEAST, "least.json").unwrap().sync, None);
}

/// It may be there before the first leased limit.
#[test]
fn the_service_may_be_named_without_a_leased_limit() {
    let text = LEAST.replacen(
        '{',
        r#"{"sync":{"cluster":"outbound|50051||cellgate-ext-proc.cellgate.svc.cluster.local"},"#,
        1,
    );
    let sync = cellgate_config::from_json(&text, "sync.json").unwrap().sync;
    assert_eq!(&*sync.unwrap().cluster, "outbound|50051||cellgate-ext-proc.cellgate.svc.cluster.local");
}

const DESCRIPTOR_LIMITS: &str = r#"
routing_header: x-cell
cells: [cell-a]
key: [{ json: /tenant/id }]
placement: { default: cell-a }
descriptor_limits:
  - name: per-user
    domain: shop
    descriptor: [{ key: user }]
    limit: 10/s
    plans: { pro: 100/s }
    plan_of: { acme: pro }
    overrides: { globex: 5/s }
    override_at_most: 1000/s
  - name: writes
    domain: shop
    descriptor: [{ key: method, value: POST }, { key: path, value: "/v1/*", shared: true }]
    limit: 5/2h
    shadow: true
    when_store_fails: deny
  - { name: office, domain: shop, descriptor: [{ key: user, value: "office-*" }], always: allow }
  - { name: banned, domain: other, descriptor: [{ key: user }], always: deny }
"#;

#[test]
fn descriptor_limits_are_read_in_their_order() {
    let config = cellgate_config::from_yaml(DESCRIPTOR_LIMITS, "limits.yaml").unwrap();
    let [user, writes, office, banned] = &config.descriptor_limits[..] else { panic!("four limits") };
    assert_eq!([&*user.name, &*writes.name, &*office.name, &*banned.name], ["per-user", "writes", "office", "banned"]);
    assert_eq!([&*user.domain, &*banned.domain], ["shop", "other"]);
    let part = |key: &str, values| DescriptorPart { key: key.into(), values };
    assert_eq!(user.key, [part("user", EntryValues::Any)]);
    let path = EntryValues::Prefix { prefix: "/v1/".into(), shared: true };
    assert_eq!(writes.key, [part("method", EntryValues::One("POST".into())), part("path", path)]);
    assert_eq!(office.key, [part("user", EntryValues::Prefix { prefix: "office-".into(), shared: false })]);
    let DescriptorRule::Count { plans, override_at_most } = &user.rule else { panic!("{:?}", user.rule) };
    assert_eq!(*override_at_most, Some(limit("1000/s")));
    for (value, expected) in [("acme", "100/s"), ("globex", "5/s"), ("other", "10/s")] {
        assert_eq!(plans.limit(value, None, None), Some(limit(expected)), "{value}");
    }
    assert_eq!((&office.rule, &banned.rule), (&DescriptorRule::Allow, &DescriptorRule::Deny));
    assert_eq!((writes.enforcement, user.enforcement), (Enforcement::Shadow, Enforcement::Enforce));
    assert_eq!((writes.when_store_fails, user.when_store_fails), (WhenStoreFails::Deny, WhenStoreFails::Local));
    let json = cellgate_config::to_json(DESCRIPTOR_LIMITS, "limits.yaml").unwrap();
    let same = cellgate_config::from_json(&json, "limits.json").unwrap();
    assert_eq!(same.descriptor_limits, config.descriptor_limits);
}

/// The sources of all limits and of the key are read in one query, so equal ones are no clash.
#[test]
fn a_source_may_be_in_the_key_and_in_several_limits() {
    let limit = r#"{"name":"NAME","key":[{"json":"/t"},{"protobuf":"1.2"}],"limit":"1/s","cost":{"json":"/t","at_most":9,"otherwise":1}}"#;
    let limits = [limit.replace("NAME", "a"), limit.replace("NAME", "b")].join(",");
    let text = LEAST.replacen('{', &format!(r#"{{"rate_limits":[{limits}],"#), 1);
    assert_eq!(cellgate_config::from_json(&text, "same.json").unwrap().rate_limits.len(), 2);
}

#[test]
fn json_and_yaml_have_one_schema() {
    let json = cellgate_config::to_json(FULL, "cellgate.yaml").unwrap();
    let config = cellgate_config::from_json(&json, "cellgate.json").unwrap();
    assert_eq!(config.placement.place("007"), Some((CellId(2), Reason::Exact)));
    assert_eq!(cellgate_config::to_json(&json, "cellgate.json").unwrap(), json, "rendering is stable");
    // JSON is also YAML.
    cellgate_config::from_yaml(&json, "cellgate.yaml").unwrap();
}

#[test]
fn the_order_of_fields_is_kept() {
    let json = cellgate_config::to_json(LEAST, "least.json").unwrap();
    assert_eq!(json, LEAST);
}

#[test]
fn a_protobuf_struct_writes_integers_as_doubles() {
    let text = LEAST.replace(r#""default":"a""#, r#""slots":{"count":16384.0,"seed":7.0}"#);
    let config = cellgate_config::from_json(&text, "struct.json").unwrap();
    assert_eq!(config.placement.slots().owners().len(), 16_384);
}

/// Read as text, `-0` was a negative integer, and the message said that 0 is not one from 0.
#[test]
fn a_zero_may_have_a_sign() {
    for zero in ["0", "-0", "-0.0", "-0e1"] {
        let text = LEAST.replace(r#""default":"a""#, &format!(r#""slots":{{"count":1024,"seed":{zero}}}"#));
        let json = cellgate_config::from_json(&text, "zero.json").map(|config| config.placement);
        let yaml = cellgate_config::from_yaml(&text, "zero.yaml").map(|config| config.placement);
        let (json, yaml) = (json.unwrap(), yaml.unwrap());
        assert_eq!(json.slots().owners().len(), 1024, "{zero}");
        assert_eq!(json.slots().owners(), yaml.slots().owners(), "{zero}");
    }
}

#[test]
fn the_action_hash_without_slots_uses_equal_weights() {
    let text = LEAST.replace(r#"["a"]"#, r#"["a","b"]"#).replace(r#""default":"a""#, r#""exact":{"k":"a"}"#);
    let plain = cellgate_config::from_json(&text, "plain.json").unwrap();
    assert!(plain.placement.slots().owners().is_empty(), "no table is built without need");
    let text = text.replace(r#""placement""#, r#""policy":{"key_unplaced":"hash"},"placement""#);
    let config = cellgate_config::from_json(&text, "hash.json").unwrap();
    assert_eq!(config.placement.place("other"), None);
    let owners = config.placement.slots().owners();
    assert_eq!(owners.len(), 16_384);
    let first = owners.iter().filter(|cell| **cell == CellId(0)).count();
    assert!((7_900..8_500).contains(&first), "{first}");
}

#[test]
fn yaml_scalars_are_strings_unless_they_are_numbers_or_booleans() {
    for (scalar, expected) in
        [("yes", "yes"), ("off", "off"), ("2025-11-21", "2025-11-21"), ("'1.10'", "1.10"), ("v1", "v1")]
    {
        let text =
            format!("version: {scalar}\nrouting_header: x\ncells: [a]\nkey: [{{json: /t}}]\nplacement: {{default: a}}");
        assert_eq!(&*cellgate_config::from_yaml(&text, "scalar.yaml").unwrap().version, expected);
    }
}

/// A JSON type may match some of the types of a pattern for forms, but not all.
#[test]
fn a_form_type_that_json_matches_in_part_is_accepted() {
    for (json, form) in [
        ("application/x+json", "application/*+json"),
        ("application/*+json", "application/grpc+json"),
        ("a/*+b", "c/*+b"),
    ] {
        let types = format!(r#"{{"content_types":{{"json":["{json}"],"form":["{form}"]}},"#);
        let config = cellgate_config::from_json(&LEAST.replacen('{', &types, 1), "types.json").unwrap();
        assert_eq!(config.content_types.of(Format::Form).len(), 1, "{json} {form}");
    }
}

#[test]
fn content_encodings_and_their_limits() {
    use cellgate_routing::ContentCoding;
    let config = cellgate_config::from_json(LEAST, "least.json").unwrap();
    let decoded =
        |config: &Config, format| ContentCoding::ALL.map(|coding| config.content_encodings.contains(coding, format));
    for (format, by_default) in [
        (Format::Json, [true, false, false, true]),
        (Format::Xml, [true, false, false, true]),
        (Format::Ndjson, [false; 4]),
        (Format::Form, [false; 4]),
        (Format::Multipart, [false; 4]),
        (Format::Protobuf, [false; 4]),
        (Format::Msgpack, [false; 4]),
        (Format::Cbor, [false; 4]),
    ] {
        assert_eq!(decoded(&config, format), by_default, "{format:?}");
    }
    let limits = config.limits;
    assert_eq!((limits.decoded_bytes, limits.decoded_ratio, limits.decode_time.as_millis()), (64 << 20, 100, 1000));
    let fields = r#"{"content_encodings":["zstd","br","zstd"],
        "limits":{"decoded_bytes":"1MiB","decoded_ratio":10,"decode_ms":5},"#;
    let config = cellgate_config::from_json(&LEAST.replacen('{', fields, 1), "some.json").unwrap();
    assert_eq!(decoded(&config, Format::Form), [false, false, true, true]);
    let limits = config.limits;
    assert_eq!((limits.decoded_bytes, limits.decoded_ratio, limits.decode_time.as_millis()), (1 << 20, 10, 5));
    let none = LEAST.replacen('{', r#"{"content_encodings":[],"#, 1);
    let config = cellgate_config::from_json(&none, "none.json").unwrap();
    assert_eq!(decoded(&config, Format::Json), [false; 4]);
}
