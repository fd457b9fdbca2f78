//! The filter decides a request without a body from its head at once, whatever its method.

use cellgate_tests::client::{Request, Response};
use cellgate_tests::options::{Chain, Options};
use cellgate_tests::sha256;
use cellgate_tests::stack::Stack;
use serde_json::{Value, json};

use crate::support::{arrived, code};

const GOOD: &str = r#"{"tenant":{"id":"acme"}}"#;

async fn both(stack: &Stack, request: &Request) -> [Response; 2] {
    [stack.send(request).await, stack.send_h2(request).await]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_without_a_body_is_decided_by_a_header() {
    let stack = Stack::start(Options::default()).await;
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "POST", "PUT", "PATCH"] {
        let request = Request::new(method, "/").header("x-tenant-id", "acme");
        for answer in both(&stack, &request).await {
            assert_eq!(answer.cell(), "cell-b", "{method}");
        }
    }
    let methods: Vec<_> = stack.cell("cell-b").seen().into_iter().map(|seen| seen.method).collect();
    assert_eq!(methods.len(), 14);
    assert_eq!(methods.iter().filter(|method| *method == "HEAD").count(), 2);
    assert_eq!(stack.ext_proc_streams().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_body_and_key_is_rejected() {
    let stack = Stack::start(Options::default()).await;
    for method in ["GET", "DELETE", "OPTIONS", "POST"] {
        for answer in both(&stack, &Request::new(method, "/")).await {
            assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (400, "body_absent"), "{method}");
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        }
    }
    assert_eq!(arrived(&stack), 0);
    assert_eq!(stack.ext_proc_streams().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_refusal_of_a_head_request_has_no_body() {
    // Behind a local reply with 400, Envoy closes a connection of HTTP/1.
    let refuse = |config: &mut Value| config["policy"] = json!({"body_absent": {"reject": 421}});
    let stack = Stack::start(Options::default().chain(Chain::Filter).configure(refuse)).await;
    let mut client = stack.connect().await;
    let refused = client.send(&Request::new("HEAD", "/")).await.unwrap();
    assert_eq!((refused.status.as_u16(), refused.body.len()), (421, 0));
    // No body bytes remain on the connection: the next response follows directly.
    let next = client.send(&Request::new("HEAD", "/").header("x-tenant-id", "acme")).await.unwrap();
    assert_eq!(next.cell(), "cell-b");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_inspected_whatever_the_method() {
    let stack = Stack::start(Options::default()).await;
    for method in ["GET", "DELETE", "OPTIONS", "PUT", "PATCH"] {
        for answer in both(&stack, &Request::new(method, "/").json(GOOD)).await {
            assert_eq!(answer.cell(), "cell-b", "{method}");
            assert_eq!(answer.sha256(), sha256(GOOD.as_bytes()), "{method}");
        }
    }
    assert_eq!(stack.ext_proc_streams().await, 0);
}

/// RFC 10008: a safe method with a body. Envoy 1.40 forwards it and requires a Content-Type, as the RFC does. Older versions
/// refuse it in HTTP/1.
#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_decided_like_a_post() {
    let stack = Stack::start(Options::default()).await;
    let version = stack.admin().version().await.unwrap();
    let is_refused = ["1.36.", "1.37.", "1.38.", "1.39."].iter().any(|old| version.starts_with(old));
    let query = |kind: &str| Request::new("QUERY", "/query").header("content-type", kind);
    let (json, form) = (query("application/json"), query("application/x-www-form-urlencoded"));
    for (request, cell, reason) in [
        (json.clone().body(GOOD), Some("cell-b"), ""),
        (form.body("tenant_id=acme"), Some("cell-b"), ""),
        (json.clone().header("x-tenant-id", "acme"), Some("cell-b"), ""),
        (json.clone().body("{}"), None, "key_missing"),
        (json.clone().body("{]"), None, "body_malformed"),
        (json.clone(), None, "body_absent"),
    ] {
        let [http1, http2] = both(&stack, &request).await;
        if is_refused {
            assert_eq!((http1.status.as_u16(), http1.text().as_str()), (400, "Bad Request"), "{request:?}");
        }
        for answer in [http1, http2].into_iter().skip(usize::from(is_refused)) {
            assert_eq!(answer.served_by(), cell, "{request:?}");
            if cell.is_none() {
                assert_eq!((answer.status.as_u16(), &*code(&answer)), (400, reason), "{request:?}");
            }
        }
    }
    let seen = stack.cell("cell-b").seen();
    assert_eq!(seen.len(), if is_refused { 3 } else { 6 });
    assert!(seen.iter().all(|seen| seen.method == "QUERY"));
    if !is_refused {
        for answer in both(&stack, &Request::new("QUERY", "/").header("x-tenant-id", "acme")).await {
            assert_eq!((answer.status.as_u16(), answer.served_by()), (400, None));
        }
    }
}

/// A POST with an empty body, sent in every way, is decided by head sources.
#[tokio::test(flavor = "multi_thread")]
async fn an_empty_body_counts_as_no_body() {
    let stack = Stack::start(Options::default()).await;
    let json = |request: Request| request.header("content-type", "application/json");
    let none: [&str; 0] = [];
    let without = |path: &str| {
        [json(Request::post(path)), json(Request::post(path)).body(""), json(Request::post(path)).pieces(none)]
    };
    for request in without("/without-key") {
        for answer in both(&stack, &request).await {
            assert_eq!(code(&answer), "body_absent", "{request:?}");
        }
    }
    for request in without("/with-key") {
        for answer in both(&stack, &request.clone().header("x-tenant-id", "acme")).await {
            assert_eq!(answer.cell(), "cell-b", "{request:?}");
            assert_eq!(answer.sha256(), sha256(b""), "{request:?}");
        }
    }
    assert_eq!(arrived(&stack), 6);
    assert_eq!(stack.ext_proc_streams().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_last_frame_ends_a_body() {
    let stack = Stack::start(Options::default()).await;
    let client = stack.connect_h2().await;
    for head in [Request::post("/").json(GOOD), Request::post("/").header("content-type", "application/json")] {
        let mut stream = client.open(&head).await.unwrap();
        stream.data(GOOD).await.unwrap();
        stream.data("").await.unwrap();
        stream.finish("").unwrap();
        let answer = stream.response().await.unwrap();
        assert_eq!(answer.cell(), "cell-b");
        assert_eq!(answer.sha256(), sha256(GOOD.as_bytes()));
    }
    // The whole document came before its end was known, so the filter only guarded it. The service was not called.
    assert_eq!(stack.ext_proc_streams().await, 0);
}
