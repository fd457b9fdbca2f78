//! The id of a request in the metadata of the call of the service, as the chart sets it. A client may choose the id where the
//! proxy keeps it: `use_remote_address: false`, or `preserve_external_request_id`.

use cellgate_tests::client::Request;
use cellgate_tests::options::{BodyMode, Chain, Options};
use cellgate_tests::stack::Stack;
use serde_json::{Value, json};

use crate::support::{connection_manager, key_last};

fn deferred() -> Request {
    Request::post("/").json(key_last("acme", 100_000))
}

/// Puts the metadata of `charts/cellgate/templates/_ext_proc.tpl` on each call of the service.
fn with_stream_id(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.contains_key("grpc_service") && map.contains_key("processing_mode") {
                map["grpc_service"]["initial_metadata"] = json!([{"key": "x-request-id", "value": "%STREAM_ID%"}]);
            }
            map.values_mut().for_each(with_stream_id);
        }
        Value::Array(list) => list.iter_mut().for_each(with_stream_id),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_id_of_a_request_does_not_make_the_call_fail() {
    for chain in [Chain::TwoTier, Chain::Service(BodyMode::Streamed)] {
        let stack = Stack::start(Options::default().chain(chain).buffer_limit(32 * 1024).adjust(with_stream_id)).await;
        for length in [100, 14_000, 16_000, 17_000, 55_000] {
            let answer = stack.send(&deferred().header("x-request-id", "i".repeat(length))).await;
            assert_eq!(answer.status, 200, "{chain:?} {length}");
        }
    }
}

/// Other requests of the same worker thread are on the same connection to the service.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_id_of_a_request_ends_no_other_request() {
    let chain = Chain::Service(BodyMode::Streamed);
    let options = Options::default().chain(chain).concurrency(1).adjust(|bootstrap| {
        with_stream_id(bootstrap);
        connection_manager(bootstrap)["max_request_headers_kb"] = json!(192);
    });
    let stack = Stack::start(options).await;
    let client = stack.connect_h2().await;
    let mut open = client.open(&Request::post("/").header("content-type", "application/json")).await.unwrap();
    open.data(r#"{"a":"b"#).await.unwrap();
    while stack.ext_proc_streams().await == 0 {
        tokio::task::yield_now().await;
    }
    let _refused = stack.send(&deferred().header("x-request-id", "Z".repeat(70_000))).await;
    open.finish(r#"","tenant":{"id":"acme"}}"#).unwrap();
    assert_eq!(open.response().await.unwrap().status, 200);
}
