//! A service that crashes, restarts, freezes or drains in the middle of a request, with and without
//! `failure_mode_allow`.

use anyhow::{Result, ensure};
use cellgate_tests::process::Signal;
use cellgate_tests::wait;

use super::Topic;
use super::contents::released;
use crate::case::{Case, Mode, run};
use crate::observed::Observed;
use crate::rule::Rule;
use crate::scene::{CELL, FIRST, Scene};
use crate::setup::Setup;
use crate::upload::Upload;

const WAITING: [Mode; 3] = [Mode::Deferred, Mode::Streamed, Mode::Buffered];

/// Envoy's count of connections to the service that failed.
const NO_CONNECTION: &str = "cluster.ext-proc.upstream_cx_connect_fail";

const FAIL_OPEN: [(Mode, Setup); 3] = [
    (Mode::Deferred, Setup::FailOpen),
    (Mode::Streamed, Setup::FailOpenStreamed),
    (Mode::Buffered, Setup::FailOpenBuffered),
];

pub(super) fn topic() -> Topic {
    let mut cases = Vec::new();
    for mode in WAITING {
        cases.push(Case::new(
            mode,
            "killed-while-held",
            "body held",
            "the service is killed",
            Rule::NoCell,
            run!(killed),
        ));
    }
    for mode in [Mode::Deferred, Mode::Streamed] {
        let event = "the service is killed";
        cases.push(Case::new(mode, "killed-after-release", "body released", event, Rule::NotWhole, run!(killed_late)));
    }
    for mode in WAITING {
        let event = "the service restarts, then the rest arrives";
        cases.push(Case::new(mode, "restarted", "body held", event, Rule::NoCell, run!(restarted)));
    }
    for mode in WAITING {
        cases.push(Case::new(mode, "drained", "body held", "the service drains", Rule::Whole(CELL), run!(drained)));
    }
    for (mode, setup) in [(Mode::Streamed, Setup::FrozenStreamed), (Mode::Buffered, Setup::FrozenBuffered)] {
        let event = "the service freezes";
        cases.push(Case::new(mode, "frozen", "body held", event, Rule::NoCell, run!(frozen)).on(setup));
    }
    for (mode, setup) in FAIL_OPEN {
        let event = "the service is killed; `failure_mode_allow`";
        cases.push(Case::new(mode, "open-killed", "body held", event, Rule::NoCell, run!(killed)).on(setup));
    }
    for (mode, setup) in FAIL_OPEN {
        let event = "the service restarts, then the rest arrives; `failure_mode_allow`";
        cases.push(Case::new(mode, "open-restarted", "body held", event, Rule::NoCell, run!(restarted)).on(setup));
    }
    let event = "no service, and the client sends `x-cell`; `failure_mode_allow`";
    let (mode, setup) = FAIL_OPEN[0];
    cases.push(Case::new(mode, "open-spoofed", "head", event, Rule::NoCell, run!(spoofed)).on(setup));
    let rule = Rule::Early(200, "cell-c");
    for (mode, setup) in &FAIL_OPEN[1..] {
        cases.push(Case::new(*mode, "open-spoofed", "head", event, rule, run!(spoofed)).on(*setup));
    }
    Topic {
        title: "Failures of the service",
        text: "Never set `failure_mode_allow`. The last rows show why: without the filter, which strips \
            first, the client's own routing header chooses the cell. After each case a new request is routed.",
        cases,
    }
}

/// Sends half of a body and waits until the service has the request.
async fn held(scene: &Scene<'_>, body: &str) -> Result<Upload> {
    let upload = scene.begin(scene.mode.http1(), body).await;
    scene.service_has(1.0).await?;
    Ok(upload)
}

async fn killed(scene: Scene<'_>) -> Result<Observed> {
    let body = scene.body();
    let upload = held(&scene, &body).await?;
    scene.stack().ext_proc().kill();
    // With `failure_mode_allow`, Envoy may wait for the rest.
    let answer = finish(upload, &body).await;
    let observed = scene.observe(answer, body.as_bytes()).await?;
    scene.stack().ext_proc().restart().await?;
    routed(&scene).await?;
    Ok(observed)
}

async fn killed_late(scene: Scene<'_>) -> Result<Observed> {
    let body = scene.early();
    let (upload, _) = released(&scene, &body).await?;
    scene.stack().ext_proc().kill();
    let observed = scene.observe(upload.response().await, body.as_bytes()).await?;
    scene.stack().ext_proc().restart().await?;
    routed(&scene).await?;
    Ok(observed)
}

async fn restarted(scene: Scene<'_>) -> Result<Observed> {
    let body = scene.body();
    let upload = held(&scene, &body).await?;
    scene.stack().ext_proc().kill();
    scene.stack().ext_proc().restart().await?;
    let observed = scene.observe(finish(upload, &body).await, body.as_bytes()).await?;
    routed(&scene).await?;
    Ok(observed)
}

async fn drained(scene: Scene<'_>) -> Result<Observed> {
    let body = scene.body();
    let upload = held(&scene, &body).await?;
    let service = scene.stack().ext_proc();
    service.signal(Signal::TERM)?;
    let unready = || async { Ok((service.get("/readyz").await?.status == 503).then_some(())) };
    wait::until("the drain to begin", unready).await?;
    let observed = scene.observe(finish(upload, &body).await, body.as_bytes()).await?;
    let code = service.ended().await?;
    ensure!(code == Some(0), "the service ended with {code:?}");
    service.restart().await?;
    routed(&scene).await?;
    Ok(observed)
}

async fn frozen(scene: Scene<'_>) -> Result<Observed> {
    let body = scene.body();
    let upload = held(&scene, &body).await?;
    scene.stack().ext_proc().freeze().await?;
    let answer = finish(upload, &body).await;
    scene.stack().ext_proc().signal(Signal::CONT)?;
    let observed = scene.observe(answer, body.as_bytes()).await?;
    routed(&scene).await?;
    Ok(observed)
}

async fn spoofed(scene: Scene<'_>) -> Result<Observed> {
    let body = scene.body();
    scene.stack().ext_proc().kill();
    let request = scene.json().header("x-cell", "cell-c");
    let admin = scene.stack().admin();
    let failed = admin.stat(NO_CONNECTION).await?;
    let mut upload = Upload::open_with(scene.stack(), scene.mode.http1(), request, body.len()).await;
    if scene.mode != Mode::Deferred {
        // Once a part of a streamed body is on its way, Envoy does not fail open.
        admin.wait_for_stat(NO_CONNECTION, |count| count > failed).await;
    }
    upload.send(body.as_bytes()).await;
    let observed = scene.observe(upload.finish().await, body.as_bytes()).await?;
    scene.stack().ext_proc().restart().await?;
    Ok(observed)
}

/// Sends the rest of a body. An error of Envoy may come before it, so write errors do not count.
async fn finish(mut upload: Upload, body: &str) -> Result<cellgate_tests::client::Response> {
    upload.send(&body.as_bytes()[FIRST..]).await;
    upload.finish().await
}

/// Sends requests until the service decides again: Envoy connects to it anew.
async fn routed(scene: &Scene<'_>) -> Result<()> {
    let body = scene.body();
    let again = || async {
        let request = cellgate_tests::client::Request::post("/again").json(body.clone());
        let answer = scene.stack().connect().await.send(&request).await?;
        Ok((answer.served_by() == Some(CELL)).then_some(()))
    };
    wait::until("a request to be routed again", again).await
}
