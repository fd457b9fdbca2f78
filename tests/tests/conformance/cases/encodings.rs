//! Bodies with a Content-Encoding that the configuration lists.

use anyhow::Result;

use super::Topic;
use super::neighbours::gzip;
use crate::case::{Case, Mode, Run, run};
use crate::observed::Observed;
use crate::rule::Rule;
use crate::scene::{CELL, Scene};
use crate::setup::Setup;
use crate::support::{key_first, key_last};

/// One frame: `{"tenant":{"id":"acme"}}`.
const ZSTD: &[u8] = b"(\xb5/\xfd \x18\xc1\x00\x00{\"tenant\":{\"id\":\"acme\"}}";

pub(super) fn topic() -> Topic {
    let whole = Rule::Whole(CELL);
    let malformed = Rule::Refused(400, "body_encoding_malformed");
    let several = Rule::Refused(400, "body_several_members");
    let (filter, service) = (Setup::Encodings, Setup::EncodingsStreamed);
    let case = |mode, name: &str, event, rule, run: Run| Case::new(mode, name, "body", event, rule, run);
    let cases = vec![
        case(Mode::Hold, "gzip", "gzip", whole, run!(good_gzip)).on(filter),
        case(Mode::Streamed, "gzip", "gzip", whole, run!(good_gzip)).on(service),
        case(Mode::Deferred, "zstd", "zstd, which only the service decodes", whole, run!(zstd)).on(filter),
        case(Mode::Streamed, "zstd", "zstd", whole, run!(zstd)).on(service),
        case(Mode::Hold, "not-gzip", "says gzip and is plain JSON", malformed, run!(plain_as_gzip)).on(filter),
        case(Mode::Streamed, "not-gzip", "says gzip and is plain JSON", malformed, run!(plain_as_gzip)).on(service),
        case(Mode::Hold, "two-members", "two gzip members, with two keys", several, run!(two_members)).on(filter),
        case(Mode::Streamed, "two-members", "two gzip members, with two keys", several, run!(two_members)).on(service),
        case(Mode::Hold, "cut-gzip", "gzip that is cut off", malformed, run!(cut_gzip)).on(filter),
        case(Mode::Streamed, "cut-gzip", "gzip that is cut off", Rule::NotWhole, run!(cut_gzip)).on(service),
    ];
    Topic {
        title: "Encoded bodies",
        text: "`content_encodings` lists the encodings. The cell gets the encoded bytes.",
        cases,
    }
}

async fn send(scene: Scene<'_>, encoding: &str, body: Vec<u8>) -> Result<Observed> {
    let request = scene.json().header("content-encoding", encoding).body(body.clone());
    scene.observe(scene.stack().connect().await.send(&request).await, &body).await
}

async fn good_gzip(scene: Scene<'_>) -> Result<Observed> {
    let body = gzip(&key_last("acme", 20_000))?;
    send(scene, "gzip", body).await
}

async fn zstd(scene: Scene<'_>) -> Result<Observed> {
    send(scene, "zstd", ZSTD.to_vec()).await
}

async fn plain_as_gzip(scene: Scene<'_>) -> Result<Observed> {
    let body = key_first("acme", 1000);
    send(scene, "gzip", body.into_bytes()).await
}

async fn two_members(scene: Scene<'_>) -> Result<Observed> {
    let body = [gzip(&key_first("acme", 1000))?, gzip(&key_first("globex", 1000))?].concat();
    send(scene, "gzip", body).await
}

async fn cut_gzip(scene: Scene<'_>) -> Result<Observed> {
    let mut body = gzip(&key_last("acme", 20_000))?;
    body.truncate(body.len() - 4);
    send(scene, "gzip", body).await
}
