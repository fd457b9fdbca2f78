//! Content types: the answer to one that is not read, and to requests without one.

use cellgate_tests::client::Request;
use cellgate_tests::options::{BodyMode, Chain, Options, sample_config};
use cellgate_tests::stack::Stack;
use serde_json::{Value, json};

const ACME: &str = r#"{"tenant":{"id":"acme"}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_the_type_that_came_and_the_types_that_are_read() {
    let mut config = sample_config();
    config["key"] = json!([{"json": "/tenant/id"}, {"form": "tenant"}]);
    config["content_types"] = json!({"json": ["application/json", "text/json"]});
    let readable = json!(["application/json", "text/json", "application/x-www-form-urlencoded"]);
    for chain in [Chain::Filter, Chain::Service(BodyMode::Streamed)] {
        let stack = Stack::start(Options::default().config(config.clone()).chain(chain)).await;
        for (content_type, code, named) in [
            (Some("text/plain; a=\"\\b\""), "content_type_unsupported", json!("text/plain; a=\"\\b\"")),
            (Some("application/json;charset=utf-16"), "charset_unsupported", json!("application/json;charset=utf-16")),
            (None, "content_type_missing", Value::Null),
        ] {
            let request = Request::post("/").body(ACME);
            let request = match content_type {
                Some(content_type) => request.header("content-type", content_type),
                None => request,
            };
            let answer = stack.send(&request).await;
            let problem = answer.json();
            assert_eq!((answer.status.as_u16(), problem["code"].as_str()), (415, Some(code)), "{chain:?}");
            assert_eq!((&problem["content_type"], &problem["content_types"]), (&named, &readable), "{chain:?}");
        }
        assert!(stack.send(&Request::post("/").json("{}")).await.json()["content_types"].is_null());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_type_is_read_as_configured() {
    let mut config = sample_config();
    config["content_types"] = json!({"json": ["application/json", "missing"]});
    for chain in [Chain::Filter, Chain::Service(BodyMode::Streamed)] {
        let stack = Stack::start(Options::default().config(config.clone()).chain(chain)).await;
        assert_eq!(stack.send(&Request::post("/").body(ACME)).await.cell(), "cell-b", "{chain:?}");
    }
}
