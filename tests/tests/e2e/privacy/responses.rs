//! Responses that settle limits: their headers, trailers and bodies.

use cellgate_tests::client::Request;
use cellgate_tests::options::{BodyMode, Chain, Options};
use cellgate_tests::secrets::MarkedSecrets;
use serde_json::json;

use super::rig::Rig;
use crate::raw_cell::RawCell;
use crate::support::key_last;

#[tokio::test(flavor = "multi_thread")]
async fn no_part_of_a_response_is_written() {
    for chain in [Chain::TwoTier, Chain::Service(BodyMode::Streamed)] {
        let (cell, secrets) = (RawCell::start().await, MarkedSecrets::default());
        let settle = |name: &str, field: &str| {
            json!({
                "name": name, "key": ["routing_key"], "limit": "1000000/h", "cost": 10,
                "settle": {field: "x-used", "at_most": 100}, "applies_to": {"paths": [format!("/{name}")]},
            })
        };
        let options = Options::default()
            .buffer_limit(32 * 1024)
            .configure(|config| {
                config["rate_limits"] =
                    json!([settle("header", "response_header"), settle("trailer", "response_trailer")]);
                config["concurrency_limits"] = json!([{"name": "in-flight", "key": ["routing_key"], "at_most": 100}]);
            })
            .adjust(cell.in_place_of("cell-b"));
        let mut rig = Rig::start(secrets, chain, options).await;
        rig.level("trace").await;
        let secret = |rig: &Rig, place: &str| rig.secrets.of(place);
        let fields = format!(
            "set-cookie: session={}\r\nx-answer: {}\r\nlocation: https://a/{}\r\n",
            secret(&rig, "a cookie of a response"),
            secret(&rig, "a header of a response"),
            secret(&rig, "a location")
        );
        let body = secret(&rig, "the body of a response");
        // A number, no number, and a failure.
        for (status, used) in [(200, "7".to_owned()), (200, secret(&rig, "no number")), (503, "1".to_owned())] {
            let with_header =
                format!("HTTP/1.1 {status} Told\r\n{fields}x-used: {used}\r\ncontent-length: 24\r\n\r\n{body}");
            let with_trailer = format!(
                "HTTP/1.1 {status} Told\r\n{fields}transfer-encoding: chunked\r\n\r\n18\r\n{body}\r\n0\r\nx-used: {used}\r\n\
                 x-checksum: {}\r\n\r\n",
                secret(&rig, "a trailer of a response")
            );
            for (path, response) in [("/header", with_header), ("/trailer", with_trailer)] {
                for size in [100, 100_000] {
                    let request = Request::post(path).json(key_last("acme", size));
                    let answered = async {
                        let mut arrived = cell.accept().await;
                        arrived.write(&response).await;
                        arrived
                    };
                    let (answer, _arrived) = tokio::join!(rig.send(request, false), answered);
                    assert_eq!(answer.status, status, "{path}");
                    // The response did pass.
                    assert_eq!(answer.text(), body, "{path}");
                }
            }
        }
        let written = rig.finish().await;
        written.assert_spans_have(&["cellgate.limit"]);
        written.assert_private(&[], &[]);
    }
}
