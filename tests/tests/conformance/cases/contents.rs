//! A body that is refused for its contents, before and after its release.

use anyhow::Result;

use super::Topic;
use crate::case::{Case, Mode, run};
use crate::observed::Observed;
use crate::rule::Rule;
use crate::scene::Scene;

/// The modes that release a body before its end.
const RELEASING: [Mode; 3] = [Mode::Peek, Mode::Deferred, Mode::Streamed];

/// The modes that know the whole body when they decide.
const HOLDING: [Mode; 2] = [Mode::Hold, Mode::Buffered];

/// The modes that read a body without a key to its end.
const READING: [Mode; 4] = [Mode::Hold, Mode::Deferred, Mode::Streamed, Mode::Buffered];

const SECOND_KEY: &str = r#","tenant":{"id":"globex"}}"#;

pub(super) fn topic() -> Topic {
    let duplicated = Rule::Refused(400, "key_duplicated");
    let mut cases = Vec::new();
    for mode in RELEASING {
        let (event, rule) = ("a second key", Rule::NotWhole);
        cases.push(Case::new(mode, "second-key", "body released", event, rule, run!(late, SECOND_KEY)));
    }
    for mode in HOLDING {
        cases.push(Case::new(mode, "second-key", "body", "a second key", duplicated, run!(ends_with, SECOND_KEY)));
    }
    for mode in RELEASING {
        let event = "it stops being JSON";
        cases.push(Case::new(mode, "malformed", "body released", event, Rule::NotWhole, run!(late, "]")));
    }
    for mode in HOLDING {
        let rule = Rule::Refused(400, "body_malformed");
        cases.push(Case::new(mode, "malformed", "body", "it stops being JSON", rule, run!(ends_with, "]")));
    }
    for mode in RELEASING {
        let event = "it ends within a document";
        cases.push(Case::new(mode, "truncated", "body released", event, Rule::NotWhole, run!(late, ",")));
    }
    for mode in READING {
        let rule = Rule::Refused(400, "body_truncated");
        cases.push(Case::new(mode, "cut-off", "body", "it ends before its key", rule, run!(cut_off)));
    }
    for mode in READING {
        let rule = Rule::Refused(400, "key_missing");
        cases.push(Case::new(mode, "keyless", "body", "it has no key", rule, run!(keyless)));
    }
    Topic {
        title: "Contents",
        text: "The body names no tenant or two, or is not valid JSON. If it was released before its fault, \
            Cellgate ends the request, so the cell never has all of it.",
        cases,
    }
}

/// Sends a body with `end` in place of its last brace, after the release of its beginning.
async fn late(scene: Scene<'_>, end: &str) -> Result<Observed> {
    let body = scene.early();
    let (mut upload, sent) = released(&scene, &body).await?;
    let rest = format!("{}{end}", &body[sent..body.len() - 1]);
    upload.send(rest.as_bytes()).await;
    scene.observe(upload.finish().await, body.as_bytes()).await
}

/// Sends the first half of a body with an early key, and waits until it is at the cell.
pub(super) async fn released(scene: &Scene<'_>, body: &str) -> Result<(crate::upload::Upload, usize)> {
    let sent = body.len() / 2;
    let mut upload = scene.open(scene.mode.http2(), body.len()).await;
    upload.send(&body.as_bytes()[..sent]).await;
    scene.arrived().await?;
    Ok((upload, sent))
}

async fn ends_with(scene: Scene<'_>, end: &str) -> Result<Observed> {
    let body = scene.body();
    let body = format!("{}{end}", &body[..body.len() - 1]);
    scene.in_two_parts(scene.mode.http1(), &body).await
}

async fn cut_off(scene: Scene<'_>) -> Result<Observed> {
    let body = scene.body();
    scene.in_two_parts(scene.mode.http1(), &body[..body.len() - 30]).await
}

async fn keyless(scene: Scene<'_>) -> Result<Observed> {
    let body = scene.body().replace("tenant", "person");
    scene.in_two_parts(scene.mode.http1(), &body).await
}
