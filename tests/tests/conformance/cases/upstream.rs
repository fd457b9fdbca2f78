//! A cell that answers early, fails or goes away.

use anyhow::Result;
use cellgate_tests::cell::Reading;
use http::StatusCode;

use super::Topic;
use super::contents::released;
use crate::case::{Case, Mode, run};
use crate::observed::Observed;
use crate::rule::Rule;
use crate::scene::{CELL, Scene};
use crate::setup::Setup;

const RELEASING: [Mode; 3] = [Mode::Peek, Mode::Deferred, Mode::Streamed];

pub(super) fn topic() -> Topic {
    let mut cases = Vec::new();
    for mode in RELEASING {
        let event = "the cell answers before it has read the body";
        let rule = Rule::Early(200, CELL);
        cases.push(Case::new(mode, "early-answer", "body released", event, rule, run!(early_answer)));
    }
    for mode in RELEASING {
        let event = "the cell closes the connection";
        let case = Case::new(mode, "cell-gone", "body released", event, Rule::NotWhole, run!(cell_gone));
        cases.push(if mode == Mode::Streamed { case } else { case.on(Setup::MortalCells) });
    }
    for (mode, setup) in
        [(Mode::Hold, Setup::Retries), (Mode::Deferred, Setup::Retries), (Mode::Streamed, Setup::RetriesStreamed)]
    {
        let event = "the cell answers 503, and Envoy retries once";
        cases.push(Case::new(mode, "retried", "answer", event, Rule::Whole(CELL), run!(retried)).on(setup));
    }
    Topic {
        title: "Upstreams",
        text: "The cell answers early, closes the connection, or fails. A retry has the same cell and the same body.",
        cases,
    }
}

async fn early_answer(scene: Scene<'_>) -> Result<Observed> {
    let body = scene.early();
    scene.stack().cell(CELL).reading(Reading::Early);
    let (upload, _) = released(&scene, &body).await?;
    let answer = upload.response().await;
    scene.stack().cell(CELL).reading(Reading::Whole);
    scene.observe(answer, body.as_bytes()).await
}

/// The cell stays away, so this tenant is of no other case on this setup.
async fn cell_gone(scene: Scene<'_>) -> Result<Observed> {
    let tenant = match scene.mode {
        Mode::Deferred => "initech",
        _ => "globex",
    };
    let cell = if tenant == "initech" { "cell-a" } else { "cell-c" };
    let body = scene.early().replace("acme", tenant);
    let (upload, _) = released(&scene, &body).await?;
    scene.stack().cell(cell).kill();
    scene.observe(upload.response().await, body.as_bytes()).await
}

async fn retried(scene: Scene<'_>) -> Result<Observed> {
    let body = scene.body();
    scene.stack().cell(CELL).fail_next(1, StatusCode::SERVICE_UNAVAILABLE);
    scene.in_two_parts(scene.mode.http1(), &body).await
}
