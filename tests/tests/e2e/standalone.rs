//! The service without the filter: it removes reserved headers and decides every request itself.

use cellgate_tests::client::Request;
use cellgate_tests::options::{BodyMode, Chain, Options};
use cellgate_tests::sha256;
use cellgate_tests::stack::Stack;

use crate::bodies::{key_at, key_first_then};
use crate::support::{arrived, code, connection_manager};
use crate::upload::{Framing, Upload};

const MODES: [BodyMode; 2] = [BodyMode::Buffered, BodyMode::Streamed];

async fn stack(mode: BodyMode) -> Stack {
    Stack::start(Options::default().chain(Chain::Service(mode))).await
}

/// Adds every header that a client might use to choose its cell.
fn spoofed(request: Request) -> Request {
    request
        .header("x-cell", "cell-c")
        .header("X-Cell", "cell-a")
        .header("x-cellgate-defer", "stream;body_too_large")
        .header("x-cellgate-anything", "1")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_decides_by_the_body_and_removes_the_clients_headers() {
    for mode in MODES {
        let stack = stack(mode).await;
        for body in [key_first_then(100, "}"), key_first_then(500_000, "}"), key_at(499_000, 500_000, "}")] {
            for framing in Framing::ALL {
                let request = spoofed(Request::post("/").header("content-type", "application/json"));
                let mut upload = Upload::open_with(&stack, framing, request, body.len()).await;
                upload.send(&body).await;
                let answer = upload.finish().await.unwrap();
                let what = format!("{mode:?}, {framing:?}, {} bytes", body.len());
                assert_eq!((answer.cell(), answer.sha256()), ("cell-b", sha256(&body)), "{what}");
                assert_eq!(answer.received("x-cell"), ["cell-b"], "{what}");
                assert!(!answer.text().contains("x-cellgate-"), "{what}: {}", answer.text());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_decides_requests_without_a_body() {
    for mode in MODES {
        let stack = stack(mode).await;
        let by_header = spoofed(Request::get("/").header("x-tenant-id", "acme"));
        for answer in [stack.send(&by_header).await, stack.send_h2(&by_header).await] {
            assert_eq!((answer.cell(), answer.received("x-cell")), ("cell-b", vec!["cell-b".to_owned()]), "{mode:?}");
            assert!(!answer.text().contains("x-cellgate-"), "{mode:?}: {}", answer.text());
        }
        for answer in [stack.send(&spoofed(Request::get("/"))).await, stack.send_h2(&spoofed(Request::get("/"))).await]
        {
            assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (400, "body_absent"), "{mode:?}");
        }
        assert_eq!(arrived(&stack), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_rejects_bad_bodies_with_a_problem_document() {
    for mode in MODES {
        let stack = stack(mode).await;
        for (body, status, reason) in [
            (r#"{"tenant":{"id":"acme","id":"globex"}}"#, 400, "key_duplicated"),
            (r#"{"tenant":{"id":"acme"}"#, 400, "body_truncated"),
            (r#"{"tenant":{}}"#, 400, "key_missing"),
        ] {
            let request = spoofed(Request::post("/").json(body));
            for answer in [stack.send(&request).await, stack.send_h2(&request).await] {
                assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (status, reason), "{mode:?}");
                assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            }
        }
        // In the streamed mode, the start of a truncated body may already be forwarded at its end.
        assert!(stack.cells().iter().all(|cell| cell.complete() == 0), "{mode:?}");
        assert!(mode == BodyMode::Streamed || arrived(&stack) == 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn body_modes_that_cannot_route_are_rejected_with_an_error() {
    for mode in ["STREAMED", "BUFFERED_PARTIAL"] {
        let options = Options::default().chain(Chain::Service(BodyMode::Buffered)).adjust(move |bootstrap| {
            let filter = &mut connection_manager(bootstrap)["http_filters"][0]["typed_config"];
            filter["processing_mode"]["request_body_mode"] = mode.into();
        });
        let stack = Stack::start(options).await;
        let answer = stack.post_json("/", r#"{"tenant":{"id":"acme"}}"#).await;
        assert_eq!((answer.status.as_u16(), arrived(&stack)), (503, 0), "{mode}");
        let line = format!("request_body_mode {mode} cannot route: use FULL_DUPLEX_STREAMED, BUFFERED or NONE");
        stack.ext_proc().logged(&[&line]).await.unwrap();
        assert_eq!(stack.ext_proc().metric("cellgate_protocol_errors_total").await.unwrap(), 1.0);
    }
}
