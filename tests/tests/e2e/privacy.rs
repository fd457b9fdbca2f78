//! No secret of a request, a response or a configuration is in a log, a metric, a span or a page.
//!
//! Marked secrets are sent in every part of a request, through every path and every refusal, at every level of the
//! service's log. Then all that was written is searched for them.

mod cases;
mod configuration;
mod faults;
mod responses;
mod rig;
mod tokens;

use cellgate_tests::options::{BodyMode, Chain, Options};
use cellgate_tests::secrets::MarkedSecrets;
use serde_json::json;

use crate::claims::authentication;
use crate::jwt::Issuer;
use cases::{Case, cases, config};
use rig::{LEVELS, Rig};

/// The secrets that a cell receives in the head and behind the body.
const REACHED: [&str; 8] = [
    "a header",
    "a cookie",
    "a parameter of the query",
    "an API key",
    "a claim",
    "the key of header",
    "the key of path",
    "a trailer",
];

/// Shadow mode removes no header, and neither does the service from a request that it refuses without the filter: then the
/// client's own header is where the filter's would be. docs/explain.md says so.
const WITH_THE_CLIENTS_HEADER: [(&str, &str); 4] = {
    let [path, host, outside] = IN_THE_ACCESS_LOG;
    [path, host, outside, ("the access log", "an internal header of the client")]
};

/// The access log has the path without its query, and the host: docs/explain.md. A key there is the operator's choice.
const IN_THE_ACCESS_LOG: [(&str, &str); 3] = [
    ("the access log", "the key of path"),
    ("the access log", "the key of host"),
    ("the access log", "a path outside"),
];

/// A stack with the configuration of the cases, and the cases.
async fn start(chain: Chain) -> (Rig, Vec<Case>) {
    let (secrets, issuer) = (MarkedSecrets::default(), Issuer::new());
    let cases = cases(&secrets, &issuer);
    let options = Options::default().config(config(&secrets)).adjust(authentication(&issuer, "payload"));
    let options = if chain == Chain::TwoTier { options.buffer_limit(32 * 1024) } else { options };
    let options = options.configure(|config| {
        if chain == Chain::Filter {
            config["shadow"] = json!(true);
            config["rate_limits"] = json!([]);
            config["concurrency_limits"] = json!([]);
        }
    });
    (Rig::start(secrets, chain, options).await, cases)
}

#[tokio::test(flavor = "multi_thread")]
async fn both_tiers_write_no_secret_of_a_request_at_any_level() {
    let (mut rig, cases) = start(Chain::TwoTier).await;
    for level in LEVELS {
        rig.level(level).await;
        rig.send_all(&cases, |_, _, _| false).await;
    }
    let written = rig.finish().await;
    written.assert_spans_have(&["cellgate.key_hash", "cellgate.decode", "cellgate.limit", "cellgate.scan"]);
    written.assert_private(&IN_THE_ACCESS_LOG, &REACHED);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_alone_writes_no_secret_of_a_request_at_any_level() {
    for mode in [BodyMode::Buffered, BodyMode::Streamed] {
        let (mut rig, cases) = start(Chain::Service(mode)).await;
        for level in LEVELS {
            rig.level(level).await;
            // Envoy refuses what it cannot buffer. In a stream, a key without a cell is refused before the end of the body.
            rig.send_all(&cases, |_, status, code| match mode {
                BodyMode::Buffered => status == 413 && code.is_empty(),
                BodyMode::Streamed => code == "key_unplaced",
            })
            .await;
        }
        rig.finish().await.assert_private(&WITH_THE_CLIENTS_HEADER, &REACHED);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_in_shadow_mode_writes_no_secret_of_a_request() {
    let (mut rig, cases) = start(Chain::Filter).await;
    rig.send_all(&cases, |_, _, _| true).await;
    rig.finish().await.assert_private(&WITH_THE_CLIENTS_HEADER, &[]);
}
