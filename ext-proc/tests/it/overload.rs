//! The byte budget: a stream beyond it waits, oldest first, and is shed only after the budget timeout.

use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::ImmediateResponse;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

use crate::peer::{Peer, cell, head};
use crate::raw::{body, connect, data, open};
use crate::support::{Service, until};

const DUPLEX: BodySendMode = BodySendMode::FullDuplexStreamed;
const BUFFERED: BodySendMode = BodySendMode::Buffered;
const KEY: &[u8] = br#"{"tenant":{"id":"acme"}}"#;

/// A budget for one upload of [`PAD`], and not for two.
const ROOM: u64 = 100_000;
const PAD: usize = 60_000;

/// A service with room for one upload.
async fn narrow(decision_timeout: Option<Duration>, budget_timeout: Option<Duration>) -> Service {
    Service::start_with(|settings| {
        settings.max_held_bytes = ROOM;
        settings.decision_timeout = decision_timeout.unwrap_or(settings.decision_timeout);
        settings.budget_timeout = budget_timeout.unwrap_or(settings.budget_timeout);
    })
    .await
}

/// An upload whose key is still to come.
async fn upload(service: &Service) -> Peer {
    let peer = Peer::post(service, DUPLEX).await;
    peer.body(&vec![b' '; PAD], false).await;
    peer
}

/// The rest of an [`upload`], and its answer.
async fn finish(peer: &mut Peer) {
    peer.body(KEY, true).await;
    assert_eq!(cell(&peer.change().await), "cell-b");
    let mut bytes = 0;
    loop {
        let (piece, end) = peer.piece().await;
        bytes += piece.len();
        if end {
            break;
        }
    }
    assert_eq!(bytes, PAD + KEY.len());
}

async fn held(service: &Service) -> u64 {
    service.metric("cellgate_held_bytes").await
}

async fn waiting(service: &Service, count: u64) {
    until("waiting", || async { service.metric("cellgate_budget_waiting_streams").await == count }).await;
}

fn assert_overloaded(answer: ImmediateResponse) {
    assert_eq!((answer.status.unwrap().code, answer.details.as_str()), (503, "cellgate_overloaded"));
    let headers = answer.headers.unwrap().set_headers;
    let retry = headers.iter().filter_map(|option| option.header.as_ref()).find(|header| header.key == "retry-after");
    assert_eq!(retry.unwrap().raw_value, b"1");
}

#[tokio::test]
async fn what_does_not_fit_waits_oldest_first() {
    let service = narrow(None, None).await;
    let mut first = upload(&service).await;
    until("the first is held", || async { held(&service).await >= PAD as u64 }).await;
    let mut others = Vec::new();
    for count in 1..=3 {
        others.push(upload(&service).await);
        waiting(&service, count).await;
    }
    // A large message waits while tonic assembles it, and nobody overtakes.
    let mut buffered = Peer::post(&service, BUFFERED).await;
    buffered.change().await;
    buffered.body(&[&[b' '; PAD][..], KEY].concat(), true).await;
    waiting(&service, 4).await;

    // Requests that hold nothing need no budget.
    let mut small = Peer::post(&service, DUPLEX).await;
    small.body(KEY, true).await;
    assert_eq!(cell(&small.change().await), "cell-b");
    small.piece().await;

    finish(&mut first).await;
    // Each could not go on before the one before it is done.
    for (left, other) in (1..=3).rev().zip(&mut others) {
        waiting(&service, left).await;
        finish(other).await;
    }
    assert_eq!(cell(&buffered.change().await), "cell-b");
    until("given back", || async { held(&service).await == 0 }).await;
    waiting(&service, 0).await;
    // One of them may have waited once more, for bytes that the one before it was still sending.
    assert!(service.metric("cellgate_budget_wait_seconds_count").await >= 4);
    let shed = r#"cellgate_decisions_total{outcome="reject",reason="overloaded",tier="service"}"#;
    assert_eq!(service.metric(shed).await, 0);
}

#[tokio::test]
async fn small_requests_do_not_wait_behind_large_ones() {
    const MB: usize = 1_000_000;
    let service = Service::start_with(|settings| settings.max_held_bytes = 16 << 20).await;
    let mut large = Peer::post(&service, DUPLEX).await;
    for sent in 1..=14 {
        large.body(&vec![b' '; MB], false).await;
        until("it is held", || async { held(&service).await >= sent * MB as u64 }).await;
    }
    let mut unknown = upload(&service).await;
    waiting(&service, 1).await;
    let length = (PAD + KEY.len()).to_string();
    let json = [("content-type", "application/json"), ("content-length", &length)];
    for _ in 0..20 {
        let mut small = Peer::open(&service).await;
        small.send(head(DUPLEX, &json, false)).await;
        small.body(&vec![b' '; PAD], false).await;
        until("it is held", || async { held(&service).await >= (14 * MB + PAD) as u64 }).await;
        finish(&mut small).await;
    }
    waiting(&service, 1).await;
    // The end of the large one has the key.
    large.body(KEY, true).await;
    assert_eq!(cell(&large.change().await), "cell-b");
    let mut bytes = 0;
    while bytes < 14 * MB + KEY.len() {
        bytes += large.piece().await.0.len();
    }
    finish(&mut unknown).await;
    until("given back", || async { held(&service).await == 0 }).await;
}

#[tokio::test]
async fn what_does_not_fit_in_time_gets_503() {
    let service = narrow(None, Some(Duration::from_millis(200))).await;
    let mut first = upload(&service).await;
    until("the first is held", || async { held(&service).await >= PAD as u64 }).await;
    // A large message, one chunk after the other, and a body that is one message.
    let mut second = upload(&service).await;
    assert_overloaded(second.immediate().await);
    let mut small_chunks = Peer::post(&service, DUPLEX).await;
    small_chunks.body(&[b' '; 10_000], false).await;
    assert_overloaded(small_chunks.immediate().await);
    let mut buffered = Peer::post(&service, BUFFERED).await;
    buffered.change().await;
    buffered.body(&[b' '; PAD], true).await;
    assert_overloaded(buffered.immediate().await);

    // They may come again.
    finish(&mut first).await;
    until("given back", || async { held(&service).await == 0 }).await;
    finish(&mut upload(&service).await).await;
    assert_eq!(service.metric("cellgate_budget_wait_seconds_count").await, 3);
}

#[tokio::test]
async fn without_a_budget_timeout_nothing_waits() {
    let service = narrow(None, Some(Duration::ZERO)).await;
    let _first = upload(&service).await;
    until("the first is held", || async { held(&service).await >= PAD as u64 }).await;
    assert_overloaded(upload(&service).await.immediate().await);
    assert_eq!(service.metric("cellgate_budget_wait_seconds_count").await, 0);
}

/// The first stalls until its decision deadline. The second has its whole time after that.
#[tokio::test]
async fn the_decision_deadline_does_not_run_while_a_stream_waits() {
    let service = narrow(Some(Duration::from_secs(3)), None).await;
    let mut stalled = upload(&service).await;
    until("the first is held", || async { held(&service).await >= PAD as u64 }).await;
    let mut second = upload(&service).await;
    let mut buffered = Peer::post(&service, BUFFERED).await;
    buffered.change().await;
    buffered.body(&[&[b' '; PAD][..], KEY].concat(), true).await;
    waiting(&service, 2).await;
    let answer = stalled.immediate().await;
    assert_eq!((answer.status.unwrap().code, answer.details.as_str()), (408, "cellgate_deadline_exceeded"));
    waiting(&service, 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    finish(&mut second).await;
    assert_eq!(cell(&buffered.change().await), "cell-b");
}

#[tokio::test]
async fn a_client_that_goes_away_gives_up_its_place() {
    let service = narrow(None, None).await;
    let mut first = upload(&service).await;
    until("the first is held", || async { held(&service).await >= PAD as u64 }).await;
    let gone = upload(&service).await;
    waiting(&service, 1).await;
    let mut third = upload(&service).await;
    waiting(&service, 2).await;
    drop(gone);
    waiting(&service, 1).await;
    finish(&mut first).await;
    finish(&mut third).await;
    // A client that holds bytes gives them back.
    let first = upload(&service).await;
    until("held", || async { held(&service).await >= PAD as u64 }).await;
    let mut second = upload(&service).await;
    waiting(&service, 1).await;
    drop(first);
    finish(&mut second).await;
}

#[tokio::test]
async fn a_stream_that_waits_ends_in_the_drain() {
    let service = narrow(None, None).await;
    let mut first = upload(&service).await;
    until("the first is held", || async { held(&service).await >= PAD as u64 }).await;
    let mut second = upload(&service).await;
    waiting(&service, 1).await;
    service.stop();
    until("not ready", || async { service.get("/readyz").await.0 == 503 }).await;
    finish(&mut first).await;
    finish(&mut second).await;
    drop((first, second));
    service.ended().await.unwrap();

    let service = Service::start_with(|settings| {
        settings.max_held_bytes = ROOM;
        settings.drain_timeout = Duration::from_millis(100);
    })
    .await;
    let mut first = upload(&service).await;
    until("the first is held", || async { held(&service).await >= PAD as u64 }).await;
    let mut second = upload(&service).await;
    waiting(&service, 1).await;
    service.stop();
    assert_eq!(first.status().await.code(), tonic::Code::Unavailable);
    assert_eq!(second.status().await.code(), tonic::Code::Unavailable);
    service.ended().await.unwrap();
}

/// Six times as much as the budget, in both modes, on a few connections: Envoy has one for each of its workers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_uploads_at_once_all_arrive() {
    const UPLOADS: usize = 64;
    const SIZE: usize = 1_000_000;
    const CHUNK: usize = 40_000;
    let service = Service::start_with(|settings| settings.max_held_bytes = 10 << 20).await;
    let mut connections = Vec::new();
    for _ in 0..4 {
        let endpoint = Endpoint::from_shared(format!("http://{}", service.grpc)).unwrap();
        connections.push(endpoint.connect().await.unwrap());
    }
    let mut uploads = JoinSet::new();
    for number in 0..UPLOADS {
        let mode = if number % 3 == 0 { BUFFERED } else { DUPLEX };
        uploads.spawn(large_upload(connections[number % 4].clone(), mode, SIZE, CHUNK));
    }
    while let Some(uploaded) = uploads.join_next().await {
        uploaded.unwrap();
    }
    until("given back", || async { held(&service).await == 0 }).await;
    assert!(service.metric("cellgate_budget_wait_seconds_count").await > 0, "nothing waited");
}

/// Sends a body with the key last, and reads it back.
async fn large_upload(connection: Channel, mode: BodySendMode, size: usize, chunk: usize) {
    let length = (size + KEY.len()).to_string();
    let fields = [("content-type", "application/json"), ("content-length", &length)];
    let mut peer = Peer::over(connection).await;
    peer.send(head(mode, &fields, false)).await;
    if mode == BUFFERED {
        peer.change().await;
        peer.body(&[&vec![b' '; size][..], KEY].concat(), true).await;
        assert_eq!(cell(&peer.change().await), "cell-b");
        return;
    }
    let (sender, mut back) = (peer.sender(), 0);
    let sending = tokio::spawn(async move {
        for _ in 0..size / chunk {
            sender.body(&vec![b' '; chunk], false).await;
        }
        sender.body(KEY, true).await;
    });
    loop {
        match peer.response().await {
            Response::RequestHeaders(_) => {}
            Response::RequestBody(body) => {
                let (piece, end) = Peer::piece_of(body);
                back += piece.len();
                if end {
                    break;
                }
            }
            other => panic!("{other:?}"),
        }
    }
    sending.await.unwrap();
    assert_eq!(back, size + KEY.len());
}

/// tonic puts a message together before it hands it over. That takes room too.
#[tokio::test]
async fn a_message_that_can_never_fit_gets_503_at_once() {
    let service = narrow(None, None).await;
    for mode in [BUFFERED, DUPLEX] {
        let mut peer = Peer::post(&service, mode).await;
        if mode == BUFFERED {
            peer.change().await;
        }
        peer.body(&vec![b' '; 200_000], true).await;
        assert_overloaded(peer.immediate().await);
        assert!(peer.next().await.unwrap().is_none());
        let mut fits = Peer::post(&service, mode).await;
        if mode == BUFFERED {
            fits.change().await;
        }
        fits.body(KEY, true).await;
        assert_eq!(cell(&fits.change().await), "cell-b");
    }
    until("given back", || async { held(&service).await == 0 }).await;
    assert_eq!(service.metric("cellgate_budget_wait_seconds_count").await, 0);
}

#[tokio::test]
async fn half_a_message_is_counted_until_its_stream_is_over() {
    let service = Service::start().await;
    let mut connection = connect(service.grpc, &[]).await;
    let message = data(1, &body(&[b' '; 100_000], true));
    let half = &message[..4 * (9 + 16_384)];
    connection
        .write_all(
            &[open(1), data(1, &head(BUFFERED, &[("content-type", "application/json")], false)), half.to_vec()]
                .concat(),
        )
        .await
        .unwrap();
    until("counted", || async { service.metric("cellgate_held_bytes").await == 4 * 16_384 }).await;
    drop(connection);
    until("given back", || async { service.metric("cellgate_held_bytes").await == 0 }).await;
}

/// A part of a zstd frame (RFC 8878, 3.1.1): the header if it is the first, the text, and so many blocks of 128 KiB of spaces.
fn zstd(is_first: bool, text: &[u8], spaces: usize, is_last: bool) -> Vec<u8> {
    let block = |kind: u32, size: usize, content: &[u8], is_last: bool| {
        let header = u32::try_from(size).unwrap() << 3 | kind << 1 | u32::from(is_last);
        [&header.to_le_bytes()[..3], content].concat()
    };
    // A window of 8 MiB, and neither a length nor a checksum.
    let mut part = if is_first { vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x68] } else { Vec::new() };
    part.extend(block(0, text.len(), text, is_last));
    for _ in 0..spaces {
        // The spaces, and a block as it is, so that the ratio is allowed.
        part.extend(block(1, 128 << 10, b" ", false));
        part.extend(block(0, 1500, &[b' '; 1500], false));
    }
    part
}

async fn zstd_upload(service: &Service) -> Peer {
    let peer = Peer::open(service).await;
    let fields = [("content-type", "application/json"), ("content-encoding", "zstd")];
    peer.send(head(DUPLEX, &fields, false)).await;
    peer
}

/// The memory of a decoder is known when it has decoded a chunk, so a stream that waits for it already has it. Many such
/// streams would exceed the budget by far.
#[tokio::test]
async fn a_decoder_waits_for_the_budget_only_while_it_is_small() {
    let service = Service::start_with(|settings| settings.max_held_bytes = 10 << 20).await;
    let mut first = upload(&service).await;
    until("the first is held", || async { held(&service).await >= PAD as u64 }).await;
    let mut large = zstd_upload(&service).await;
    large.body(&zstd(true, b"{", 8, false), false).await;
    assert_overloaded(large.immediate().await);
    assert_eq!(service.metric("cellgate_budget_wait_seconds_count").await, 0);
    let mut small = zstd_upload(&service).await;
    small.body(&zstd(true, b" ", 1, false), false).await;
    waiting(&service, 1).await;
    finish(&mut first).await;
    small.body(&zstd(false, KEY, 0, true), true).await;
    assert_eq!(cell(&small.change().await), "cell-b");
}

/// A decided request has no deadline. Clients that stop behind their key would keep the windows of their decoders for as long
/// as they like, and nobody else would have room.
#[tokio::test]
async fn a_large_decoder_behind_the_decision_gives_way_to_those_that_wait() {
    let service = Service::start_with(|settings| {
        settings.max_held_bytes = 10 << 20;
        settings.decision_timeout = Duration::from_secs(2);
    })
    .await;
    let mut slow = zstd_upload(&service).await;
    slow.body(&zstd(true, br#"{"tenant":{"id":"acme"},"x":1"#, 8, false), false).await;
    assert_eq!(cell(&slow.change().await), "cell-b");
    slow.piece().await;
    for _ in 0..7 {
        slow.body(&zstd(false, b" ", 8, false), false).await;
        slow.piece().await;
    }
    until("the window is held", || async { held(&service).await > 7 << 20 }).await;
    // Nobody waits.
    tokio::time::sleep(Duration::from_secs(3)).await;
    slow.body(&zstd(false, b" ", 0, false), false).await;
    slow.piece().await;

    let mut other = Peer::post(&service, DUPLEX).await;
    for _ in 0..60 {
        other.body(&[b' '; PAD], false).await;
    }
    assert_overloaded(slow.immediate().await);
    other.body(KEY, true).await;
    assert_eq!(cell(&other.change().await), "cell-b");
}
