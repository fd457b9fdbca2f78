//! Other filters in front of Cellgate and behind it.

use std::io::Write as _;

use anyhow::{Context, Result, ensure};
use cellgate_tests::client::Request;
use cellgate_tests::sha256;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::Topic;
use crate::authorization::DENY;
use crate::case::{Case, Mode, run};
use crate::observed::{NOT_RUN, Observed};
use crate::rule::Rule;
use crate::scene::{CELL, FIRST, Scene};
use crate::setup::Setup;
use crate::support::{bytes_read, key_first, key_last, read_by_envoy};
use crate::upload::{Framing, Upload};

/// Bodies at the same time, and rounds of them. With these, Envoy 1.36.2 loses about 30 of 320 bodies if two processors
/// stream.
const AT_ONCE: usize = 16;
const ROUNDS: usize = 5;

/// The size of the first write of a body, and of the others.
const WRITE: usize = 5_000;
const REST: usize = 20_000;

/// The first minor version with Envoy 43175 in each of its patches.
const FIXED: u32 = 38;

const RACE: &str = "Runs from Envoy 1.38 on, whose patches all have Envoy's change 43175. Without it, a processor that \
    streams loses parts of bodies at random, beside another one and in front of a filter that pauses. See the \
    [faults](#faults).";

pub(super) fn topic() -> Topic {
    let whole = Rule::Whole(CELL);
    let mut cases = Vec::new();
    for mode in [Mode::Peek, Mode::Deferred] {
        let case =
            Case::new(mode, "decompressor", "body", "Envoy's decompressor in front, gzip", whole, run!(compressed));
        cases.push(case.on(Setup::Decompressor));
    }
    for mode in [Mode::Hold, Mode::Peek] {
        let case = Case::new(mode, "buffer-filter", "body", "Envoy's buffer filter in front", whole, run!(two_parts));
        cases.push(case.on(Setup::BufferInFront));
    }
    for mode in [Mode::Hold, Mode::Peek, Mode::Deferred] {
        let event = "ext_authz with the body behind";
        cases.push(Case::new(mode, "authorized", "body", event, whole, run!(authorized)).on(Setup::Authorized));
    }
    for mode in [Mode::Hold, Mode::Peek, Mode::Deferred] {
        let event = "ext_authz behind denies";
        let rule = Rule::Refused(403, "ext_authz_denied");
        cases.push(Case::new(mode, "denied", "body", event, rule, run!(denied)).on(Setup::Authorized));
    }
    for mode in [Mode::Peek, Mode::Deferred] {
        let event = "another processor in front, FULL_DUPLEX_STREAMED, 16 bodies at a time";
        let rule = Rule::IsOrNotRun("80 of 80 whole");
        let case = Case::new(mode, "others-in-front", "body", event, rule, run!(many, FIXED));
        cases.push(case.on(Setup::OtherInFront).differs(RACE));
    }
    for mode in [Mode::Hold, Mode::Peek] {
        let event = "another processor behind, FULL_DUPLEX_STREAMED";
        cases.push(Case::new(mode, "other-behind", "body", event, whole, run!(two_parts)).on(Setup::OtherBehind));
    }
    let all = Rule::Is("80 of 80 whole");
    let event = "the same, 16 bodies at a time, deferred as `buffer`";
    let case = Case::new(Mode::Deferred, "other-behind-buffer", "body", event, all, run!(many, 0));
    cases.push(case.on(Setup::OtherBehindBuffer));
    let event = "the same, 16 bodies at a time, deferred as `stream`";
    let case =
        Case::new(Mode::Deferred, "other-behind", "body", event, Rule::IsOrNotRun("80 of 80 whole"), run!(many, FIXED));
    cases.push(case.on(Setup::OtherBehind).differs(RACE));
    for mode in [Mode::Hold, Mode::Deferred] {
        let event = "a filter in front sets `x-cell` to another cell";
        cases.push(Case::new(mode, "header-set", "head", event, whole, run!(two_parts)).on(Setup::HeaderSet));
    }
    for mode in [Mode::Hold, Mode::Deferred] {
        let event = "a filter behind removes `x-cell`";
        let case = Case::new(mode, "header-removed", "head", event, Rule::OnlyAt(CELL), run!(two_parts));
        cases.push(case.on(Setup::HeaderRemoved));
    }
    Topic {
        title: "Neighbours",
        text: "Other filters in the same chain. ext_authz is shown the whole body and the routing header of the \
            decision. Behind another processor that streams, a request has no Content-Length, so the filter holds no \
            body there. No filter behind Cellgate may remove the routing header: Envoy may pick the route before or \
            after it.",
        cases,
    }
}

async fn two_parts(scene: Scene<'_>) -> Result<Observed> {
    let body = scene.body();
    scene.in_two_parts(scene.mode.http1(), &body).await
}

pub(super) fn gzip(body: &str) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body.as_bytes())?;
    Ok(encoder.finish()?)
}

/// The cell gets the decoded body. It has no Content-Length, so the filter does not hold it.
async fn compressed(scene: Scene<'_>) -> Result<Observed> {
    let noise = noise();
    let body = match scene.mode {
        Mode::Peek => format!(r#"{{"tenant":{{"id":"acme"}},"x":"{noise}"}}"#),
        _ => format!(r#"{{"x":"{noise}","tenant":{{"id":"acme"}}}}"#),
    };
    let encoded = gzip(&body)?;
    let request = scene.json().header("content-encoding", "gzip");
    let mut upload = Upload::open_with(scene.stack(), Framing::Http1, request, encoded.len()).await;
    let (first, rest) = encoded.split_at(FIRST);
    scene.send(&mut upload, first).await;
    upload.send(rest).await;
    scene.observe(upload.finish().await, body.as_bytes()).await
}

/// Text of 256 KB that does not compress well: the decompressor ends a body that inflates more than 100 times.
fn noise() -> String {
    let hashes = (0..4_000_u32).map(|number| sha256(&number.to_be_bytes()));
    hashes.collect()
}

async fn authorized(scene: Scene<'_>) -> Result<Observed> {
    let body = scene.body();
    let observed = scene.in_two_parts(scene.mode.http1(), &body).await?;
    let authorization = scene.running.authorization.as_ref().context("no authorization service")?;
    let shown = authorization.shown(&scene.path).context("the authorization service was not asked")?;
    ensure!(shown.sha256 == sha256(body.as_bytes()), "ext_authz was shown another body");
    ensure!(shown.cell == CELL, "ext_authz was shown x-cell: {:?}", shown.cell);
    Ok(observed)
}

async fn denied(scene: Scene<'_>) -> Result<Observed> {
    let body = scene.body();
    let request = scene.json().header(DENY, "1");
    let mut upload = scene.begin_with(scene.mode.http1(), request, &body).await;
    upload.send(&body.as_bytes()[FIRST..]).await;
    scene.observe(upload.finish().await, body.as_bytes()).await
}

/// Sends chunked bodies with late keys at the same time, each in several writes.
async fn many(scene: Scene<'_>, from: u32) -> Result<Observed> {
    let stack = scene.stack();
    if minor_version(&scene).await? < from {
        return Ok(Observed::text(NOT_RUN));
    }
    let mut whole = 0;
    for round in 0..ROUNDS {
        let mut read = bytes_read(stack).await;
        let mut uploads = Vec::new();
        for number in 0..AT_ONCE {
            let size = 100_000 + 100 * number + round;
            let body = if scene.mode == Mode::Peek { key_first("acme", size) } else { key_last("acme", size) };
            let request = Request::post(&scene.path).header("content-type", "application/json");
            let wire = request.pieces([body.clone()]).to_http1();
            let (first, rest) = (wire.slice(..WRITE), wire.slice(WRITE..));
            let mut client = stack.connect().await;
            client.write(&first).await?;
            read += first.len();
            uploads.push((client, rest, body));
        }
        // The filter has deferred every request before the rest arrives.
        read_by_envoy(stack, read).await;
        let sent: Vec<_> = uploads
            .into_iter()
            .map(|(mut client, rest, body)| {
                tokio::spawn(async move {
                    for part in rest.chunks(REST) {
                        client.write(part).await?;
                    }
                    let answer = client.response("POST").await?;
                    let is_whole = answer.served_by() == Some(CELL) && answer.sha256() == sha256(body.as_bytes());
                    anyhow::Ok(is_whole)
                })
            })
            .collect();
        for sent in sent {
            whole += usize::from(sent.await??);
        }
    }
    Ok(Observed::text(format!("{whole} of {} whole", AT_ONCE * ROUNDS)))
}

/// The minor version of the Envoy under test.
pub(super) async fn minor_version(scene: &Scene<'_>) -> Result<u32> {
    let version = scene.stack().admin().version().await?;
    Ok(version.split('.').nth(1).context("no minor version")?.parse()?)
}
