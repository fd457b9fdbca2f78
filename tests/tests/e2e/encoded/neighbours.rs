//! Envoy's decompressor filter before Cellgate, and behind it.

use cellgate_tests::client::Response;
use cellgate_tests::options::Options;
use cellgate_tests::sha256;
use cellgate_tests::stack::Stack;
use serde_json::{Value, json};

use super::encoders::{gzip, noise_then_key, zstd};
use super::{TWO_KEYS, options, post};
use crate::support::{arrived, code, connection_manager, key_last};

/// For [`Options::adjust`]: decompressors of gzip and zstd, first in the chain or last before the router.
fn decompressors(first: bool) -> impl FnOnce(&mut Value) + Send + 'static {
    move |bootstrap| {
        let filters = connection_manager(bootstrap)["http_filters"].as_array_mut().unwrap();
        for library in ["gzip", "zstd"] {
            let place = if first { 0 } else { filters.len() - 1 };
            filters.insert(place, decompressor(library));
        }
    }
}

fn decompressor(library: &str) -> Value {
    let message = if library == "gzip" { "Gzip" } else { "Zstd" };
    let library = json!({
        "name": library,
        "typed_config": {
            "@type": format!("type.googleapis.com/envoy.extensions.compression.{library}.decompressor.v3.{message}"),
        },
    });
    json!({
        "name": "envoy.filters.http.decompressor",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.decompressor.v3.Decompressor",
            "decompressor_library": library,
        },
    })
}

/// Checks that `cell-b` has received this text without a Content-Encoding.
#[track_caller]
fn arrived_plain(answer: &Response, text: &str) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let received = (answer.cell(), answer.sha256(), answer.received("content-encoding"));
    assert_eq!(received, ("cell-b", sha256(text.as_bytes()), Vec::new()));
}

/// Its bodies have no length, so those whose key is late are deferred as any body of unknown length.
#[tokio::test(flavor = "multi_thread")]
async fn behind_a_decompressor_bodies_are_decided_as_plain_ones() {
    let plain = Options::default().buffer_limit(1 << 20).adjust(decompressors(true));
    let stack = Stack::start(plain).await;
    for text in
        [r#"{"tenant":{"id":"acme"}}"#.to_owned(), noise_then_key("acme", 20_000), noise_then_key("acme", 200_000)]
    {
        for (coding, body) in [("gzip", gzip(&text)), ("zstd", zstd(&text))] {
            arrived_plain(&stack.send(&post(coding, &body)).await, &text);
            arrived_plain(&stack.send_h2(&post(coding, &body)).await, &text);
        }
    }
    let delivered = arrived(&stack);
    for (coding, body) in [("gzip", gzip(TWO_KEYS)), ("zstd", zstd(TWO_KEYS))] {
        let answer = stack.send(&post(coding, &body)).await;
        assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (400, "key_duplicated"), "{coding}");
    }
    // Envoy decodes gzip up to 100 times its size, and drops the rest without an error.
    let answer = stack.send(&post("gzip", &gzip(key_last("acme", 100_000)))).await;
    assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (400, "body_truncated"));
    assert_eq!(arrived(&stack), delivered);
}

#[tokio::test(flavor = "multi_thread")]
async fn before_a_decompressor_bodies_are_decided_encoded_and_arrive_decoded() {
    let stack = Stack::start(options().adjust(decompressors(false))).await;
    for (size, streams) in [(20_000, [0, 1]), (200_000, [1, 1])] {
        let text = noise_then_key("acme", size);
        for ((coding, body), streams) in [("gzip", gzip(&text)), ("zstd", zstd(&text))].into_iter().zip(streams) {
            let before = stack.ext_proc_streams().await;
            arrived_plain(&stack.send(&post(coding, &body)).await, &text);
            arrived_plain(&stack.send_h2(&post(coding, &body)).await, &text);
            assert_eq!(stack.ext_proc_streams().await - before, 2 * streams, "{coding}, {size}");
        }
    }
}
