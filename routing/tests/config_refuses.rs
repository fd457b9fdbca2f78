//! What is wrong with a configuration is said on one line: where, which field, what was expected, what was found.

use cellgate_routing::Config;

const YAML: [&str; 4] = [
    "routing_header: x-cell",
    "cells: [cell-a, cell-b]",
    "key: [{ json: /tenant/id }]",
    "placement: { default: cell-a }",
];

const JSON: [&str; 4] = [
    r#""routing_header": "x-cell""#,
    r#""cells": ["cell-a", "cell-b"]"#,
    r#""key": [{ "json": "/tenant/id" }]"#,
    r#""placement": { "default": "cell-a" }"#,
];

/// Replaces the good line of the same field by the bad one, or appends it as line 5.
fn spoil<'a>(good: [&'a str; 4], bad: &'a str) -> Vec<&'a str> {
    let field = |line: &'a str| line.split_once(':').map(|(field, _)| field);
    let mut lines = good.to_vec();
    match lines.iter_mut().find(|line| field(line) == field(bad)) {
        Some(line) => *line = bad,
        None => lines.push(bad),
    }
    lines
}

fn check(errors: Vec<String>) {
    assert!(errors.is_empty(), "\n{}", errors.join("\n"));
}

fn compare(found: Result<Config, cellgate_routing::config::ConfigError>, bad: &str, expected: &str) -> Option<String> {
    let found = found.map_or_else(|error| error.to_string(), |_| "accepted".into());
    (found != expected).then(|| format!("{bad}\n  expected {expected}\n  found    {found}"))
}

#[test]
fn yaml() {
    check(
        YAML_CASES
            .iter()
            .filter_map(|(bad, expected)| {
                let text = spoil(YAML, bad).join("\n");
                compare(Config::from_yaml(&text, "bad.yaml"), bad, expected)
            })
            .collect(),
    );
}

#[test]
fn json() {
    check(
        JSON_CASES
            .iter()
            .filter_map(|(bad, expected)| {
                let text = format!("{{{}}}", spoil(JSON, bad).join(",\n"));
                compare(Config::from_json(&text, "bad.json"), bad, expected)
            })
            .collect(),
    );
}

#[test]
fn not_even_a_document() {
    let yaml = |text| Config::from_yaml(text, "bad.yaml").unwrap_err().to_string();
    let json = |text| Config::from_json(text, "bad.json").unwrap_err().to_string();
    check(
        [
            (json(""), "bad.json:1:1: EOF while parsing a value"),
            (json("{"), "bad.json:1:1: EOF while parsing an object"),
            (json("[]"), "bad.json:1:1: expected a map of fields, found a list"),
            (json("null"), "bad.json:1:1: expected a map of fields, found nothing (null)"),
            (json("{} x"), "bad.json:1:4: trailing characters"),
            (json("{\n  'a': 1\n}"), "bad.json:2:3: key must be a string"),
            (json("\u{feff}\u{feff}{}"), "bad.json:1:1: expected value"),
            (json("{}"), "bad.json:1:1: routing_header: this field is missing and has no default"),
            (json("{\"version\": \"\\ud800\"}"), "bad.json:1:13: version: unexpected end of hex escape"),
            (json(&"[".repeat(17)), "bad.json:1:17: EOF while parsing a list"),
            (
                json(&format!("{}{}", "[".repeat(17), "]".repeat(17))),
                "bad.json:1:17: [0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]: nested too deep",
            ),
            (yaml(""), "bad.yaml:1:1: expected a map of fields, found nothing (null)"),
            (yaml("- a"), "bad.yaml:1:1: expected a map of fields, found a list"),
            (yaml("a: 1\na: 2"), "bad.yaml:2:1: \"a\" stands here for the second time"),
            (yaml("cells: &c [a]\nkey: *c"), "bad.yaml:1:11: anchors and aliases are not supported"),
            (yaml("version: a\n---\nversion: b"), "bad.yaml:2:1: expected one document, found a second one"),
            (yaml("version: !mine a"), "bad.yaml:1:16: unsupported tag `!mine`"),
            (yaml("version: !!int a"), "bad.yaml:1:16: this value is not what its tag says"),
            (yaml("!!int 1: a"), "bad.yaml:1:7: expected a name without a tag"),
            (yaml("version: .inf"), "bad.yaml:1:10: this is not a finite number (write it in quotes if it is a text)"),
            (yaml("<<: { version: a }"), "bad.yaml:1:1: merge keys are not supported"),
            (yaml(&format!("{}{}", "[".repeat(17), "]".repeat(17))), "bad.yaml:1:17: recursion limit exceeded"),
            (yaml("version: [a"), "bad.yaml:1:10: unclosed bracket '['"),
            (yaml("version: a\n\tcells: b"), "bad.yaml:1:10: while scanning a plain scalar, found a tab"),
        ]
        .into_iter()
        .filter(|(found, expected)| found != expected)
        .map(|(found, expected)| format!("expected {expected}\nfound    {found}"))
        .collect(),
    );
}

#[test]
fn all_problems_are_reported_in_the_order_of_the_text() {
    let text = "\
routing_header: host
cells: [cell-a, cell-a]
key:
  - header: x-cellgate-key
  - cookie: a b
placement:
  overrides:
    acme: cell-z
  default: cell-a
policy:
  override: { reject: 400 }
";
    let error = Config::from_yaml(text, "many.yaml").unwrap_err();
    assert_eq!(
        error.to_string().lines().map(|line| line.split_inclusive(": ").take(2).collect()).collect::<Vec<String>>(),
        [
            "many.yaml:1:17: routing_header: ",
            "many.yaml:2:17: cells[1]: ",
            "many.yaml:4:13: key[0].header: ",
            "many.yaml:5:13: key[1].cookie: ",
            "many.yaml:8:11: placement.overrides.acme: ",
            "many.yaml:11:3: policy.override: ",
        ]
    );
    assert_eq!(error.problems().len(), 6);
    assert_eq!(error.file(), "many.yaml");
}

#[test]
fn a_flood_of_problems_is_cut_off() {
    let cells: Vec<_> = (0..100).map(|_| "\"no name\"").collect();
    let text =
        format!("routing_header: x-cell\ncells: [{}]\nkey: [{{json: /a}}]\nplacement: {{default: a}}", cells.join(","));
    let error = Config::from_yaml(&text, "flood.yaml").unwrap_err();
    assert_eq!(error.problems().len(), 20);
    assert!(error.to_string().ends_with("(and 180 more problems)"), "{error}");
}

const YAML_CASES: &[(&str, &str)] = &[
    // Fields and types.
    ("cels: []", r#"bad.yaml:5:1: cels: unknown field "cels"; did you mean `cells`?"#),
    (
        "colour: red",
        r#"bad.yaml:5:1: colour: unknown field "colour", expected one of `version`, `routing_header`, `cells`, `applies_to`, `content_types`, `key`, `duplicates`, `placement`, `policy`, `decided_by`, `shadow`, `limits`"#,
    ),
    ("version: 1.10", "bad.yaml:5:10: version: expected a string, found 1.1 (write it in quotes)"),
    (
        "version:",
        "bad.yaml:5:8: version: expected a string, found nothing (null) (leave the field out for its default)",
    ),
    ("version: true", "bad.yaml:5:10: version: expected a string, found true (write it in quotes)"),
    ("policy: []", "bad.yaml:5:9: policy: expected a map, found a list"),
    ("policy:", "bad.yaml:5:7: policy: expected a map, found nothing (null) (leave the field out for its default)"),
    ("duplicates: lasst", r#"bad.yaml:5:13: duplicates: unknown word "lasst"; did you mean `last`?"#),
    (
        "duplicates: never",
        r#"bad.yaml:5:13: duplicates: unknown word "never", expected one of `reject`, `first`, `last`"#,
    ),
    (
        "duplicates: ~",
        "bad.yaml:5:13: duplicates: expected `reject`, `first` or `last`, found nothing (null) (leave the field out for its default)",
    ),
    ("duplicates: []", "bad.yaml:5:13: duplicates: expected `reject`, `first` or `last`, found a list"),
    // The routing header.
    (
        "routing_header: ''",
        r#"bad.yaml:1:17: routing_header: expected a header's name (RFC 9110) of at most 256 bytes, found """#,
    ),
    (
        "routing_header: 'x cell'",
        r#"bad.yaml:1:17: routing_header: expected a header's name (RFC 9110) of at most 256 bytes, found "x cell""#,
    ),
    (
        "routing_header: ':path'",
        r#"bad.yaml:1:17: routing_header: ":path" is a pseudo-header; expected a header's name"#,
    ),
    (
        "routing_header: Host",
        r#"bad.yaml:1:17: routing_header: "Host" has a meaning of its own; expected a header of yours, such as `x-cell`"#,
    ),
    (
        "routing_header: content_type",
        r#"bad.yaml:1:17: routing_header: "content_type" has a meaning of its own; expected a header of yours, such as `x-cell`"#,
    ),
    (
        "routing_header: X-Envoy-Cell",
        r#"bad.yaml:1:17: routing_header: "X-Envoy-Cell" has a meaning of its own; expected a header of yours, such as `x-cell`"#,
    ),
    (
        "routing_header: x_cellgate_cell",
        "bad.yaml:1:17: routing_header: headers that start with `x-cellgate-` are Cellgate's own",
    ),
    // Cells.
    ("cells: []", "bad.yaml:2:8: cells: expected from 1 to 1024 cells, found 0"),
    ("cells: cell-a", r#"bad.yaml:2:8: cells: expected a list, found "cell-a""#),
    ("cells: [cell-a, 7]", "bad.yaml:2:17: cells[1]: expected a string, found 7 (write it in quotes)"),
    (
        "cells: [cell-a, 'cell b']",
        r#"bad.yaml:2:17: cells[1]: expected a name of 1 to 63 letters, digits, `.`, `_` and `-`, found "cell b""#,
    ),
    ("cells: [cell-a, cell-b, cell-a]", r#"bad.yaml:2:25: cells[2]: "cell-a" is in the list already"#),
    (
        "cells: [cell-a, default]",
        "bad.yaml:2:17: cells[1]: `default` is no cell's name: in a policy it means `placement.default`",
    ),
    // Scope and content types.
    (
        "applies_to: { method: [POST] }",
        r#"bad.yaml:5:15: applies_to.method: unknown field "method"; did you mean `methods`?"#,
    ),
    (
        "applies_to: { hosts: [a.b, '*'] }",
        "bad.yaml:5:28: applies_to.hosts[1]: `*` is every host, which is the default: leave `hosts` out",
    ),
    (
        "applies_to: { hosts: ['a.b:80'] }",
        r#"bad.yaml:5:23: applies_to.hosts[0]: expected a host such as `api.example.com`, or `*.example.com` for all below it, without a port, found "a.b:80""#,
    ),
    (
        "applies_to: { methods: [] }",
        "bad.yaml:5:24: applies_to.methods: expected at least one item (leave the field out for its default)",
    ),
    (
        "applies_to: { methods: [post] }",
        "bad.yaml:5:25: applies_to.methods[0]: methods are compared exactly: write `POST`",
    ),
    (
        "applies_to: { methods: ['P OST'] }",
        r#"bad.yaml:5:25: applies_to.methods[0]: expected a method such as `POST`, found "P OST""#,
    ),
    (
        "applies_to: { paths: [api] }",
        r#"bad.yaml:5:23: applies_to.paths[0]: expected the beginning of a path, with a leading `/` and no query, found "api""#,
    ),
    (
        "content_types: { json: [application/json; charset=utf-8] }",
        r#"bad.yaml:5:25: content_types.json[0]: expected a media type such as `application/json` or `application/*+json`, without parameters, found "application/json; charset=utf-8""#,
    ),
    (
        "content_types: { form: [application/JSON] }",
        "bad.yaml:5:25: content_types.form[0]: this media type is read as JSON already",
    ),
    (
        "content_types: { form: [a/b, application/a+json] }",
        "bad.yaml:5:30: content_types.form[1]: this media type is read as JSON already",
    ),
    (
        "content_types: { form: [application/*+a+json] }",
        "bad.yaml:5:25: content_types.form[0]: this media type is read as JSON already",
    ),
    (
        "content_types: { json: [application/x-www-form-urlencoded] }",
        "bad.yaml:5:16: content_types.form[0]: this media type is read as JSON already",
    ),
    // Sources.
    ("key: []", "bad.yaml:3:6: key: expected from 1 to 32 sources, found 0"),
    ("key: json", r#"bad.yaml:3:6: key: expected a list, found "json""#),
    ("key: [json]", "bad.yaml:3:7: key[0]: expected `json: …`, found the bare word"),
    ("key: [{ jsom: /a }]", r#"bad.yaml:3:9: key[0]: unknown word "jsom"; did you mean `json`?"#),
    ("key: [{ json: /a, form: a }]", r#"bad.yaml:3:7: key[0]: expected one entry, found 2 ["json", "form"]"#),
    (
        "key: [{ json: tenant }]",
        r#"bad.yaml:3:15: key[0].json: expected an RFC 6901 pointer that starts with `/`, such as `/tenant/id`, found "tenant""#,
    ),
    (
        "key: [{ json: /a~2 }]",
        r#"bad.yaml:3:15: key[0].json: expected `~0` (for `~`) or `~1` (for `/`) after `~` in an RFC 6901 pointer, found "/a~2""#,
    ),
    ("key: [{ form: '' }]", "bad.yaml:3:15: key[0].form: expected a name, found an empty string"),
    (
        "key: [{ form: tenant%5Fid }]",
        r#"bad.yaml:3:15: key[0].form: expected a name as it is once decoded, without `%` and control characters, found "tenant%5Fid""#,
    ),
    (
        "key: [{ query: \"a\\u0085b\" }]",
        "bad.yaml:3:16: key[0].query: expected a name as it is once decoded, without `%` and control characters, found \"a\u{fffd}b\"",
    ),
    (
        "key: [{ header: x_cell }]",
        r#"bad.yaml:3:17: key[0].header: "x_cell" is removed from every request, so it cannot hold the key"#,
    ),
    (
        "key: [{ header: ':authority' }]",
        r#"bad.yaml:3:17: key[0].header: ":authority" is a pseudo-header; expected a header's name"#,
    ),
    (
        "key: [{ header: host }]",
        r#"bad.yaml:3:17: key[0].header: "host" is turned into `:authority` by Envoy, which is no source; expected a header of yours, such as `x-tenant-id`"#,
    ),
    (
        "key: [{ header: TE }]",
        r#"bad.yaml:3:17: key[0].header: "TE" belongs to one connection (RFC 9110, 7.6.1): Envoy removes it, rewrites it or answers 400; expected a header of yours, such as `x-tenant-id`"#,
    ),
    (
        "key: [{ header: content-length }]",
        r#"bad.yaml:3:17: key[0].header: "content-length" says where the body ends, and Envoy answers 400 to any other value; expected a header of yours, such as `x-tenant-id`"#,
    ),
    ("key: [{ header: X-A }, { header: x-a }]", "bad.yaml:3:34: key[1].header: this source is in the list already"),
    (
        "key: [{ path: '/orgs/:id' }]",
        r#"bad.yaml:3:15: key[0].path: expected exactly one `{key}` segment, such as `/orgs/{key}`, found "/orgs/:id""#,
    ),
    ("key: [{ cookie: 'a=b' }]", r#"bad.yaml:3:17: key[0].cookie: expected a cookie's name (RFC 6265), found "a=b""#),
    // Placement.
    (
        "placement: {}",
        "bad.yaml:4:12: placement: expected at least one of `overrides`, `exact`, `prefixes`, `slots` and `default`: nothing here places a key",
    ),
    (
        "placement: { default: cell-z }",
        r#"bad.yaml:4:23: placement.default: "cell-z" is not one of the cells [cell-a, cell-b] (did you mean `cell-a`?)"#,
    ),
    (
        "placement: { default: null }",
        "bad.yaml:4:23: placement.default: expected a string, found nothing (null) (leave the field out for its default)",
    ),
    (
        "placement: { overrides: { acme: cel-a } }",
        r#"bad.yaml:4:33: placement.overrides.acme: "cel-a" is not one of the cells [cell-a, cell-b] (did you mean `cell-a`?)"#,
    ),
    (
        "placement: { overrides: { acme: cell-a, acme: cell-b } }",
        r#"bad.yaml:4:41: "acme" stands here for the second time"#,
    ),
    (
        "placement: { exact: { '': cell-a } }",
        r#"bad.yaml:4:23: placement.exact[""]: no request's key can be "": The key is the empty string."#,
    ),
    (
        "placement: { exact: { \"a\\nb\": cell-a } }",
        r#"bad.yaml:4:23: placement.exact["a\nb"]: no request's key can be "a\nb": The key contains a control character."#,
    ),
    (
        "placement: { prefixes: { 'a.b': cell-c } }",
        r#"bad.yaml:4:33: placement.prefixes["a.b"]: "cell-c" is not one of the cells [cell-a, cell-b] (did you mean `cell-a`?)"#,
    ),
    (
        "placement: { slots: { count: 0 } }",
        "bad.yaml:4:30: placement.slots.count: expected an integer from 1 to 65536, found 0",
    ),
    (
        "placement: { slots: { count: 65537 } }",
        "bad.yaml:4:30: placement.slots.count: expected an integer from 1 to 65536, found 65537",
    ),
    (
        "placement: { slots: { count: 1.5 } }",
        "bad.yaml:4:30: placement.slots.count: expected an integer from 1 to 65536, found 1.5",
    ),
    (
        "placement: { slots: { seed: -1 } }",
        "bad.yaml:4:29: placement.slots.seed: expected an integer from 0 to 9007199254740991, found -1",
    ),
    (
        "placement: { slots: { seed: 9007199254740992 } }",
        "bad.yaml:4:29: placement.slots.seed: expected an integer from 0 to 9007199254740991, found 9007199254740992",
    ),
    (
        "placement: { slots: { weights: { cell-a: 1 } } }",
        r#"bad.yaml:4:32: placement.slots.weights: "cell-b" has no weight: name every cell, with 0 to drain it"#,
    ),
    (
        "placement: { slots: { weights: { cell-a: 0, cell-b: 0 } } }",
        "bad.yaml:4:32: placement.slots.weights: expected at least one weight above 0",
    ),
    (
        "placement: { exact: { ~: cell-a } }",
        "bad.yaml:4:23: expected a name, found nothing (null) (write it in quotes)",
    ),
    ("placement: { exact: { [a]: cell-a } }", "bad.yaml:4:23: expected a name, found a list or a map"),
    ("placement: { exact: { 0x10: cell-a, 16: cell-a } }", r#"bad.yaml:4:37: "16" stands here for the second time"#),
    ("limits: { depth: {} }", "bad.yaml:5:18: limits.depth: expected an integer from 1 to 1024, found a map"),
    (
        "placement: { slots: { weights: { cell-a: 1, cell-b: 1, cell-c: 1 } } }",
        r#"bad.yaml:4:56: placement.slots.weights.cell-c: "cell-c" is not one of the cells [cell-a, cell-b] (did you mean `cell-a`?)"#,
    ),
    (
        "placement: { slots: { weights: { cell-a: 1000001, cell-b: 1 } } }",
        "bad.yaml:4:42: placement.slots.weights.cell-a: expected an integer from 0 to 1000000, found 1000001",
    ),
    // Policy.
    (
        "policy: { key_mising: { reject: 400 } }",
        r#"bad.yaml:5:11: policy.key_mising: "key_mising" is not one of the reasons in docs/reasons.md (did you mean `key_missing`?)"#,
    ),
    (
        "policy: { teapot: { reject: 418 } }",
        r#"bad.yaml:5:11: policy.teapot: "teapot" is not one of the reasons in docs/reasons.md"#,
    ),
    (
        "policy: { slot: { reject: 400 } }",
        "bad.yaml:5:11: policy.slot: `slot` means that the request has its cell: it has no policy",
    ),
    (
        "policy: { key_missing: defer }",
        "bad.yaml:5:24: policy.key_missing: expected one of `reject: STATUS`, `use: CELL`, `pass`",
    ),
    (
        "policy: { body_malformed: pass }",
        "bad.yaml:5:27: policy.body_malformed: expected one of `reject: STATUS`, `use: CELL`",
    ),
    (
        "policy: { key_missing: rejct }",
        r#"bad.yaml:5:24: policy.key_missing: unknown word "rejct"; did you mean `reject`?"#,
    ),
    ("policy: { key_missing: reject }", "bad.yaml:5:24: policy.key_missing: expected `reject: …`, found the bare word"),
    (
        "policy: { key_missing: { defer: 1 } }",
        "bad.yaml:5:26: policy.key_missing: expected the bare word `defer`, without a value",
    ),
    (
        "policy: { key_missing: { reject: 200 } }",
        "bad.yaml:5:34: policy.key_missing.reject: expected an integer from 400 to 599, found 200",
    ),
    (
        "policy: { key_missing: { use: cell-c } }",
        r#"bad.yaml:5:31: policy.key_missing.use: "cell-c" is not one of the cells [cell-a, cell-b] (did you mean `cell-a`?)"#,
    ),
    (
        "policy: { key_missing: 400 }",
        "bad.yaml:5:24: policy.key_missing: expected an answer such as `defer`, `reject: 400` or `use: default`, found 400",
    ),
    // Decided by.
    ("shadow: 1", "bad.yaml:5:9: shadow: expected a boolean, found 1"),
    ("decided_by: {}", "bad.yaml:5:13: decided_by.peers: this field is missing and has no default"),
    (
        "decided_by: { peers: [] }",
        "bad.yaml:5:22: decided_by.peers: expected at least one item (leave the field out for its default)",
    ),
    (
        "decided_by: { peers: [spiffe://a/b], cel: cell-a }",
        r#"bad.yaml:5:38: decided_by.cel: unknown field "cel"; did you mean `cell`?"#,
    ),
    (
        "decided_by: { peers: [spiffe://a/b], cell: cell-c }",
        r#"bad.yaml:5:44: decided_by.cell: "cell-c" is not one of the cells [cell-a, cell-b] (did you mean `cell-a`?)"#,
    ),
    (
        "decided_by: { peers: [spiffe://a/b, spiffe://a/c, spiffe://a/b] }",
        r#"bad.yaml:5:51: decided_by.peers[2]: "spiffe://a/b" is in the list already"#,
    ),
    (
        "decided_by: { peers: ['spiffe://cluster.local/ns/*/sa/gateway'] }",
        r#"bad.yaml:5:23: decided_by.peers[0]: peers are compared exactly: write out each one instead of "spiffe://cluster.local/ns/*/sa/gateway""#,
    ),
    (
        "decided_by: { peers: [cluster.local/ns/edge/sa/gateway] }",
        r#"bad.yaml:5:23: decided_by.peers[0]: expected a SPIFFE ID such as `spiffe://cluster.local/ns/NAMESPACE/sa/ACCOUNT`, found "cluster.local/ns/edge/sa/gateway""#,
    ),
    // Limits.
    ("limits: { depth: 0 }", "bad.yaml:5:18: limits.depth: expected an integer from 1 to 1024, found 0"),
    ("limits: { depth: '64' }", r#"bad.yaml:5:18: limits.depth: expected an integer from 1 to 1024, found "64""#),
    ("limits: { key_bytes: 4097 }", "bad.yaml:5:22: limits.key_bytes: expected an integer from 1 to 4096, found 4097"),
    (
        "limits: { inspect_bytes: 64k }",
        r#"bad.yaml:5:26: limits.inspect_bytes: expected a size from 1KiB to 16MiB in bytes or with the unit KiB, MiB or GiB, found "64k""#,
    ),
    (
        "limits: { inspect_bytes: 64KB }",
        r#"bad.yaml:5:26: limits.inspect_bytes: expected a size from 1KiB to 16MiB in bytes or with the unit KiB, MiB or GiB, found "64KB""#,
    ),
    (
        "limits: { inspect_bytes: 1000 }",
        "bad.yaml:5:26: limits.inspect_bytes: expected a size from 1KiB to 16MiB, found 1000",
    ),
    (
        "limits: { inspect_bytes: 17MiB }",
        r#"bad.yaml:5:26: limits.inspect_bytes: expected a size from 1KiB to 16MiB, found "17MiB""#,
    ),
    (
        "limits: { stream_bytes: 16KiB }",
        "bad.yaml:5:25: limits.stream_bytes: expected at least limits.inspect_bytes (32768 bytes), found 16384: the service takes what is too large for the filter",
    ),
];

const JSON_CASES: &[(&str, &str)] = &[
    (r#""cels": []"#, r#"bad.json:5:1: cels: unknown field "cels"; did you mean `cells`?"#),
    (r#""version": 7"#, "bad.json:5:12: version: expected a string, found 7 (write it in quotes)"),
    (
        r#""version": null"#,
        "bad.json:5:12: version: expected a string, found nothing (null) (leave the field out for its default)",
    ),
    (r#""limits": {"depth": 0}"#, "bad.json:5:21: limits.depth: expected an integer from 1 to 1024, found 0"),
    (r#""limits": {"depth": 64.5}"#, "bad.json:5:21: limits.depth: expected an integer from 1 to 1024, found 64.5"),
    (r#""limits": {"depth": 1e400}"#, "bad.json:5:21: limits.depth: number out of range"),
    (
        r#""limits": {"inspect_bytes": "64k"}"#,
        r#"bad.json:5:29: limits.inspect_bytes: expected a size from 1KiB to 16MiB in bytes or with the unit KiB, MiB or GiB, found "64k""#,
    ),
    (
        r#""limits": {"inspect_bytes": 99999999999999999999}"#,
        "bad.json:5:29: limits.inspect_bytes: expected a size from 1KiB to 16MiB, found 1e+20",
    ),
    (r#""limits": {"depth": 1, "depth": 2}"#, "bad.json:5:24: limits.depth: this stands here for the second time"),
    (r#""cells": ["cell-a", "cell-\u0061"]"#, r#"bad.json:2:21: cells[1]: "cell-a" is in the list already"#),
    (r#""cells": {"a": 1}"#, "bad.json:2:10: cells: expected a list, found a map"),
    (r#""key": [{"json": "/a"}, {"json": "/a"}]"#, "bad.json:3:34: key[1].json: this source is in the list already"),
    (r#""key": [{"header": ["x"]}]"#, "bad.json:3:20: key[0].header: expected a string, found a list"),
    (r#""key": [{}]"#, "bad.json:3:9: key[0]: expected one entry, found 0 []"),
    (
        r#""placement": {"exact": {"a": "cell-a", "\u0061": "cell-b"}}"#,
        "bad.json:4:40: placement.exact.a: this stands here for the second time",
    ),
    (
        r#""placement": {"exact": {"å": "cell-a", "b": "cell-z"}}"#,
        r#"bad.json:4:45: placement.exact.b: "cell-z" is not one of the cells [cell-a, cell-b] (did you mean `cell-a`?)"#,
    ),
    (
        r#""placement": {"slots": {"seed": 9007199254740992.0}}"#,
        "bad.json:4:33: placement.slots.seed: expected an integer from 0 to 9007199254740991, found 9007199254740992.0",
    ),
    (
        r#""placement": {"exact": {"a": "cell-a"}}, "policy": {"key_missing": {"use": "default"}}"#,
        "bad.json:4:76: policy.key_missing.use: `use: default` needs `placement.default`",
    ),
    (
        r#""policy": {"body_too_large": "next"}"#,
        "bad.json:5:30: policy.body_too_large: expected one of `reject: STATUS`, `use: CELL`, `defer`",
    ),
    (r#""duplicates": {"reject": 1}"#, "bad.json:5:16: duplicates: expected the bare word `reject`, without a value"),
    (r#""$schema": 1"#, "bad.json:5:12: $schema: expected a string, found 1 (write it in quotes)"),
];
