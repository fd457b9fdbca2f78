//! The committed JSON Schema is current, and it agrees with the parser.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

use std::path::PathBuf;

use serde_json::{Value, json};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The configurations in `examples/`: name and text.
fn examples() -> Vec<(String, String)> {
    let is_config =
        |path: &PathBuf| path.extension().is_some_and(|extension| extension == "yaml" || extension == "json");
    let folder = std::fs::read_dir(root().join("examples")).unwrap();
    let mut examples: Vec<_> = folder
        .map(|entry| entry.unwrap().path())
        .filter(is_config)
        // The rest of that folder is Envoy's.
        .chain([root().join("examples/envoy/cellgate.yaml")])
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(&path).unwrap()))
        .collect();
    examples.sort();
    examples
}

fn as_value(text: &str, file: &str) -> Value {
    serde_json::from_str(&cellgate_config::to_json(text, file).unwrap()).unwrap()
}

#[test]
fn the_committed_schema_is_current() {
    let path = root().join("schema/cellgate.schema.json");
    let schema = cellgate_config::schema();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, format!("{schema:#}\n")).unwrap();
    }
    let committed: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert!(committed == schema, "schema/cellgate.schema.json is not current; UPDATE=1 writes it");
}

#[test]
fn the_schema_is_draft_2020_12() {
    let schema = cellgate_config::schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    jsonschema::draft202012::meta::validate(&schema).unwrap();
}

#[test]
fn every_example_is_accepted_by_parser_and_schema() {
    let validator = jsonschema::draft202012::new(&cellgate_config::schema()).unwrap();
    let examples = examples();
    assert!(examples.len() >= 5);
    for (file, text) in examples {
        cellgate_config::from_file_name(&text, &file).unwrap_or_else(|error| panic!("{error}"));
        let errors: Vec<_> = validator.iter_errors(&as_value(&text, &file)).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{file}: {errors:?}");
    }
}

/// Configurations in the documentation: fenced YAML with a routing header.
#[test]
fn every_configuration_in_the_documentation_is_accepted() {
    let formats = std::fs::read_dir(root().join("docs/formats")).unwrap();
    let formats = formats.map(|entry| format!("docs/formats/{}", entry.unwrap().file_name().to_str().unwrap()));
    let mut files: Vec<String> =
        ["README.md", "docs/configuration.md"].map(str::to_owned).into_iter().chain(formats).collect();
    files.sort();
    for file in &files {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        let blocks = text.split("```yaml\n").skip(1).filter_map(|block| block.split("```").next());
        let configs: Vec<_> = blocks.filter(|block| block.contains("routing_header:")).collect();
        assert!(!configs.is_empty() || file == "docs/formats/claims.md", "{file} shows no configuration");
        for config in configs {
            cellgate_config::from_yaml(config, file).unwrap_or_else(|error| panic!("{error}"));
        }
    }
}

/// The schema refuses every mistake in a single field, among them a null.
#[test]
fn the_schema_refuses_what_the_parser_refuses() {
    let validator = jsonschema::draft202012::new(&cellgate_config::schema()).unwrap();
    let good = json!({
        "routing_header": "x-cell",
        "cells": ["cell-a"],
        "key": [{ "json": "/t" }],
        "placement": { "default": "cell-a" },
    });
    let accepts =
        |text: &Value| (validator.is_valid(text), cellgate_config::from_json(&text.to_string(), "x.json").is_ok());
    assert_eq!(accepts(&good), (true, true));
    for peer in ["spiffe://cluster.local/ns/edge/sa/gateway", "spiffe://a/..b/.c", "spiffe://a/..."] {
        let mut text = good.clone();
        text["decided_by"] = json!({ "peers": [peer], "cell": "cell-a" });
        assert_eq!(accepts(&text), (true, true), "schema and parser about {text}");
    }
    for host in ["localhost", "API.example.com", "*.example.com", "a_b.c-d", "10.0.0.1", "xn--bcher-kva.example"] {
        let mut text = good.clone();
        text["applies_to"] = json!({ "hosts": [host] });
        assert_eq!(accepts(&text), (true, true), "schema and parser about {text}");
    }
    for source in [
        json!({ "host": "{key}.example.com" }),
        json!({ "host": "*.t-{key}.example.com", "case": "lower" }),
        json!({ "header": "authorization", "value": "Bearer sk_{key}_*" }),
        json!({ "json": "/arn", "value": "arn:aws:*:*:{key}:*" }),
        json!({ "query": "user", "value": "*@{key}", "case": "lower" }),
        json!({ "path": "/projects/{key}/issues", "escaped_slashes": "keep" }),
        json!({ "path": "/orgs/{key}", "escaped_slashes": "reject" }),
        json!({ "cookie": "session", "then": { "json": "/team/id" }, "value": "{key}" }),
    ] {
        let mut text = good.clone();
        text["key"] = json!([source]);
        assert_eq!(accepts(&text), (true, true), "schema and parser about {text}");
    }
    let mut text = good.clone();
    text["sync"] = json!({ "cluster": "c".repeat(115) });
    text["rate_limits"] = json!([{ "name": "a", "key": [], "limit": "9/s", "lease": true }]);
    assert_eq!(accepts(&text), (true, true), "schema and parser about {text}");
    for limit in [
        json!({ "name": "a-1_b", "key": [], "limit": "007/2h;burst=9", "shadow": true, "when_store_fails": "deny" }),
        json!({ "name": "a", "key": ["peer", { "header": "b", "otherwise": "c", "case": "lower" }], "limit": "1/250ms" }),
        json!({ "name": "a", "key": ["cell"], "plans": { "p": "1/s" }, "plan_of": { "cell-a": "p" } }),
        json!({ "name": "a", "key": [], "limit_from": { "claim": "/b", "value": "{key}/s", "at_most": "1/week" } }),
        json!({ "name": "a", "key": [], "limit": "9/s", "cost": 9, "applies_to": { "cells": ["cell-a"], "paths": ["/"] } }),
        json!({ "name": "a", "key": [], "limit": "9/s", "cost": { "content_length": "1KiB", "otherwise": 10 } }),
        json!({ "name": "a", "key": [], "limit": "9/s", "cost": { "json": "/n", "at_most": 9, "otherwise": 1 } }),
        json!({ "name": "a", "key": [], "limit": "9/s", "settle": { "response_header": "X-Used", "at_most": 1_000_000_000 } }),
        json!({ "name": "a", "key": [], "limit": "9/s", "shadow": true, "settle": { "response_trailer": "u", "at_most": 1, "on_failure": "release" } }),
    ] {
        let mut text = good.clone();
        text["rate_limits"] = json!([limit]);
        assert_eq!(accepts(&text), (true, true), "schema and parser about {text}");
    }
    for limit in [
        json!({ "name": "a-1_b", "key": [], "at_most": 1_000_000, "shadow": true }),
        json!({ "name": "a", "key": ["cell", { "json": "/u", "otherwise": "c" }], "at_most": 1, "applies_to": { "cells": ["cell-a"] } }),
    ] {
        let mut text = good.clone();
        text["concurrency_limits"] = json!([limit]);
        assert_eq!(accepts(&text), (true, true), "schema and parser about {text}");
    }
    for limit in [
        json!({ "name": "a", "domain": "d", "descriptor": [{ "key": "k" }], "limit": "9/s", "override_at_most": "1/ms" }),
        json!({ "name": "a", "domain": "d", "descriptor": [{ "key": "k", "value": "v*", "shared": true }], "always": "deny" }),
        json!({ "name": "a", "domain": "d", "descriptor": vec![json!({ "key": "k" }); 8], "limit": "1/s", "shadow": true }),
        json!({ "name": "a", "domain": "d", "descriptor": [{ "key": "k" }], "plans": { "p": "1/s" }, "plan_of": { "v": "p" } }),
    ] {
        let mut text = good.clone();
        text["descriptor_limits"] = json!([limit]);
        assert_eq!(accepts(&text), (true, true), "schema and parser about {text}");
    }
    for (field, bad) in [
        ("descriptor_limits", json!(null)),
        ("descriptor_limits", json!([{ "domain": "d", "descriptor": [{ "key": "k" }], "limit": "1/s" }])),
        ("descriptor_limits", json!([{ "name": "a", "descriptor": [{ "key": "k" }], "limit": "1/s" }])),
        ("descriptor_limits", json!([{ "name": "a", "domain": "", "descriptor": [{ "key": "k" }], "limit": "1/s" }])),
        ("descriptor_limits", json!([{ "name": "a", "domain": "d", "limit": "1/s" }])),
        ("descriptor_limits", json!([{ "name": "a", "domain": "d", "descriptor": [], "limit": "1/s" }])),
        (
            "descriptor_limits",
            json!([{ "name": "a", "domain": "d", "descriptor": [{ "value": "v" }], "limit": "1/s" }]),
        ),
        (
            "descriptor_limits",
            json!([{ "name": "a", "domain": "d", "descriptor": [{ "key": "k", "value": "" }], "limit": "1/s" }]),
        ),
        (
            "descriptor_limits",
            json!([{ "name": "a", "domain": "d", "descriptor": [{ "key": "k", "is": "v" }], "limit": "1/s" }]),
        ),
        (
            "descriptor_limits",
            json!([{ "name": "a", "domain": "d", "descriptor": vec![json!({ "key": "k" }); 9], "limit": "1/s" }]),
        ),
        (
            "descriptor_limits",
            json!([{ "name": "a", "domain": "d", "descriptor": [{ "key": "k" }], "always": "maybe" }]),
        ),
        ("descriptor_limits", json!([{ "name": "a", "domain": "d", "descriptor": [{ "key": "k" }], "limit": "1" }])),
        (
            "descriptor_limits",
            json!([{ "name": "a", "domain": "d", "descriptor": [{ "key": "k" }], "limit": "1/s", "cost": 2 }]),
        ),
        ("colour", json!("red")),
        ("version", json!(null)),
        ("version", json!(1)),
        ("routing_header", json!("a b")),
        ("routing_header", json!("")),
        ("cells", json!([])),
        ("cells", json!(["a", "a"])),
        ("cells", json!(["default"])),
        ("cells", json!(["å"])),
        ("cells", json!(["a".repeat(64)])),
        ("applies_to", json!({ "methods": [] })),
        ("applies_to", json!({ "paths": ["api"] })),
        ("applies_to", json!({ "paths": null })),
        ("applies_to", json!({ "methods": vec!["GET"; 65] })),
        ("applies_to", json!({ "hosts": [] })),
        ("applies_to", json!({ "hosts": null })),
        ("applies_to", json!({ "hosts": ["*"] })),
        ("applies_to", json!({ "hosts": ["a.*"] })),
        ("applies_to", json!({ "hosts": ["*.*.b"] })),
        ("applies_to", json!({ "hosts": ["a..b"] })),
        ("applies_to", json!({ "hosts": ["a.b."] })),
        ("applies_to", json!({ "hosts": ["a.b:80"] })),
        ("applies_to", json!({ "hosts": ["[::1]"] })),
        ("applies_to", json!({ "hosts": ["https://a.b"] })),
        ("applies_to", json!({ "hosts": ["bücher.example"] })),
        ("applies_to", json!({ "hosts": ["a".repeat(64)] })),
        ("applies_to", json!({ "hosts": ["abcdefg.".repeat(32) + "a"] })),
        ("applies_to", json!({ "hosts": vec!["a.b"; 65] })),
        ("applies_to", json!({ "paths": vec!["/a"; 65] })),
        ("content_types", json!({ "json": [] })),
        ("content_types", json!({ "json": vec!["a/json"; 65] })),
        ("content_types", json!({ "form": vec!["a/form"; 65] })),
        ("key", json!([])),
        ("key", json!([{ "json": "t" }])),
        ("key", json!([{ "form": "" }])),
        ("key", json!([{ "form": "a%20b" }])),
        ("key", json!([{ "query": "a\nb" }])),
        ("key", json!([{ "query": "\u{85}" }])),
        ("key", json!([{ "path": "/a" }])),
        ("key", json!([{ "cookie": "a=b" }])),
        ("key", json!([{ "host": "example.com" }])),
        ("key", json!([{ "host": "{key}.{key}.com" }])),
        ("key", json!([{ "host": "{key}.example.com:80" }])),
        ("key", json!([{ "host": "{key}.example.com." }])),
        ("key", json!([{ "host": "a*.{key}.com" }])),
        ("key", json!([{ "json": "/a", "value": "a" }])),
        ("key", json!([{ "json": "/a", "value": "{key}:{key}" }])),
        ("key", json!([{ "json": "/a", "value": "{{key}}" }])),
        ("key", json!([{ "json": "/a", "value": "*{key}" }])),
        ("key", json!([{ "json": "/a", "value": "{key}:**" }])),
        ("key", json!([{ "json": "/a", "case": "upper" }])),
        ("key", json!([{ "path": "/a/{key}", "escaped_slashes": "unescape" }])),
        ("key", json!([{ "path": "/a/{key}", "escaped_slashes": null }])),
        ("key", json!([{ "json": "/a", "escaped_slashes": "keep" }])),
        ("key", json!([{ "json": "/a", "escaped_slashes": "reject" }])),
        ("key", json!([{ "json": "/a", "then": { "json": "/b", "escaped_slashes": "keep" } }])),
        ("key", json!([{ "json": "/a", "form": "a" }])),
        ("key", json!(vec![json!({ "json": "/a" }); 33])),
        ("duplicates", json!("sometimes")),
        ("placement", json!({ "exact": { "": "cell-a" } })),
        ("placement", json!({ "default": null })),
        ("placement", json!({ "slots": { "count": 0 } })),
        ("placement", json!({ "slots": { "weights": { "cell-a": -1 } } })),
        ("policy", json!({ "slot": { "reject": 400 } })),
        ("policy", json!({ "key_missing": "defer" })),
        ("policy", json!({ "key_missing": { "reject": 200 } })),
        ("policy", json!({ "key_missing": { "reject": 400, "use": "cell-a" } })),
        ("decided_by", json!(null)),
        ("decided_by", json!({ "cell": "cell-a" })),
        ("decided_by", json!({ "peers": [] })),
        ("decided_by", json!({ "peers": ["spiffe://a/b", "spiffe://a/b"] })),
        ("decided_by", json!({ "peers": ["spiffe://a/b"], "cell": null })),
        ("decided_by", json!({ "peers": ["spiffe://a"] })),
        ("decided_by", json!({ "peers": ["spiffe://a/"] })),
        ("decided_by", json!({ "peers": ["spiffe://a/b/../c"] })),
        ("decided_by", json!({ "peers": ["spiffe://A/b"] })),
        ("decided_by", json!({ "peers": ["spiffe://a/*"] })),
        ("decided_by", json!({ "peers": [format!("spiffe://a/{}", "b".repeat(2038))] })),
        ("decided_by", json!({ "peers": (0..65).map(|n| format!("spiffe://a/{n}")).collect::<Vec<_>>() })),
        ("rate_limits", json!(null)),
        ("rate_limits", json!([{ "key": [], "limit": "1/s" }])),
        ("rate_limits", json!([{ "name": "a", "limit": "1/s" }])),
        ("rate_limits", json!([{ "name": "A", "key": [], "limit": "1/s" }])),
        ("rate_limits", json!([{ "name": "a".repeat(65), "key": [], "limit": "1/s" }])),
        ("rate_limits", json!([{ "name": "a", "key": ["path"], "limit": "1/s" }])),
        ("rate_limits", json!([{ "name": "a", "key": vec!["cell"; 9], "limit": "1/s" }])),
        ("rate_limits", json!([{ "name": "a", "key": [{ "otherwise": "b" }], "limit": "1/s" }])),
        ("rate_limits", json!([{ "name": "a", "key": [{ "header": "b", "otherwise": "" }], "limit": "1/s" }])),
        ("rate_limits", json!([{ "name": "a", "key": [{ "header": "b", "form": "b" }], "limit": "1/s" }])),
        ("rate_limits", json!([{ "name": "a", "key": [{ "header": "b", "at_most": 1 }], "limit": "1/s" }])),
        ("rate_limits", json!([{ "name": "a", "key": [], "limit": "1 / s" }])),
        ("rate_limits", json!([{ "name": "a", "key": [], "limit": "1/month" }])),
        ("rate_limits", json!([{ "name": "a", "key": [], "limit": "1/s;burst=" }])),
        ("rate_limits", json!([{ "name": "a", "key": [], "limit": null }])),
        ("rate_limits", json!([{ "name": "a", "key": ["cell"], "overrides": { "cell-a": "5" } }])),
        ("rate_limits", json!([{ "name": "a", "key": ["cell"], "overrides": { "": "5/s" } }])),
        ("rate_limits", json!([{ "name": "a", "key": [], "plans": { "b": "1/s" }, "plan_from": { "header": "b" } }])),
        ("rate_limits", json!([{ "name": "a", "key": [], "limit_from": { "claim": "/b" } }])),
        ("rate_limits", json!([{ "name": "a", "key": [], "limit_from": { "query": "b", "at_most": "1/s" } }])),
        ("rate_limits", json!([{ "name": "a", "key": [], "limit": "1/s", "cost": 0 }])),
        ("rate_limits", json!([{ "name": "a", "key": [], "limit": "1/s", "cost": 1_000_000_001 }])),
        ("rate_limits", json!([{ "name": "a", "key": [], "limit": "1/s", "cost": {} }])),
        ("rate_limits", json!([{ "name": "a", "key": [], "limit": "1/s", "cost": { "content_length": 1 } }])),
        ("rate_limits", json!([{ "name": "a", "key": [], "limit": "1/s", "cost": { "header": "b", "otherwise": 1 } }])),
        ("rate_limits", json!([{ "name": "a", "key": [], "limit": "1/s", "cost": { "at_most": 1, "otherwise": 1 } }])),
        ("rate_limits", json!([{ "name": "a", "key": [], "limit": "1/s", "applies_to": { "cells": [] } }])),
        ("rate_limits", json!([{ "name": "a", "key": [], "limit": "1/s", "applies_to": { "cell": ["cell-a"] } }])),
        ("rate_limits", json!([{ "name": "a", "key": [], "limit": "1/s", "shadow": "yes" }])),
        ("rate_limits", json!([{ "name": "a", "key": [], "limit": "1/s", "when_store_fails": "open" }])),
        ("rate_limits", json!([{ "name": "a", "key": [], "limit": "1/s", "lease": "yes" }])),
        ("rate_limits", json!([{ "name": "a", "key": [], "limit": "1/s", "settle": "x-used" }])),
        ("rate_limits", json!([{ "name": "a", "key": [], "limit": "1/s", "settle": { "at_most": 9 } }])),
        ("rate_limits", json!([{ "name": "a", "key": [], "limit": "1/s", "settle": { "response_header": "u" } }])),
        (
            "rate_limits",
            json!([{ "name": "a", "key": [], "limit": "1/s", "settle": { "response_header": "u", "response_trailer": "u", "at_most": 9 } }]),
        ),
        (
            "rate_limits",
            json!([{ "name": "a", "key": [], "limit": "1/s", "settle": { "response_header": ":status", "at_most": 9 } }]),
        ),
        (
            "rate_limits",
            json!([{ "name": "a", "key": [], "limit": "1/s", "settle": { "response_header": "u", "at_most": 0 } }]),
        ),
        (
            "rate_limits",
            json!([{ "name": "a", "key": [], "limit": "1/s", "settle": { "response_header": "u", "at_most": 9, "on_failure": "refund" } }]),
        ),
        ("sync", json!(null)),
        ("sync", json!({})),
        ("sync", json!({ "cluster": "" })),
        ("sync", json!({ "cluster": "c".repeat(116) })),
        ("sync", json!({ "cluster": "c", "interval": "1s" })),
        (
            "rate_limits",
            (0..33).map(|n| json!({ "name": format!("n{n}"), "key": [], "limit": "1/s" })).collect::<Value>(),
        ),
        ("concurrency_limits", json!(null)),
        ("concurrency_limits", json!([{ "key": [], "at_most": 1 }])),
        ("concurrency_limits", json!([{ "name": "a", "at_most": 1 }])),
        ("concurrency_limits", json!([{ "name": "a", "key": [] }])),
        ("concurrency_limits", json!([{ "name": "A", "key": [], "at_most": 1 }])),
        ("concurrency_limits", json!([{ "name": "a", "key": [], "at_most": 0 }])),
        ("concurrency_limits", json!([{ "name": "a", "key": [], "at_most": 1_000_001 }])),
        ("concurrency_limits", json!([{ "name": "a", "key": [], "at_most": "1/s" }])),
        ("concurrency_limits", json!([{ "name": "a", "key": [], "at_most": 1, "limit": "1/s" }])),
        ("concurrency_limits", json!([{ "name": "a", "key": [], "at_most": 1, "when_store_fails": "deny" }])),
        (
            "concurrency_limits",
            (0..33).map(|n| json!({ "name": format!("n{n}"), "key": [], "at_most": 1 })).collect::<Value>(),
        ),
        ("limits", json!({ "depth": 0 })),
        ("limits", json!({ "inspect_bytes": "64k" })),
        ("limits", json!({ "inspect_bytes": 1 })),
    ] {
        let mut text = good.clone();
        text[field] = bad;
        assert_eq!(accepts(&text), (false, false), "schema and parser about {text}");
    }
    for field in ["routing_header", "cells", "key", "placement"] {
        let mut text = good.clone();
        text.as_object_mut().unwrap().remove(field);
        assert_eq!(accepts(&text), (false, false), "schema and parser without {field}");
    }
}
