//! A body that is longer or shorter than its Content-Length.

use anyhow::Result;

use super::Topic;
use crate::case::{Case, Mode, run};
use crate::observed::Observed;
use crate::rule::Rule;
use crate::scene::{FIRST, Scene};
use crate::upload::{Framing, Upload};

const SHORT: &str = r#"{"tenant":{"id":"acme"}}"#;

pub(super) fn topic() -> Topic {
    let mut cases = Vec::new();
    for mode in [Mode::Hold, Mode::Streamed, Mode::Buffered] {
        let event = "HTTP/2: more bytes than the Content-Length";
        cases.push(Case::new(mode, "longer", "body", event, Rule::NotWhole, run!(longer)));
    }
    for mode in [Mode::Hold, Mode::Streamed, Mode::Buffered] {
        let event = "HTTP/2: END_STREAM before the Content-Length";
        cases.push(Case::new(mode, "shorter", "end", event, Rule::NotWhole, run!(shorter, SHORT.len() + 1)));
    }
    let event = "HTTP/2: END_STREAM long before the Content-Length";
    cases.push(Case::new(Mode::Peek, "shorter", "end", event, Rule::NotWhole, run!(shorter, 100_000)));
    for mode in [Mode::Hold, Mode::Deferred, Mode::Streamed, Mode::Buffered] {
        let event = "HTTP/1.1: the client closes its side in the body";
        cases.push(Case::new(mode, "half-closed", "body", event, Rule::NoCell, run!(half_closed)));
    }
    let event = "HTTP/1.1: the client closes its side in the body";
    cases.push(Case::new(Mode::Peek, "half-closed", "body released", event, Rule::NotWhole, run!(half_closed)));
    for mode in [Mode::Hold, Mode::Streamed] {
        let event = "HTTP/1.1: Content-Length and chunked";
        cases.push(Case::new(mode, "two-framings", "head", event, Rule::NoCell, run!(two_framings)));
    }
    for mode in [Mode::Hold, Mode::Streamed, Mode::Buffered] {
        let rule = Rule::Refused(400, "body_absent");
        cases.push(Case::new(mode, "length-zero", "head", "Content-Length: 0", rule, run!(length_zero)));
    }
    Topic { title: "Lengths", text: "The body is not as long as its head says.", cases }
}

async fn longer(scene: Scene<'_>) -> Result<Observed> {
    let mut upload = scene.open(Framing::Http2, SHORT.len()).await;
    scene.send(&mut upload, SHORT.as_bytes()).await;
    decided(&scene).await?;
    upload.send(b" ").await;
    scene.observe(upload.finish().await, SHORT.as_bytes()).await
}

async fn shorter(scene: Scene<'_>, length: usize) -> Result<Observed> {
    let mut upload = scene.open(Framing::Http2, length).await;
    scene.send(&mut upload, SHORT.as_bytes()).await;
    decided(&scene).await?;
    scene.observe(upload.finish().await, SHORT.as_bytes()).await
}

/// Waits until a body with its key is at the cell, unless it is held to its end.
async fn decided(scene: &Scene<'_>) -> Result<()> {
    match scene.mode {
        Mode::Hold => Ok(()),
        Mode::Buffered => scene.service_has(1.0).await,
        _ => scene.arrived().await,
    }
}

async fn half_closed(scene: Scene<'_>) -> Result<Observed> {
    let body = scene.body();
    let mut upload = scene.begin(scene.mode.http1(), &body).await;
    match scene.mode {
        Mode::Peek => scene.arrived().await?,
        Mode::Deferred | Mode::Streamed => scene.service_has(1.0).await?,
        _ => (),
    }
    if let Upload::Http1 { client, .. } = &mut upload {
        client.finish_writing().await?;
    }
    scene.send(&mut upload, b"").await;
    scene.observe(upload.response().await, &body.as_bytes()[..FIRST]).await
}

async fn two_framings(scene: Scene<'_>) -> Result<Observed> {
    let request = scene.json().header("transfer-encoding", "chunked").body(SHORT);
    let mut client = scene.stack().connect().await;
    client.write(request.to_http1()).await?;
    scene.observe_unlogged(client.response("POST").await, SHORT.as_bytes()).await
}

async fn length_zero(scene: Scene<'_>) -> Result<Observed> {
    let upload = scene.open(Framing::Http1, 0).await;
    scene.observe(upload.finish().await, b"").await
}
