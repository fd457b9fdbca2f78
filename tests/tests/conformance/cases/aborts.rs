//! A client that goes away.

use anyhow::Result;

use super::Topic;
use super::contents::released;
use crate::case::{Case, Mode, run};
use crate::observed::Observed;
use crate::rule::Rule;
use crate::scene::Scene;
use crate::upload::Upload;

pub(super) fn topic() -> Topic {
    let mut cases = Vec::new();
    let before = [Mode::Hold, Mode::Peek, Mode::Streamed, Mode::Buffered];
    for mode in before {
        let event = "HTTP/2: the client resets the stream";
        cases.push(Case::new(mode, "reset-before-body", "head", event, Rule::NoCell, run!(before_the_body)));
    }
    let held = [Mode::Hold, Mode::Deferred, Mode::Streamed, Mode::Buffered];
    for mode in held {
        let event = "HTTP/2: the client resets the stream";
        cases.push(Case::new(mode, "reset-while-held", "body held", event, Rule::NoCell, run!(while_held, true)));
    }
    for mode in held {
        let event = "HTTP/1.1: the client resets the connection";
        cases.push(Case::new(mode, "connection-reset", "body held", event, Rule::NoCell, run!(while_held, false)));
    }
    for mode in [Mode::Peek, Mode::Deferred, Mode::Streamed] {
        let event = "HTTP/2: the client resets the stream";
        cases.push(Case::new(mode, "reset-after-release", "body released", event, Rule::NotWhole, run!(after_release)));
    }
    Topic { title: "Clients that go away", text: "After each of these cases the service has no stream left.", cases }
}

async fn before_the_body(scene: Scene<'_>) -> Result<Observed> {
    let upload = scene.open(scene.mode.http2(), 20_000).await;
    is_active(&scene).await;
    if matches!(scene.mode, Mode::Streamed | Mode::Buffered) {
        scene.service_has(1.0).await?;
    }
    abort(&scene, upload).await
}

async fn while_held(scene: Scene<'_>, http2: bool) -> Result<Observed> {
    let body = scene.body();
    let framing = if http2 { scene.mode.http2() } else { scene.mode.http1() };
    let upload = scene.begin(framing, &body).await;
    if scene.mode != Mode::Hold {
        scene.service_has(1.0).await?;
    }
    abort(&scene, upload).await
}

async fn after_release(scene: Scene<'_>) -> Result<Observed> {
    let body = scene.early();
    let (upload, _) = released(&scene, &body).await?;
    abort(&scene, upload).await
}

async fn is_active(scene: &Scene<'_>) {
    scene.stack().admin().wait_for_stat("http.in.downstream_rq_active", |active| active > 0).await;
}

async fn abort(scene: &Scene<'_>, upload: Upload) -> Result<Observed> {
    match upload {
        Upload::Http1 { client, .. } => client.reset()?,
        // The connection must outlive its stream.
        Upload::Http2 { stream, _client } => {
            stream.reset();
            scene.access_line().await?;
        }
    }
    let observed = scene.observe_gone(b"").await?;
    scene.service_has(0.0).await?;
    Ok(observed)
}
