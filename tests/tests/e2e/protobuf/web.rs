//! gRPC-Web, with Envoy's own gRPC-Web filter before Cellgate and behind it.

use cellgate_tests::client::{Request, Response};
use serde_json::Value;

use super::*;
use crate::support::connection_manager;

/// Where Envoy's filter is.
#[derive(Clone, Copy, Debug)]
enum Place {
    Before,
    Behind,
}

/// Envoy's filter makes a gRPC call of a gRPC-Web request.
fn with_grpc_web(place: Place) -> impl FnOnce(&mut Value) + Send + 'static {
    move |bootstrap| {
        let filters = connection_manager(bootstrap)["http_filters"].as_array_mut().expect("filters");
        let index = match place {
            Place::Before => 0,
            Place::Behind => filters.len() - 1,
        };
        let filter = json!({"name": "grpc-web", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.grpc_web.v3.GrpcWeb",
        }});
        filters.insert(index, filter);
    }
}

/// The first message in base64, as browsers send it.
fn base64(bytes: &[u8]) -> Bytes {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().chain(&[0, 0]).take(3).fold(0usize, |bits, byte| bits << 8 | usize::from(*byte));
        for place in 0..4 {
            text.push(if place <= group.len() { ALPHABET[bits >> (18 - 6 * place) & 63] } else { b'=' });
        }
    }
    text.into()
}

fn request(content_type: &str, body: &Bytes) -> Request {
    Request::post("/shop.Orders/Place")
        .header("content-type", content_type)
        .header("x-grpc-web", "1")
        .body(body.clone())
}

fn assert_served(answer: &Response, cell: &str, what: &str) {
    assert_eq!(answer.status, 200, "{what}: {answer:?}");
    assert_eq!(answer.cell(), cell, "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_web_call_is_routed_before_and_behind_envoys_filter() {
    for place in [Place::Before, Place::Behind] {
        for chain in [Chain::TwoTier, Chain::Service(BodyMode::Buffered), Chain::Service(BodyMode::Streamed)] {
            let stack = Stack::start(options().chain(chain).adjust(with_grpc_web(place))).await;
            let message = plain(&Order::of("acme"));
            for (content_type, body) in [
                ("application/grpc-web", message.clone()),
                ("application/grpc-web+proto", message.clone()),
                ("application/grpc-web-text", base64(&message)),
                ("application/grpc-web-text+proto", base64(&message)),
            ] {
                let what = format!("{content_type}, Envoy's filter {place:?}, {chain:?}");
                assert_served(&stack.send(&request(content_type, &body)).await, "cell-b", &what);
                assert_served(&stack.send_h2(&request(content_type, &body)).await, "cell-b", &what);
            }
            let seen = stack.cell("cell-b").seen();
            assert_eq!(seen.len(), 8);
            for seen in seen {
                assert_eq!(seen.header("content-type"), ["application/grpc"], "{place:?} {chain:?}");
                assert_eq!((seen.body_bytes, &*seen.sha256), (message.len() as u64, &*sha256(&message)));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_web_call_that_is_wrong_never_arrives() {
    let stack = Stack::start(options().adjust(with_grpc_web(Place::Behind))).await;
    let message = plain(&Order::of("acme"));
    for (content_type, body) in [
        ("application/grpc-web-text", message.clone()),
        ("application/grpc-web", base64(&message)),
        ("application/grpc-web-text", Bytes::from([&base64(&message)[..], b"\n\n\n\n"].concat())),
    ] {
        assert_eq!(code(&stack.send(&request(content_type, &body)).await), "body_malformed", "{content_type}");
    }
    assert_eq!(arrived(&stack), 0);
}
