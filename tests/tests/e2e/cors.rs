//! CORS: Envoy answers preflights without a cell. A page of an allowed origin can read every response, including those
//! of Envoy and Cellgate. A page of another origin can read none.

use cellgate_tests::client::{Request, Response};
use cellgate_tests::options::{Options, sample_config};
use cellgate_tests::stack::Stack;

use crate::support::{arrived, code, key_first, key_last};

const ALLOWED: &str = "https://app.example.com";
const OTHERS: [&str; 3] = ["https://evil.example", "https://app.example.com.evil.example", "null"];
const LIMIT: u32 = 32 * 1024;

fn example() -> Options {
    Options::default().config(sample_config()).example().buffer_limit(LIMIT)
}

fn preflight(origin: &str) -> Request {
    Request::new("OPTIONS", "/orders")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type")
}

/// Sends the request over both protocols.
async fn both(stack: &Stack, request: &Request) -> [Response; 2] {
    [stack.send(request).await, stack.send_h2(request).await]
}

/// The headers that let a page of another origin read a response.
fn cors(answer: &Response) -> Vec<&str> {
    answer.headers.iter().map(|(name, _)| name.as_str()).filter(|name| name.starts_with("access-control-")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_of_an_allowed_origin_is_granted_without_a_cell() {
    let stack = Stack::start(example()).await;
    // The last preflight has a tenant header, which no browser sends. It must reach no cell either.
    let named = preflight(ALLOWED).header("x-tenant-id", "acme");
    for request in [preflight(ALLOWED), preflight(ALLOWED).header("x-cell", "cell-b"), named] {
        for answer in both(&stack, &request).await {
            assert_eq!((answer.status.as_u16(), answer.served_by()), (200, None), "{answer:?}");
            assert_eq!(answer.values("access-control-allow-origin"), [ALLOWED]);
            assert_eq!(answer.values("access-control-allow-methods"), ["GET, POST, PUT, PATCH, DELETE"]);
            assert_eq!(answer.values("access-control-allow-headers"), ["content-type, authorization, x-tenant-id"]);
            assert_eq!(answer.values("access-control-max-age"), ["600"]);
        }
    }
    assert_eq!((arrived(&stack), stack.ext_proc_streams().await), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_of_another_origin_is_granted_nothing_and_reaches_no_cell() {
    let stack = Stack::start(example()).await;
    for origin in OTHERS {
        let named = preflight(origin).header("x-tenant-id", "acme");
        for request in [preflight(origin), preflight(origin).header("x-cell", "cell-b"), named] {
            for answer in both(&stack, &request).await {
                // Without `access-control-allow-origin`, the other CORS headers grant nothing.
                assert_eq!((answer.status.as_u16(), answer.served_by()), (200, None), "{origin}");
                for grant in ["access-control-allow-origin", "access-control-allow-credentials"] {
                    assert_eq!(answer.header(grant), None, "{origin}: {answer:?}");
                }
            }
        }
    }
    assert_eq!((arrived(&stack), stack.ext_proc_streams().await), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preflight_with_a_routing_header_reaches_no_cell() {
    // Without the cors filter, Envoy routes a preflight like any request.
    let options = example().adjust(|bootstrap| {
        let filters = crate::support::connection_manager(bootstrap)["http_filters"].as_array_mut().unwrap();
        filters.retain(|filter| filter["name"] != "envoy.filters.http.cors");
    });
    let stack = Stack::start(options).await;
    for answer in both(&stack, &preflight(ALLOWED).header("x-cell", "cell-b").header("x-cellgate-defer", "x")).await {
        assert_eq!((answer.status.as_u16(), answer.served_by()), (503, None));
    }
    assert_eq!(arrived(&stack), 0);
    let line = stack.envoy().access_line("/orders").await;
    assert_eq!((line.text("cell"), line.text("cluster")), ("", "nowhere"));
    assert!(line.decision().contains("preflight"), "{}", line.decision());
}

/// One request for each kind of response, with its status and, for a refusal of Cellgate, its reason.
fn kinds() -> Vec<(Request, u16, &'static str)> {
    let encoded = Request::post("/encoded").header("content-encoding", "br");
    let large = Request::post("/large").header("content-type", "text/plain").header("x-tenant-id", "acme");
    vec![
        (Request::post("/decided").json(key_first("acme", 100)), 200, ""),
        (Request::post("/deferred").json(key_last("acme", 100_000)), 200, ""),
        (Request::post("/malformed").json("{]"), 400, "body_malformed"),
        (Request::post("/late").json(format!("{}]", key_last("acme", 100_000))), 400, "body_malformed"),
        (encoded.json("{}"), 415, "body_encoded"),
        (Request::get("/keyless"), 400, "body_absent"),
        (large.body("x"), 415, "content_type_unsupported"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_response_is_readable_by_the_allowed_origin_only() {
    let stack = Stack::start(example()).await;
    for (request, status, reason) in kinds() {
        for answer in both(&stack, &request.clone().header("origin", ALLOWED)).await {
            assert_readable(&answer, status, &request);
            if answer.served_by().is_none() {
                assert_eq!(code(&answer), reason);
                assert_eq!(answer.values("content-type"), ["application/problem+json"]);
            }
        }
        for other in OTHERS {
            for answer in both(&stack, &request.clone().header("origin", other)).await {
                assert_eq!((answer.status.as_u16(), cors(&answer)), (status, vec![]), "{other}: {request:?}");
            }
        }
        assert_eq!(cors(&stack.send(&request).await), [""; 0], "{request:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn envoys_own_refusals_are_readable_too() {
    // The routes refuse a passed request. Envoy refuses a body above its limit when `inspect_bytes` is too large.
    let options = example().configure(|config| {
        config["policy"] = serde_json::json!({"key_missing": "pass"});
        config["limits"] = serde_json::json!({"inspect_bytes": 4 * LIMIT});
    });
    let stack = Stack::start(options).await;
    let undecided = Request::post("/undecided").json("{}");
    let too_large = Request::post("/large").json(key_last("acme", 3 * LIMIT as usize));
    for (request, status, details) in
        [(undecided, 421, "direct_response"), (too_large, 413, "request_payload_too_large")]
    {
        assert_readable(&stack.send(&request.clone().header("origin", ALLOWED)).await, status, &request);
        for other in OTHERS {
            let answer = stack.send(&request.clone().header("origin", other)).await;
            assert_eq!((answer.status.as_u16(), cors(&answer)), (status, vec![]), "{other}: {request:?}");
        }
        let path = if status == 421 { "/undecided" } else { "/large" };
        assert_eq!(stack.envoy().access_line(path).await.text("details"), details);
    }
    assert_eq!(arrived(&stack), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_503_of_an_unreachable_service_is_readable_and_has_retry_after() {
    let stack = Stack::start(example()).await;
    stack.ext_proc().kill();
    let request = Request::post("/").json(key_last("acme", 100_000));
    let answer = stack.send(&request.clone().header("origin", ALLOWED)).await;
    assert_readable(&answer, 503, &request);
    assert_eq!(answer.values("retry-after"), ["1"]);
    let other = stack.send(&request.header("origin", OTHERS[0])).await;
    assert_eq!((cors(&other), other.values("retry-after")), (vec![], vec!["1"]));
}

#[track_caller]
fn assert_readable(answer: &Response, status: u16, request: &Request) {
    assert_eq!(answer.status, status, "{request:?}: {}", answer.text());
    assert_eq!(answer.values("access-control-allow-origin"), [ALLOWED], "{request:?}");
    assert_eq!(answer.values("access-control-expose-headers"), ["retry-after"], "{request:?}");
    assert_eq!(answer.values("vary"), ["origin"], "{request:?}");
}
