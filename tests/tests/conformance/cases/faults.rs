//! Envoy's known faults on this path, by the number of the issue or of the change.

use anyhow::{Context, Result, bail, ensure};
use cellgate_tests::cell::Reading;
use cellgate_tests::sha256;
use cellgate_tests::stack::Stack;

use super::Topic;
use super::neighbours::minor_version;
use crate::case::{Case, Mode, run};
use crate::observed::Observed;
use crate::rule::Rule;
use crate::scene::{CELL, Scene};
use crate::setup::Setup;
use crate::support::{bytes_read, key_last, read_by_envoy};
use crate::upload::{Framing, Upload};

/// Bodies of each framing.
const BODIES: usize = 12;

/// The most that Envoy may allocate for one body that does not proceed. It takes about 18 MiB: HTTP/2's default window
/// of 16 MiB for the stream to the service, and the buffers beside it.
const MOST_MEMORY: u64 = 32 << 20;

const UPLOAD: usize = 100 << 20;

/// Envoy has stopped reading when so many looks in a row find no more bytes.
const CALM: usize = 100;

pub(super) fn topic() -> Topic {
    let all = Rule::Is("24 of 24 whole");
    let whole = Rule::Whole(CELL);
    let cases = vec![
        Case::new(Mode::Deferred, "46841", "body", "46841: a frame is lost after a late resume", all, run!(late_keys)),
        Case::new(Mode::Streamed, "46237", "end", "46237: the end of the body comes twice", all, run!(late_keys)),
        Case::new(
            Mode::Deferred,
            "41640",
            "body",
            "41640: no body behind a filter that paused",
            whole,
            run!(body_after_the_pause),
        ),
        Case::new(
            Mode::Streamed,
            "39514",
            "body released",
            "39514: memory of a body of 100 MiB whose upstream does not read",
            Rule::Is("less than 32 MiB"),
            run!(memory),
        )
        // Envoy keeps the request until a timeout, because it does not read.
        .on(Setup::SilentCell),
        Case::new(
            Mode::Streamed,
            "46095",
            "body",
            "46095: a body arrives twice when retries are on",
            whole,
            run!(with_retries),
        )
        .on(Setup::RetriesStreamed),
        Case::new(
            Mode::Streamed,
            "45617",
            "answer",
            "45617: the stream closes when the answer begins",
            Rule::IsOrNotRun("200; cell-b whole"),
            run!(answer_while_the_body_streams),
        ),
    ];
    Topic {
        title: "Envoy's faults",
        text: "Each case does what the issue or pull request of this number in Envoy's repository describes, and the \
            request is not harmed. The [table below](#faults) says which Envoys have the fault.",
        cases,
    }
}

/// Sends bodies of 1.5 MB with late keys over both protocols.
async fn late_keys(scene: Scene<'_>) -> Result<Observed> {
    let mut whole = 0;
    let errors = service_errors(&scene).await?;
    for number in 0..BODIES {
        for framing in [Framing::Http1Chunked, Framing::Http2Unsized] {
            let body = key_last("acme", 1_500_000 + number);
            let mut upload = scene.begin(framing, &body).await;
            upload.send(&body.as_bytes()[crate::scene::FIRST..]).await;
            let answer = upload.finish().await?;
            whole += usize::from(answer.served_by() == Some(CELL) && answer.sha256() == sha256(body.as_bytes()));
        }
    }
    let failed = service_errors(&scene).await? - errors;
    ensure!(failed == 0.0, "{failed} streams ended with an error");
    Ok(Observed::text(format!("{whole} of {} whole", 2 * BODIES)))
}

/// Streams that the service ended with an error.
async fn service_errors(scene: &Scene<'_>) -> Result<f64> {
    scene.stack().ext_proc().metric("cellgate_protocol_errors_total").await
}

/// The body begins long after the filter has paused the request at its head.
async fn body_after_the_pause(scene: Scene<'_>) -> Result<Observed> {
    let body = scene.body();
    let mut upload = scene.open(Framing::Http2Unsized, body.len()).await;
    scene.stack().admin().wait_for_stat("http.in.downstream_rq_active", |active| active > 0).await;
    let read = bytes_read(scene.stack()).await;
    upload.send(&body.as_bytes()[..1]).await;
    read_by_envoy(scene.stack(), read + 1).await;
    upload.send(&body.as_bytes()[1..]).await;
    scene.observe(upload.finish().await, body.as_bytes()).await
}

async fn memory(scene: Scene<'_>) -> Result<Observed> {
    let stack = scene.stack();
    let before = allocated(stack).await?;
    stack.cell(CELL).reading(Reading::Never);
    let body = crate::support::key_first("acme", UPLOAD);
    let mut upload = Upload::open(stack, Framing::Http1Chunked, &scene.path, body.len()).await;
    // Writes end when every buffer on the way is full.
    let sending = async { upload.send(body.as_bytes()).await };
    let most = tokio::select! {
        most = most_allocated(stack) => most?.saturating_sub(before),
        () = sending => bail!("100 MiB fitted into the buffers"),
    };
    ensure!(most < MOST_MEMORY, "Envoy allocated {most} bytes");
    Ok(Observed::text("less than 32 MiB"))
}

/// The most that Envoy has allocated until it has not read from its client for a while.
async fn most_allocated(stack: &Stack) -> Result<u64> {
    let (mut most, mut calm, mut read) = (0, 0, 0);
    while calm < CALM {
        let now = stack.admin().stat("http.in.downstream_cx_rx_bytes_total").await?;
        calm = if now == read { calm + 1 } else { 0 };
        read = now;
        most = most.max(allocated(stack).await?);
    }
    ensure!(read > 1 << 20, "Envoy has read only {read} bytes");
    Ok(most)
}

/// The bytes that Envoy has allocated now. The statistic of this name is seconds old.
async fn allocated(stack: &Stack) -> Result<u64> {
    let memory = stack.admin().get("/memory").await?.json();
    Ok(memory["allocated"].as_str().context("no memory")?.parse()?)
}

async fn with_retries(scene: Scene<'_>) -> Result<Observed> {
    let body = scene.body();
    scene.in_two_parts(Framing::Http1Chunked, &body).await
}

/// The cell answers each part of a gRPC call while the call goes on.
async fn answer_while_the_body_streams(scene: Scene<'_>) -> Result<Observed> {
    let minor = minor_version(&scene).await?;
    if minor == 37 || minor == 38 {
        return Ok(Observed::text(crate::observed::NOT_RUN));
    }
    let request = cellgate_tests::client::Request::post(&scene.path)
        .header("content-type", "application/grpc")
        .header("x-tenant-id", "acme");
    let client = scene.stack().connect_h2().await;
    let mut stream = client.open(&request).await?;
    let parts = [b"\0\0\0\0\x03one".as_slice(), b"\0\0\0\0\x03two", b"\0\0\0\0\x05three"];
    stream.data(parts[0]).await?;
    let (_, mut sink, mut source) = stream.duplex().await?;
    let mut echo = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            sink.send_data(bytes::Bytes::copy_from_slice(part), index + 1 == parts.len())?;
        }
        let expected: usize = parts[..=index].iter().map(|part| part.len()).sum();
        while echo.len() < expected {
            let data = cellgate_tests::wait::within("the echo", async { Ok(source.data().await) }).await?;
            let data = data.ok_or_else(|| anyhow::anyhow!("the call ended"))??;
            echo.extend_from_slice(&data);
        }
    }
    ensure!(echo == parts.concat(), "the echo is {echo:?}");
    scene.observe_gone(&parts.concat()).await.map(|observed| Observed {
        client: crate::observed::Client::Answered { status: 200, cell: CELL.to_owned() },
        ..observed
    })
}
