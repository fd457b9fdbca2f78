//! The meaning of a valid configuration.

use cellgate_routing::{CellId, Config, Duplicates, Format, PolicyAction, Reason, Scope};

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
