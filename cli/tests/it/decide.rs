//! `cellgate decide`: one request offline, step by step.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{CONFIG, cellgate, file, result_of, run};

/// The JSON report of a request message.
fn report(config: &str, message: &[u8], extra: &[&str]) -> (i32, Value) {
    let directory = tempfile::tempdir().unwrap();
    let config = file(directory.path(), "a.yaml", config);
    let mut arguments = vec!["decide", "--config", &config, "--request", "-", "--output", "json"];
    arguments.extend_from_slice(extra);
    let mut child = cellgate(&arguments).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(message).unwrap();
    let (code, out, err) = result_of(&child.wait_with_output().unwrap());
    assert_eq!(err, "");
    (code, serde_json::from_str(&out).unwrap())
}

fn post(body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST /orders HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nX-Cell: evil\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

#[test]
fn every_step_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let config = file(directory.path(), "a.yaml", CONFIG);
    let body = file(directory.path(), "body.json", r#"{"tenant":{"id":"acme"}}"#);
    let json = "content-type: application/json";
    let (code, out, err) =
        run(&["decide", "--config", &config, "-H", json, "-H", "X-Cell: evil", "--path", "/orders", "--body", &body]);
    let expected = "\
request   POST /orders, 24 bytes of body
stripped  x-cell
scope     in scope
key       1. json /tenant/id     \"acme\" (after 22 bytes)
          2. header x-tenant-id  not reached
scan      after 22 of 24 bytes, only a conflict can change the decision
filter    holds the body: 24 of at most 32768 bytes: cell cell-b (exact)
service   reads all 24 bytes: cell cell-b (exact)
reason    exact: The exact table names the key.
decision  cell cell-b
";
    assert_eq!((code, out.as_str(), err.as_str()), (0, expected, ""));
}

#[test]
fn a_rejection_exits_with_1_and_names_the_byte() {
    let (code, report) = report(CONFIG, &post(r#"{"tenant":{"id":"acme"},}"#), &[]);
    assert_eq!(code, 1);
    assert_eq!(report["decision"]["status"], 400);
    assert_eq!(report["decision"]["reason"], "body_malformed");
    assert_eq!(report["malformed"]["offset"], 24);
    assert!(report["malformed"]["expected"].as_str().unwrap().starts_with("expected "));
    assert_eq!(report["stripped"][0], "x-cell");
}

#[test]
fn a_large_body_is_deferred_and_the_service_decides() {
    let body = format!(r#"{{"x":"{}","tenant":{{"id":"acme"}}}}"#, "-".repeat(100_000));
    let (code, report) = report(CONFIG, &post(&body), &[]);
    assert_eq!(code, 0);
    assert_eq!(report["filter"]["decision"]["outcome"], "defer");
    assert_eq!(report["filter"]["decision"]["reason"], "body_too_large");
    assert_eq!(report["decision"]["cell"], "cell-b");
}

#[test]
fn a_second_key_after_the_decision_ends_the_request_in_both_tiers() {
    let body = format!(r#"{{"tenant":{{"id":"acme"}},"x":"{}","tenant":{{"id":"b"}}}}"#, "-".repeat(100_000));
    let (code, report) = report(CONFIG, &post(&body), &["--first-chunk", "1KiB"]);
    assert_eq!(code, 1);
    for tier in ["filter", "service"] {
        assert_eq!(report[tier]["decision"]["cell"], "cell-b", "{tier}");
        assert_eq!(report[tier]["conflict"]["reason"], "key_duplicated", "{tier}");
    }
    assert_eq!(report["decision"]["status"], 400);
}

/// `duplicates: last` needs the whole body, and a body with its whole Content-Length in one chunk is whole.
#[test]
fn a_body_that_arrives_whole_is_decided_like_a_held_one() {
    let config = format!("{CONFIG}duplicates: last\npolicy: {{ body_too_large: {{ reject: 413 }} }}\n");
    let body = format!(r#"{{"x":"{}","tenant":{{"id":"acme"}}}}"#, "-".repeat(40_000));
    let (code, whole) = report(&config, &post(&body), &["--first-chunk", "1MiB"]);
    assert_eq!((code, &whole["filter"]["decision"]["cell"]), (0, &Value::from("cell-b")));
    assert_eq!(whole["filter"]["how"], format!("reads all {} bytes, which arrive in one chunk", body.len()));
    let (code, cut) = report(&config, &post(&body), &["--first-chunk", "39KiB"]);
    assert_eq!((code, &cut["filter"]["decision"]["status"]), (1, &Value::from(413)));
}

#[test]
fn an_empty_chunked_body_is_absent() {
    let message = b"POST /orders HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n\
        Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let (code, report) = report(CONFIG, message, &[]);
    assert_eq!(code, 1);
    for tier in ["filter", "service"] {
        assert_eq!(report[tier]["decision"]["reason"], "body_absent", "{tier}");
    }
}

#[test]
fn a_request_out_of_scope_may_pass() {
    let config = format!("{CONFIG}applies_to: {{ methods: [PUT] }}\npolicy: {{ method_excluded: pass }}\n");
    let (code, report) = report(&config, &post("x"), &[]);
    assert_eq!(code, 0);
    assert_eq!(report["in_scope"], false);
    assert_eq!(report["decision"]["outcome"], "pass");
}

#[test]
fn the_host_is_compared_with_the_scope() {
    let config = format!("{CONFIG}applies_to: {{ hosts: ['*.example.com'] }}\n");
    let report = |host: &str| {
        report(&config, format!("GET / HTTP/1.1\r\nHost: {host}\r\nX-Tenant-Id: acme\r\n\r\n").as_bytes(), &[])
    };
    let (code, inside) = report("API.example.com:80");
    assert_eq!(
        (code, &inside["in_scope"], &inside["decision"]["cell"]),
        (0, &Value::from(true), &Value::from("cell-b"))
    );
    let (code, outside) = report("example.com");
    assert_eq!((code, &outside["in_scope"]), (1, &Value::from(false)));
    for tier in ["filter", "service"] {
        assert_eq!(outside[tier]["decision"]["reason"], "host_excluded", "{tier}");
    }

    let directory = tempfile::tempdir().unwrap();
    let config = file(directory.path(), "a.yaml", &config);
    let scope = |more: &[&str]| {
        let (_, out, _) = run(&[&["decide", "--config", &config], more].concat());
        out.lines().find_map(|line| line.strip_prefix("scope     ")).unwrap().to_owned()
    };
    assert_eq!(scope(&["-H", "host: api.example.com"]), "in scope");
    assert_eq!(scope(&["-H", "Host: example.com"]), "The request's host is outside `applies_to.hosts`.");
    assert_eq!(scope(&[]), "in scope, because it has no host: set one with -H 'host: NAME'");
}

#[test]
fn a_peers_decision_is_accepted() {
    let config = format!("{CONFIG}decided_by: {{ peers: [spiffe://a/gateway], cell: cell-a }}\n");
    let message = |cell: &str| format!("GET / HTTP/1.1\r\nHost: h\r\nX-Cell: {cell}\r\n\r\n").into_bytes();
    let peer = ["--peer", "spiffe://a/gateway"];
    let (code, taken_over) = report(&config, &message("cell-a"), &peer);
    assert_eq!(code, 0);
    assert_eq!(taken_over["decision"]["reason"], "decided_before");
    assert_eq!(taken_over["decision"]["cell"], "cell-a");
    assert_eq!(taken_over["sources"].as_array().unwrap().len(), 0);
    let (code, refused) = report(&config, &message("cell-b"), &peer);
    assert_eq!((code, &refused["decision"]["reason"]), (1, &Value::from("cell_mismatch")));
    let (code, undecided) = report(&config, &message("cell-a"), &["--peer", "spiffe://a/client"]);
    assert_eq!((code, &undecided["decision"]["reason"]), (1, &Value::from("body_absent")));
}

#[test]
fn invalid_input_has_its_exit_codes() {
    let directory = tempfile::tempdir().unwrap();
    let config = file(directory.path(), "a.yaml", CONFIG);
    let broken = file(directory.path(), "broken.http", "POST /\n\n");
    let (code, out, err) = run(&["decide", "--config", &config, "--request", &broken]);
    assert_eq!((code, out.as_str()), (65, ""));
    assert!(err.contains("broken.http: line 1: expected a request line"), "{err}");
    let unannounced = file(directory.path(), "unannounced.http", "POST / HTTP/1.1\nHost: h\n\n{\"tenant\":1}");
    let (code, out, err) = run(&["decide", "--config", &config, "--request", &unannounced]);
    assert_eq!((code, out.as_str()), (65, ""));
    assert!(err.contains("unannounced.http: 12 bytes follow the head, which announces no body"), "{err}");
    assert!(err.contains("add `Content-Length: 12`"), "{err}");
    let (code, out, err) = run(&["decide", "--config", "-", "--request", "-"]);
    assert_eq!((code, out.as_str()), (64, ""));
    assert!(err.contains("stdin"), "{err}");
    assert_eq!(run(&["decide", "--config", &config, "-H", "no colon"]).0, 65);
    assert_eq!(run(&["decide", "--config", &config, "--body", "/nowhere"]).0, 66);
    assert_eq!(run(&["decide", "--config", "/nowhere"]).0, 66);
    assert_eq!(run(&["decide", "--config", &broken]).0, 78);
}

/// The claims are in the form in which Envoy shows them: numbers are doubles.
#[test]
fn claims_of_a_verified_token_are_a_source() {
    let config = CONFIG.replacen("key:", "key:\n  - claim: /org/id", 1);
    assert_ne!(config, CONFIG);
    let directory = tempfile::tempdir().unwrap();
    for (claims, expected) in [
        (r#"{"org": {"id": "acme"}, "aud": ["a", null], "admin": true}"#, ("key", "exact")),
        (r#"{"org": {"id": 9007199254740993}}"#, ("unusable", "key_float")),
        (r#"{"sub": "acme"}"#, ("nothing", "exact")),
    ] {
        let claims = file(directory.path(), "claims.json", claims);
        let (_, report) = report(&config, &post(r#"{"tenant":{"id":"acme"}}"#), &["--claims", &claims]);
        assert_eq!(report["sources"][0]["source"], "claim /org/id", "{report:#}");
        let found = (report["sources"][0]["held"].as_str().unwrap(), report["decision"]["reason"].as_str().unwrap());
        assert_eq!(found, expected);
        assert_eq!(report["service"]["decision"], report["filter"]["decision"]);
    }
}

/// Sources in bodies of most formats.
const FORMATS: &str = "\
routing_header: x-cell
cells: [cell-a, cell-b]
key:
  - json: /orders/*/tenant
  - ndjson: /items/[kind=t]/id
  - multipart: tenant
  - protobuf: \"1.1\"
  - msgpack: /tenant
  - header: x-tenant-id
placement: { exact: { acme: cell-a }, default: cell-b }
";

/// The changes of the source with this index, in a chunked request with this type and body.
fn changes(source: usize, content_type: &str, body: &[u8]) -> Value {
    let head = format!(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        body.len()
    );
    let (_, mut report) = report(FORMATS, &[head.as_bytes(), body, b"\r\n0\r\n\r\n"].concat(), &[]);
    report["sources"][source]["changes"].take()
}

#[test]
fn the_elements_that_disagree_are_named() {
    let body = br#"{"orders":[{"x":",["},{"tenant":"acme"},{"tenant":"acme"},{"tenant":"b"}]}"#;
    let expected = json!([
        { "bytes": 38, "key": "acme", "reason": null, "element": "/orders/1/tenant" },
        { "bytes": 71, "key": null, "reason": "key_conflict", "element": "/orders/3/tenant" },
    ]);
    assert_eq!(changes(0, "application/json", body), expected);
}

#[test]
fn the_lines_that_disagree_are_named() {
    let item = |id: &str| format!("{{\"items\":[{{}},{{\"id\":{id},\"kind\":\"t\"}}]}}");
    let body = [item("\"acme\""), String::new(), item("null")].join("\n");
    let changes = changes(1, "application/x-ndjson", body.as_bytes());
    let place = |index: usize| (&changes[index]["line"], &changes[index]["element"], &changes[index]["reason"]);
    assert_eq!(place(0), (&json!(1), &json!("/items/1/id"), &Value::Null));
    assert_eq!(place(1), (&json!(3), &json!("/items/1/id"), &json!("key_conflict")));
}

#[test]
fn the_parts_with_two_keys_are_named() {
    let part = |name: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\nacme\r\n");
    let body = [part("file"), part("tenant"), part("tenant"), "--b--\r\n".to_owned()].concat();
    let changes = changes(2, "multipart/form-data; boundary=b", body.as_bytes());
    let part = |index: usize| (&changes[index]["part"], &changes[index]["reason"]);
    assert_eq!((part(0), part(1)), ((&json!(2), &Value::Null), (&json!(3), &json!("key_duplicated"))));
}

#[test]
fn the_messages_that_disagree_are_named() {
    let message = |key: &str| [b"\0\0\0\0\x08\x0a\x06\x0a\x04", key.as_bytes()].concat();
    let body = [message("acme"), message("acme"), message("b-co")].concat();
    let expected = json!([
        { "bytes": 13, "key": "acme", "reason": null, "message": 1 },
        { "bytes": 39, "key": null, "reason": "key_conflict", "message": 3 },
    ]);
    assert_eq!(changes(3, "application/grpc", &body), expected);
}

#[test]
fn the_elements_of_binary_formats_are_named() {
    let config = FORMATS.replace("msgpack: /tenant", "msgpack: /orders/*/tenant");
    let body = b"\x81\xa6orders\x93\x80\x81\xa6tenant\xa4acme\x81\xa6tenant\xc0";
    let head =
        format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/msgpack\r\nContent-Length: {}", body.len());
    let (_, report) = report(&config, &[head.as_bytes(), b"\r\n\r\n", body].concat(), &[]);
    let expected = json!([
        { "bytes": 23, "key": "acme", "reason": null, "element": "/orders/1/tenant" },
        { "bytes": 32, "key": null, "reason": "key_conflict", "element": "/orders/2/tenant" },
    ]);
    assert_eq!(report["sources"][4]["changes"], expected);
}

/// The first pass takes windows of 4096 bytes, and the second one single bytes where a value changes.
#[test]
fn the_byte_of_a_key_does_not_depend_on_the_windows() {
    for padding in [0, 4070, 4080, 4090, 4100, 50_000] {
        let body = [&b"\x82\xa1x\xc5"[..], &u16::to_be_bytes(padding), &vec![0; usize::from(padding)]].concat();
        let body = [&body, &b"\xa6tenant\xa4acme"[..]].concat();
        let expected = json!([{ "bytes": body.len(), "key": "acme", "reason": null }]);
        assert_eq!(changes(4, "application/msgpack", &body), expected, "{padding}");
    }
}

#[test]
fn the_scan_says_where_it_stopped_and_what_it_needed() {
    let scan = |body: &str| report(CONFIG, &post(body), &[]).1["scan"].take();
    assert_eq!(scan(r#"{"tenant":{"id":"acme"}}"#), json!({ "bytes": 24, "of": 24, "known_after": 22 }));
    assert_eq!(scan(r#"{"tenant":{}}"#), json!({ "bytes": 13, "of": 13, "known_after": null }));
    assert_eq!(scan(r#"{"tenant"!{}}"#), json!({ "bytes": 9, "of": 13, "known_after": null }));
    let head = b"GET / HTTP/1.1\r\nHost: h\r\nX-Tenant-Id: acme\r\n\r\n";
    assert_eq!(report(CONFIG, head, &[]).1["scan"], Value::Null);
}

#[test]
fn a_refused_type_is_named_with_those_that_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let config = file(directory.path(), "a.yaml", CONFIG);
    let line = |header: &str| {
        let (_, out, _) = run(&["decide", "--config", &config, "-H", header, "--body", &config]);
        out.lines().find_map(|line| line.strip_prefix("type ")).map(|line| line.trim().to_owned())
    };
    let readable = "application/json, application/*+json";
    assert_eq!(line("content-type: text/csv"), Some(format!("\"text/csv\"; the sources read {readable}")));
    assert_eq!(line("x-a: b"), Some(format!("none; the sources read {readable}")));
    assert_eq!(line("content-type: application/json"), None);
}

#[test]
fn a_curl_command_is_decided_and_its_idle_options_are_listed() {
    let directory = tempfile::tempdir().unwrap();
    let config = file(directory.path(), "a.yaml", CONFIG);
    let command = "curl 'https://api.example.com/orders?page=1' \\\n  -H 'content-type: application/json' \\\n  \
        -H 'x-cell: cell-a' \\\n  --data-raw $'{\"note\":\"it\\'s\",\"tenant\":{\"id\":\"acme\"}}' \\\n  --insecure --http2\n";
    let command = file(directory.path(), "copied.sh", command);
    let (code, out, err) = run(&["decide", "--config", &config, "--curl", &command]);
    let expected = "\
request   POST /orders?page=1, 38 bytes of body
ignored   --insecure --http2, which do not change the request
stripped  x-cell
scope     in scope
key       1. json /tenant/id     \"acme\" (after 36 bytes)
          2. header x-tenant-id  not reached
scan      after 36 of 38 bytes, only a conflict can change the decision
filter    holds the body: 38 of at most 32768 bytes: cell cell-b (exact)
service   reads all 38 bytes: cell cell-b (exact)
reason    exact: The exact table names the key.
decision  cell cell-b
";
    assert_eq!((code, out.as_str(), err.as_str()), (0, expected, ""));
}

/// The times differ from run to run.
#[test]
fn the_report_says_what_was_decoded_and_what_it_cost() {
    // `{"tenant":{"id":"acme"}}` in a stored block.
    let gzip =
        b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x01\x18\0\xe7\xff{\"tenant\":{\"id\":\"acme\"}}\xbd\x43\xc2\x49\x18\0\0\0";
    let head = |length: usize| {
        format!(
            "POST /orders HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Encoding: GZip\r\n\
             Content-Length: {length}\r\n\r\n"
        )
    };
    let (code, found) = report(CONFIG, &[head(gzip.len()).as_bytes(), gzip].concat(), &[]);
    assert_eq!((code, &found["decision"]["cell"]), (0, &json!("cell-b")), "{found}");
    let decoded = &found["decoded"];
    assert_eq!(decoded["content_encoding"], "GZip");
    assert_eq!((&decoded["bytes"], &decoded["of"]), (&json!(24), &json!(gzip.len())));
    assert!(decoded["microseconds"].is_u64() && decoded["memory_bytes"].as_u64() > Some(32 << 10), "{decoded}");
    assert_eq!(found["sources"][0]["key"], "acme");

    let cut = &gzip[..gzip.len() - 1];
    let (code, found) = report(CONFIG, &[head(cut.len()).as_bytes(), cut].concat(), &[]);
    assert_eq!((code, &found["decision"]["reason"]), (1, &json!("body_encoding_malformed")), "{found}");
    assert_eq!(found["malformed"]["offset"], 24);
    let none = format!("content_encodings: []\n{CONFIG}");
    let (code, found) = report(&none, &[head(gzip.len()).as_bytes(), gzip].concat(), &[]);
    assert_eq!((code, &found["decision"]["reason"], &found["decoded"]), (1, &json!("body_encoded"), &json!(null)));
}

const LIMITS: &str = "
rate_limits:
  - { name: per-tenant, key: [routing_key], limit: 100/min, overrides: { acme: 5/s } }
  - { name: per-user, key: [{ json: /user }], limit: 3/d, cost: { json: /size, at_most: 9, otherwise: 1 }, shadow: true }
  - { name: per-address, key: [client_address, peer], limit: 2/s }
  - { name: cell-a, key: [cell], limit: 7/s, applies_to: { cells: [cell-a] } }
";

#[test]
fn the_rate_limits_of_a_request_are_shown() {
    let config = format!("{CONFIG}{LIMITS}");
    let body = r#"{"tenant":{"id":"acme"},"user":"u1","size":12}"#;
    let connection = ["--client-address", "2001:db8::1", "--peer", "spiffe://a/b"];
    let (code, report) = report(&config, &post(body), &connection);
    assert_eq!(code, 0, "{report}");
    let limits = &report["limits"];
    assert_eq!(limits[0]["key"], json!([{"part": "routing_key", "value": "acme"}]));
    assert_eq!(
        (&limits[0]["limit"], &limits[0]["limit_is"], &limits[0]["cost"]),
        (&json!("5/s"), &json!("override"), &json!(1))
    );
    assert_eq!(
        (&limits[1]["key"][0]["value"], &limits[1]["cost"], &limits[1]["shadow"]),
        (&json!("u1"), &json!(9), &json!(true))
    );
    assert_eq!(limits[2]["key"][0]["value"], "2001:db8::1");
    assert_eq!(limits[3], json!({"name": "cell-a", "counted": false, "why": "other_cell"}));
    // A limit needs a value from the body.
    assert_eq!((&report["handover"], &report["filter"]["decision"]["reason"]), (&json!("body"), &json!("limit_due")));
}

#[test]
fn the_filter_hands_over_the_headers_of_a_decided_request_only() {
    let directory = tempfile::tempdir().unwrap();
    let config = file(directory.path(), "a.yaml", &format!("{CONFIG}{LIMITS}"));
    let (code, out, err) = run(&["decide", "--config", &config, "-H", "x-tenant-id: globex"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let expected = "\
limits    per-tenant   routing_key \"globex\": 100/min (the limit of all other keys), costs 1
          per-user     not counted: the request has no json /user
          per-address  not counted: the request has no client_address
          cell-a       cell \"cell-a\": 7/s (the limit of all other keys), costs 1
handover  the filter hands over, headers only; the service checks the limits
";
    assert!(out.contains(expected), "{out}");
    // A refused request is not counted.
    let (_, out, _) = run(&["decide", "--config", &config]);
    assert!(
        out.contains("limits    per-tenant   not counted: the request is refused\n") && !out.contains("handover"),
        "{out}"
    );
}

#[test]
fn a_cost_that_the_response_settles_is_shown_as_an_estimate() {
    let limits = "
rate_limits:
  - { name: tokens, key: [routing_key], limit: 9/s, cost: 5, settle: { response_header: X-Used, at_most: 50 } }
";
    let (_, report) = report(&format!("{CONFIG}{limits}"), &post(r#"{"tenant":{"id":"acme"}}"#), &[]);
    let tokens = &report["limits"][0];
    assert_eq!((&tokens["cost"], &tokens["settled_by"]), (&json!(5), &json!("the response header x-used, at most 50")));
    let directory = tempfile::tempdir().unwrap();
    let config = file(directory.path(), "a.yaml", &format!("{CONFIG}{limits}"));
    let (_, out, _) = run(&["decide", "--config", &config, "-H", "x-tenant-id: globex"]);
    assert!(out.contains("costs 5, until settled by the response header x-used, at most 50\n"), "{out}");
}

#[test]
fn concurrency_limits_are_shown_behind_rate_limits() {
    let limits = "
concurrency_limits:
  - { name: in-flight, key: [routing_key], at_most: 20 }
  - { name: reports, key: [], at_most: 5, shadow: true }
  - { name: elsewhere, key: [cell], at_most: 5, applies_to: { paths: [/elsewhere] } }
";
    let directory = tempfile::tempdir().unwrap();
    let config = file(directory.path(), "a.yaml", &format!("{CONFIG}{limits}"));
    let (code, out, err) = run(&["decide", "--config", &config, "-H", "x-tenant-id: globex"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let expected = "\
limits    in-flight  routing_key \"globex\": at most 20 in flight
          reports    all requests together: at most 5 in flight; shadow: refuses nothing
          elsewhere  not counted: outside of its `applies_to` (path_excluded)
handover  the filter hands over, headers only; the service checks the limits
";
    assert!(out.contains(expected), "{out}");
    let (_, report) = report(&format!("{CONFIG}{limits}"), &post(r#"{"tenant":{"id":"acme"}}"#), &[]);
    let counted = json!({
        "name": "in-flight",
        "counted": true,
        "key": [{"part": "routing_key", "value": "acme"}],
        "in_flight_at_most": 20,
        "shadow": false,
    });
    assert_eq!((&report["limits"][0], &report["handover"]), (&counted, &json!("headers")));
}

#[test]
fn the_filter_may_admit_a_request_whose_limits_are_all_leased() {
    let directory = tempfile::tempdir().unwrap();
    let leases = "sync: { cluster: cellgate }\nrate_limits:\n- { name: per-tenant, key: [routing_key], limit: 9/s, lease: true }\n\
                  - { name: writes, key: [cell], limit: 8/s, applies_to: { methods: [POST] } }\n";
    let config = file(directory.path(), "a.yaml", &format!("{CONFIG}{leases}"));
    let (code, out, err) = run(&["decide", "--config", &config, "-H", "x-tenant-id: globex"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let expected = "\
limits    per-tenant  routing_key \"globex\": 9/s (the limit of all other keys), costs 1; leased
          writes      not counted: outside of its `applies_to` (method_excluded)
handover  none while the filter has leased units; without them it hands over, headers only, and the service checks the limits
";
    assert!(out.contains(expected), "{out}");
    let report_of = |more: &[&str]| {
        let head = ["decide", "--config", &config, "--output", "json", "-H", "x-tenant-id: globex"];
        let (_, out, _) = run(&[&head, more].concat());
        serde_json::from_str::<serde_json::Value>(&out).unwrap()
    };
    let report = report_of(&[]);
    assert_eq!((&report["handover"], &report["limits"][0]["leased"]), (&json!("lease"), &json!(true)));
    // A limit without a lease needs the service.
    let report = report_of(&["--method", "POST"]);
    assert_eq!((&report["handover"], &report["limits"][1]["leased"]), (&json!("headers"), &json!(false)));
}
