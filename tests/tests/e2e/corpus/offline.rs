//! `cellgate decide` against the filter in Envoy: each case, with the same first chunk, must get the same decision.

use std::io::Write;
use std::process::{Command, Stdio};

use cellgate_routing::Decider;
use cellgate_tests::artifacts;
use cellgate_tests::corpus::{self, Case};
use cellgate_tests::options::{Chain, Options};
use serde_json::{Value, json};

use super::exceptions::is_changed_by_envoy;
use super::rig::{self, Rig};
use super::run::{Answers, Run, is_compressed, is_encoded};
use super::table::{Table, Verdict};
use super::{Framing, KIB, Way, native};

/// The first chunks of a longer body.
const FIRST_CHUNKS: [usize; 3] = [1, 1024, 16 * 1024];

/// The largest body that may be one chunk: it fits into one segment of the loopback interface (64 KiB), which Envoy
/// reads at once if its own limit is larger. A larger first chunk cannot be forced.
const ONE_CHUNK: usize = 40_000;

/// A longer body takes seconds in a debug build, so it has only one first chunk.
const LONG: usize = 100_000;

#[tokio::test(flavor = "multi_thread")]
async fn decide_agrees_with_the_filter_in_envoy() {
    every_case(Run::new(corpus::documents(), Answers::Own, Way::Filter), 1500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn decide_agrees_with_the_filter_in_envoy_on_batches() {
    every_case(Run::new(corpus::batches(), Answers::Own, Way::Filter), 1000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn decide_agrees_with_the_filter_in_envoy_where_refusals_have_a_cell() {
    every_case(Run::new(corpus::documents(), Answers::Use, Way::Filter), 1500).await;
}

/// Here the filter needs the whole body, so it matters whether the first chunk is the whole body.
#[tokio::test(flavor = "multi_thread")]
async fn decide_agrees_with_the_filter_in_envoy_where_the_last_key_counts() {
    let mut corpus = corpus::documents();
    corpus.config["duplicates"] = json!("last");
    corpus.config["policy"]["body_too_large"] = json!({"reject": 413});
    corpus
        .cases
        .retain(|case| case.name.starts_with("size: ") && case.body.as_ref().is_some_and(|body| body.len() < LONG));
    every_case(Run::new(corpus, Answers::Own, Way::Filter), 200).await;
}

async fn every_case(run: Run, at_least: usize) {
    let Run { config, cases, decider, .. } = run;
    let options = Options::default().chain(Chain::Filter).buffer_limit(1024 * KIB);
    let mut rig = Rig::start(options.config(config.clone())).await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.json");
    std::fs::write(&file, config.to_string()).unwrap();
    let mut table = Table::default();
    for case in cases.iter().filter(|case| !is_changed_by_envoy(case)) {
        for framing in Framing::of(case).iter().copied() {
            for first in first_chunks(&decider, case, framing) {
                let offline = decide(&file, case, framing, first.unwrap_or(FIRST_CHUNKS[0]));
                let in_envoy = match first {
                    Some(first) => rig.send_in_two(case, framing, first).await,
                    None => rig.send(case, framing).await,
                };
                let how = format!("{framing:?}, {first:?}");
                let in_envoy = in_envoy.of_filter();
                // Envoy may read a whole body of 40,000 bytes in two parts, however it was sent.
                let in_parts = || decide(&file, case, framing, FIRST_CHUNKS[2]) == in_envoy;
                if first != Some(ONE_CHUNK) || in_envoy == offline || !in_parts() {
                    table.compare(&how, &case.name, &in_envoy, &offline);
                }
            }
        }
    }
    rig.check_deliveries(&mut table).await;
    table.finish(at_least);
}

/// The first chunks of a case. `None`: the head decides, whatever follows.
fn first_chunks(decider: &Decider, case: &Case, framing: Framing) -> Vec<Option<usize>> {
    let length = case.body.as_ref().map_or(0, Vec::len);
    if length == 0 || is_compressed(case) || is_encoded(case) || !native::reads_body(decider, case, framing) {
        return vec![None];
    }
    let sizes = if length > LONG { &FIRST_CHUNKS[2..] } else { &FIRST_CHUNKS[..] };
    let whole = (length <= ONE_CHUNK).then_some(length);
    sizes.iter().copied().filter(|size| *size < length).chain(whole).map(Some).collect()
}

/// The filter's verdict according to `cellgate decide`.
fn decide(config: &std::path::Path, case: &Case, framing: Framing, first_chunk: usize) -> Verdict {
    let mut child = Command::new(artifacts::cellgate().unwrap())
        .args(["decide", "--request", "-", "--output", "json", "--first-chunk", &first_chunk.to_string(), "--config"])
        .arg(config)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&rig::request(case, framing).to_http1()).unwrap();
    let output = child.wait_with_output().unwrap();
    let Ok(report) = serde_json::from_slice::<Value>(&output.stdout) else {
        return Verdict::new("no report", String::from_utf8_lossy(&output.stderr));
    };
    let filter = &report["filter"];
    let end = if filter["conflict"].is_null() { &filter["decision"] } else { &filter["conflict"] };
    let text = |name: &str| end[name].as_str().unwrap_or_default();
    match text("outcome") {
        "cell" => Verdict::new(text("cell"), text("reason")),
        "reject" => Verdict::new(end["status"].to_string(), text("reason")),
        other => Verdict::new(other, text("reason")),
    }
}
