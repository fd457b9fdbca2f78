//! A client cannot choose its cell: Cellgate removes the client's routing and internal headers before it decides.

use cellgate_tests::cell::Seen;
use cellgate_tests::client::{Request, Response};
use cellgate_tests::options::{BodyMode, Chain, Options, Underscores, sample_config};
use cellgate_tests::stack::Stack;
use serde_json::{Value, json};

use crate::support::{arrived, code, connection_manager, counted, undecided_to};

/// Spellings of reserved headers that a client may send.
const RESERVED: [&str; 12] = [
    "x-cell",
    "X-Cell",
    "X-CELL",
    "x_cell",
    "X_CELL",
    "x-cellgate-defer",
    "X-Cellgate-Defer",
    "x_cellgate_defer",
    "X-CELLGATE_DEFER",
    "x-cellgate-mode",
    "X_Cellgate_Anything",
    "x-cellgate-",
];

/// Similar names that are not reserved. They must arrive; otherwise the tests here would prove nothing.
const NEIGHBOURS: [&str; 3] = ["x-cells", "x-cellgate", "x_cel"];

/// A policy that passes requests for every reason that allows it.
fn passing() -> Value {
    let mut config = sample_config();
    let reasons = ["key_missing", "body_absent", "path_excluded", "content_type_missing", "content_type_unsupported"];
    for reason in reasons {
        config["policy"][reason] = json!("pass");
    }
    config["applies_to"] = json!({"paths": ["/in"]});
    config
}

/// A stack that sends undecided requests to `cell-a`, with an Envoy that allows underscores.
fn permissive(chain: Chain) -> Options {
    Options::default().chain(chain).config(passing()).underscores(Underscores::Allow).adjust(undecided_to("cell-a"))
}

/// Adds the header `name` twice, with `cell-c`, and similar headers that must arrive.
fn spoofed(mut request: Request, name: &str) -> Request {
    for neighbour in NEIGHBOURS {
        request = request.header(neighbour, "innocent");
    }
    request.header(name, "cell-c").header(name, "stream;body_too_large")
}

/// Requests with the routing header that must reach the cell, or with the reason for which none must be reached.
fn requests() -> Vec<(Request, Result<&'static str, &'static str>)> {
    vec![
        (Request::post("/in/good").json(r#"{"tenant":{"id":"acme"}}"#), Ok("cell-b")),
        (Request::get("/in/by-header").header("x-tenant-id", "acme"), Ok("cell-b")),
        (Request::post("/in/no-key").json("{}"), Ok("")),
        (Request::get("/in/no-body"), Ok("")),
        (Request::post("/in/no-type").body("{}"), Ok("")),
        (Request::post("/in/other-type").header("content-type", "text/plain").body("{}"), Ok("")),
        (Request::post("/out").json(r#"{"tenant":{"id":"acme"}}"#), Ok("")),
        (Request::post("/in/malformed").json("{]"), Err("body_malformed")),
        (Request::post("/in/bad-key").json(r#"{"tenant":{"id":1.5}}"#), Err("key_float")),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_reserved_header_survives_the_filter() {
    let stack = Stack::start(permissive(Chain::TwoTier)).await;
    let sent = every_attempt(&stack).await;
    assert_eq!(stack.ext_proc_streams().await, 0, "a client's own deferral header opened a stream");
    // Each request has two values.
    counted(&stack, "stripped_headers", 2 * sent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_reserved_header_survives_the_service_alone() {
    for mode in [BodyMode::Buffered, BodyMode::Streamed] {
        let stack = Stack::start(permissive(Chain::Service(mode))).await;
        every_attempt(&stack).await;
    }
}

/// Sends every request with every spelling over both protocols. Returns the number of requests.
async fn every_attempt(stack: &Stack) -> u64 {
    let mut sent = 0;
    for name in RESERVED {
        for (request, expected) in requests() {
            let request = spoofed(request, name);
            let before = arrived(stack);
            for answer in [stack.send(&request).await, stack.send_h2(&request).await] {
                check(&request, &answer, expected);
                sent += 1;
            }
            let reached = arrived(stack) - before;
            assert_eq!(reached, if expected.is_ok() { 2 } else { 0 }, "{request:?}");
        }
    }
    for seen in stack.cells().iter().flat_map(|cell| cell.seen()) {
        assert_clean(&seen);
    }
    sent
}

fn check(request: &Request, answer: &Response, expected: Result<&str, &str>) {
    match expected {
        Ok("") => {
            assert_eq!(answer.cell(), "cell-a", "{request:?}");
            assert_eq!(answer.received("x-cell"), [""; 0], "{request:?}");
        }
        Ok(cell) => {
            assert_eq!(answer.cell(), cell, "{request:?}");
            assert_eq!(answer.received("x-cell"), [cell], "{request:?}");
        }
        Err(reason) => assert_eq!(code(answer), reason, "{request:?}"),
    }
}

/// Checks that only the similar headers of the client have arrived.
fn assert_clean(seen: &Seen) {
    let fold = |name: &str| name.to_ascii_lowercase().replace('_', "-");
    for (name, value) in &seen.headers {
        let ours = name == "x-cell" && value.starts_with("cell-") && value != "cell-c";
        let reserved = fold(name) == "x-cell" || fold(name).starts_with("x-cellgate-");
        assert!(ours || !reserved, "{name}: {value} reached a cell: {seen:?}");
    }
    for neighbour in NEIGHBOURS {
        assert_eq!(seen.header(neighbour), ["innocent"], "{seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_rejects_underscores_when_configured_to() {
    let stack = Stack::start(Options::default().chain(Chain::Filter).underscores(Underscores::Reject)).await;
    for name in ["x_cell", "X_CELL", "x_cellgate_defer"] {
        let request = Request::post("/").header(name, "cell-c").json(r#"{"tenant":{"id":"acme"}}"#);
        assert_eq!(stack.send(&request).await.status, 400, "{name}");
        // In HTTP/2 Envoy resets the stream instead.
        assert!(stack.connect_h2().await.send(&request).await.is_err(), "{name}");
    }
    assert_eq!(arrived(&stack), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_routing_header_is_guarded_in_every_spelling() {
    let options = permissive(Chain::Filter).configure(|config| config["routing_header"] = json!("X-Shard"));
    let stack = Stack::start(options).await;
    for name in ["x-shard", "X-SHARD", "x_shard"] {
        for request in [Request::post("/in").json("{}"), Request::post("/in").json(r#"{"tenant":{"id":"acme"}}"#)] {
            stack.send(&request.header(name, "cell-c")).await;
        }
    }
    assert_eq!(stack.cell("cell-c").arrived(), 0);
    assert_eq!(stack.cell("cell-a").arrived(), 3);
    for seen in stack.cell("cell-b").seen() {
        assert_eq!(seen.header("x-shard"), ["cell-b"]);
        assert_eq!(seen.headers.iter().filter(|(name, _)| name.contains("shard")).count(), 1);
    }
    for seen in stack.cell("cell-a").seen() {
        assert_eq!(seen.headers.iter().find(|(name, _)| name.contains("shard")), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn naming_the_routing_header_in_connection_does_not_remove_the_decision() {
    let stack = Stack::start(Options::default().chain(Chain::Filter)).await;
    for connection in ["x-cell", "close, x-cell", "X-Cell, x-cellgate-defer"] {
        let request = Request::post("/").header("connection", connection).json(r#"{"tenant":{"id":"acme"}}"#);
        let answer = stack.send(&request).await;
        assert_eq!(answer.cell(), "cell-b", "{connection}");
        assert_eq!(answer.received("x-cell"), ["cell-b"], "{connection}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reserved_trailers_are_removed() {
    for chain in [Chain::TwoTier, Chain::Service(BodyMode::Buffered), Chain::Service(BodyMode::Streamed)] {
        let stack = Stack::start(permissive(chain)).await;
        for name in RESERVED {
            let request = Request::post("/in")
                .header("content-type", "application/json")
                .pieces([r#"{"tenant":{"id":"acme"}}"#])
                .trailer("x-cells", "innocent")
                .trailer(name, "cell-c");
            for answer in [stack.send(&request).await, stack.send_h2(&request).await] {
                assert_eq!(answer.cell(), "cell-b", "{chain:?} {name}");
                assert_eq!(answer.json()["trailers"], json!([["x-cells", "innocent"]]), "{chain:?} {name}");
            }
        }
    }
}

/// A route that disables both tiers must remove the headers itself (docs/envoy.md).
#[tokio::test(flavor = "multi_thread")]
async fn a_route_without_cellgate_removes_the_headers_itself() {
    let options = Options::default().underscores(Underscores::Reject).adjust(|bootstrap| {
        let off = json!({"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": true});
        let route = json!({
            "match": {"prefix": "/static"},
            "route": {"cluster": "cell-a"},
            "request_headers_to_remove": ["x-cell", "x-cellgate-defer"],
            "typed_per_filter_config": {"cellgate": off, "cellgate-ext-proc": off},
        });
        let routes = &mut connection_manager(bootstrap)["route_config"]["virtual_hosts"][0]["routes"];
        routes.as_array_mut().unwrap().insert(0, route);
    });
    let stack = Stack::start(options).await;
    for name in ["x-cell", "X-Cell", "x-cellgate-defer"] {
        let request = Request::post("/static").header(name, "stream;x").header(name, "cell-c").json("{}");
        for answer in [stack.send(&request).await, stack.send_h2(&request).await] {
            assert_eq!(answer.cell(), "cell-a");
            assert_eq!(answer.received(&name.to_ascii_lowercase()), [""; 0]);
        }
    }
    assert_eq!(stack.ext_proc_streams().await, 0);
    // This is the first counted request.
    assert_eq!(stack.post_json("/", "{]").await.status, 400);
    counted(&stack, "decisions.reject.body_malformed", 1).await;
    counted(&stack, "inspected_bytes", 2).await;
    assert_eq!(stack.admin().stats("wasmcustom.cellgate").await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deferred_request_has_no_cell_while_the_service_is_down() {
    let stack = Stack::start(Options::default()).await;
    stack.ext_proc().kill();
    for request in deferred() {
        for answer in [stack.send(&request).await, stack.send_h2(&request).await] {
            assert!(answer.status.is_server_error(), "{answer:?}");
            assert_eq!(answer.served_by(), None);
        }
    }
    assert_eq!(arrived(&stack), 0);
    counted(&stack, "deferrals.buffer", 2).await;
    counted(&stack, "deferrals.stream", 2).await;
}

/// With `failure_mode_allow`, a request continues without the service, but never with the client's headers.
#[tokio::test(flavor = "multi_thread")]
async fn with_failure_mode_allow_the_clients_headers_are_still_removed() {
    let options = Options::default()
        .adjust(undecided_to("cell-a"))
        .adjust(|bootstrap| fail_open(&mut connection_manager(bootstrap)["http_filters"]));
    let stack = Stack::start(options).await;
    stack.ext_proc().kill();
    for request in deferred() {
        stack.send(&request).await;
        stack.send_h2(&request).await;
    }
    let seen = stack.cell("cell-a").seen();
    assert!(seen.len() >= 2, "a buffered request must continue: {seen:?}");
    assert_eq!(arrived(&stack), seen.len() as u64);
    for seen in seen {
        assert_eq!(seen.header("x-cell"), [""; 0]);
        assert_eq!(seen.header("x-cellgate-defer"), [""; 0]);
    }
}

/// Spoofed requests for every body mode of a deferral.
fn deferred() -> Vec<Request> {
    let encoded =
        |request: Request| request.header("content-type", "application/json").header("content-encoding", "br");
    let requests = [
        encoded(Request::post("/buffered")).body("not JSON"),
        encoded(Request::post("/streamed")).pieces(["not ", "JSON"]),
    ];
    let spoof = |request: Request| request.header("x-cell", "cell-c").header("x-cellgate-defer", "headers;x");
    requests.into_iter().map(spoof).collect()
}

/// Sets `failure_mode_allow` in every ext-proc filter.
fn fail_open(part: &mut Value) {
    let kind = part["@type"].as_str().unwrap_or_default();
    if kind.ends_with("ext_proc.v3.ExternalProcessor") {
        part["failure_mode_allow"] = json!(true);
    }
    match part {
        Value::Array(items) => items.iter_mut().for_each(fail_open),
        Value::Object(fields) => fields.values_mut().for_each(fail_open),
        _ => (),
    }
}
