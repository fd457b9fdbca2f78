//! The filter decides a request without a body from its head at once, whatever its method.

use cellgate_tests::client::{Request, Response};
use cellgate_tests::options::{Chain, Options};
use cellgate_tests::sha256;
use cellgate_tests::stack::Stack;

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
    let stack = Stack::start(Options::default().chain(Chain::Filter)).await;
    let mut client = stack.connect().await;
    let refused = client.send(&Request::new("HEAD", "/")).await.unwrap();
    assert_eq!((refused.status.as_u16(), refused.body.len()), (400, 0));
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

/// RFC 10008: a method with a body, which is safe. Whoever knows it decides it like a POST.
#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_decided_like_a_post() {
    let stack = Stack::start(Options::default()).await;
    let json = Request::new("QUERY", "/query").json(GOOD);
    let form = Request::new("QUERY", "/query").header("content-type", "application/x-www-form-urlencoded");
    for request in [json, form.body("tenant_id=acme"), Request::new("QUERY", "/query").header("x-tenant-id", "acme")] {
        for answer in both(&stack, &request).await {
            assert_eq!(answer.cell(), "cell-b", "{request:?}");
        }
    }
    assert!(stack.cell("cell-b").seen().iter().all(|seen| seen.method == "QUERY"));
    assert_eq!(arrived(&stack), 6);
    for (request, reason) in [
        (Request::new("QUERY", "/").json("{}"), "key_missing"),
        (Request::new("QUERY", "/").json("{]"), "body_malformed"),
        (Request::new("QUERY", "/"), "body_absent"),
    ] {
        for answer in both(&stack, &request).await {
            assert_eq!((answer.status.as_u16(), &*code(&answer)), (400, reason));
        }
    }
    assert_eq!(arrived(&stack), 6);
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
