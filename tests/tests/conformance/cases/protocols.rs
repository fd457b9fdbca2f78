//! Parts of HTTP that a held body could break.

use anyhow::{Result, ensure};
use cellgate_tests::client::Request;

use super::Topic;
use crate::case::{Case, Mode, run};
use crate::observed::Observed;
use crate::rule::Rule;
use crate::scene::{CELL, Scene};

const EVERY_MODE: [Mode; 5] = [Mode::Hold, Mode::Peek, Mode::Deferred, Mode::Streamed, Mode::Buffered];

pub(super) fn topic() -> Topic {
    let mut cases = Vec::new();
    for mode in EVERY_MODE {
        let event = "the client waits for 100 Continue";
        cases.push(Case::new(mode, "continue", "head", event, Rule::Whole(CELL), run!(expect_continue)));
    }
    for mode in [Mode::Hold, Mode::Streamed, Mode::Buffered] {
        let event = "GET without a body, key in a header";
        cases.push(Case::new(mode, "get", "head", event, Rule::Whole(CELL), run!(get)));
    }
    let event = "a WebSocket, key in a header";
    cases.push(Case::new(Mode::Hold, "websocket", "head", event, Rule::Early(101, CELL), run!(websocket)));
    for mode in [Mode::Hold, Mode::Deferred] {
        let rule = Rule::Is("200; cell-b whole; then 200 from cell-c");
        let event = "HTTP/1.1: a second request follows in the same write";
        cases.push(Case::new(mode, "pipelined", "end", event, rule, run!(pipelined)));
    }
    Topic { title: "HTTP", text: "Requests whose head needs an answer of its own, or that share a connection.", cases }
}

async fn expect_continue(scene: Scene<'_>) -> Result<Observed> {
    let body = scene.body();
    let request = scene.json().header("expect", "100-continue");
    let request = match scene.mode {
        Mode::Hold | Mode::Buffered => request.body(body.clone()),
        _ => request.pieces([body.clone()]),
    };
    let mut client = scene.stack().connect().await;
    let head = request.http1_head();
    let length = head.len();
    client.write(head).await?;
    let interim = client.head().await?.status;
    ensure!(interim == 100, "the first response is {interim}");
    client.write(&request.to_http1()[length..]).await?;
    scene.observe(client.response("POST").await, body.as_bytes()).await
}

async fn get(scene: Scene<'_>) -> Result<Observed> {
    let request = Request::get(&scene.path).header("x-tenant-id", "acme");
    scene.observe(scene.stack().connect().await.send(&request).await, b"").await
}

async fn websocket(scene: Scene<'_>) -> Result<Observed> {
    let request = Request::get(&scene.path)
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("x-tenant-id", "acme");
    let mut client = scene.stack().connect().await;
    client.write(request.to_http1()).await?;
    let answer = client.response("GET").await;
    client.write("ping").await?;
    let echo = client.bytes(4).await?;
    drop(client);
    ensure!(echo == "ping", "the echo is {echo:?}");
    scene.observe(answer, b"").await
}

async fn pipelined(scene: Scene<'_>) -> Result<Observed> {
    let body = scene.body();
    let first = scene.json().body(body.clone());
    let second = Request::post("/second").json(body.replace("acme", "globex"));
    let mut client = scene.stack().connect().await;
    // Envoy stops reading when its buffer is full, so the responses must be read meanwhile.
    client.write([first.to_http1(), second.to_http1()].concat()).await?;
    let answer = client.response("POST").await;
    let next = client.response("POST").await?;
    let remark = format!("then {} from {}", next.status.as_u16(), next.served_by().unwrap_or("no cell"));
    Ok(scene.observe(answer, body.as_bytes()).await?.remark(remark))
}
