//! Bodies that are cut in unusual ways: parts, empty frames, trailers.

use anyhow::{Result, ensure};

use super::Topic;
use crate::case::{Case, Mode, run};
use crate::observed::Observed;
use crate::rule::Rule;
use crate::scene::{CELL, FIRST, Scene};
use crate::upload::{Framing, Upload};

const EVERY_MODE: [Mode; 5] = [Mode::Hold, Mode::Peek, Mode::Deferred, Mode::Streamed, Mode::Buffered];

/// The modes in which nothing of a body need come before the decision.
const NO_BODY: [Mode; 3] = [Mode::Hold, Mode::Streamed, Mode::Buffered];

pub(super) fn topic() -> Topic {
    let whole = Rule::Whole(CELL);
    let absent = Rule::Refused(400, "body_absent");
    let mut cases = Vec::new();
    for mode in EVERY_MODE {
        cases.push(Case::new(mode, "two-parts", "body", "arrives in two reads", whole, run!(two_parts)));
    }
    for mode in EVERY_MODE {
        let event = "0-byte DATA frames in it and at its end";
        cases.push(Case::new(mode, "empty-frames", "body", event, whole, run!(empty_frames)));
    }
    for mode in EVERY_MODE {
        cases.push(Case::new(mode, "trailers", "end", "trailers end the body", whole, run!(trailers)));
    }
    for mode in NO_BODY {
        cases.push(Case::new(mode, "empty-end", "end", "the body is one 0-byte frame", absent, run!(empty_end)));
    }
    for mode in NO_BODY {
        cases.push(Case::new(mode, "trailers-only", "end", "trailers without a body", absent, run!(trailers_only)));
    }
    Topic { title: "Frames and trailers", text: "The body is complete, but its frames or its end are unusual.", cases }
}

async fn two_parts(scene: Scene<'_>) -> Result<Observed> {
    let body = scene.body();
    scene.in_two_parts(scene.mode.http1(), &body).await
}

async fn empty_frames(scene: Scene<'_>) -> Result<Observed> {
    let body = scene.body();
    let mut upload = scene.begin(scene.mode.http2(), &body).await;
    let stream = stream(&mut upload);
    stream.data("").await?;
    // Envoy closes a connection with two of them in a row.
    stream.data(body.as_bytes()[FIRST..].to_vec()).await?;
    scene.observe(upload.finish().await, body.as_bytes()).await
}

async fn trailers(scene: Scene<'_>) -> Result<Observed> {
    let body = scene.body();
    let mut upload = scene.begin(scene.mode.http2(), &body).await;
    let stream = stream(&mut upload);
    stream.data(body.as_bytes()[FIRST..].to_vec()).await?;
    stream.trailers(&[("x-checksum", "abc"), ("x-cell", "cell-c")])?;
    let answer = upload.response().await;
    if let Ok(answer) = &answer {
        let received = answer.json()["trailers"].clone();
        ensure!(received == serde_json::json!([["x-checksum", "abc"]]), "the cell got the trailers {received}");
    }
    scene.observe(answer, body.as_bytes()).await
}

async fn empty_end(scene: Scene<'_>) -> Result<Observed> {
    let upload = scene.open(Framing::Http2Unsized, 0).await;
    scene.observe(upload.finish().await, b"").await
}

async fn trailers_only(scene: Scene<'_>) -> Result<Observed> {
    let mut upload = scene.open(Framing::Http2Unsized, 0).await;
    stream(&mut upload).trailers(&[("x-checksum", "abc")])?;
    scene.observe(upload.response().await, b"").await
}

/// # Panics
/// When the upload is not over HTTP/2.
fn stream(upload: &mut Upload) -> &mut cellgate_tests::client::Http2Stream {
    match upload {
        Upload::Http2 { stream, .. } => stream,
        Upload::Http1 { .. } => panic!("a case that controls frames needs HTTP/2"),
    }
}
