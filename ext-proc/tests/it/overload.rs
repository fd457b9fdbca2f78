//! The byte budget: beyond it requests are answered, not queued.

use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;

use tokio::io::AsyncWriteExt;

use crate::peer::{Peer, cell, head};
use crate::raw::{body, connect, data, open};
use crate::support::{Service, until};

const DUPLEX: BodySendMode = BodySendMode::FullDuplexStreamed;

#[tokio::test]
async fn what_does_not_fit_gets_503_and_may_come_again() {
    let service = Service::start_with(|settings| settings.max_held_bytes = 100_000).await;
    let held = || service.metric("cellgate_held_bytes");
    let pad = vec![b' '; 60_000];

    let first = Peer::post(&service, DUPLEX).await;
    first.body(&pad, false).await;
    until("the first is held", || async { held().await >= 60_000 }).await;

    let mut second = Peer::post(&service, DUPLEX).await;
    second.body(&pad, false).await;
    let answer = second.immediate().await;
    assert_eq!(answer.status.unwrap().code, 503);
    assert_eq!(answer.details, "cellgate_overloaded");
    let headers = answer.headers.unwrap().set_headers;
    let retry = headers.iter().filter_map(|option| option.header.as_ref()).find(|header| header.key == "retry-after");
    assert_eq!(retry.unwrap().raw_value, b"1");

    // A client that goes away gives its share back.
    drop(first);
    until("the first is gone", || async { held().await == 0 }).await;
    drop(second);
    until("the second is gone", || async { held().await == 0 }).await;
    let mut third = Peer::post(&service, DUPLEX).await;
    third.body(&pad, false).await;
    third.body(br#"{"tenant":{"id":"acme"}}"#, true).await;
    assert_eq!(cell(&third.change().await), "cell-b");
}

/// tonic puts a message together before it hands it over. That takes room too.
#[tokio::test]
async fn a_message_that_does_not_fit_gets_503() {
    let service = Service::start_with(|settings| settings.max_held_bytes = 100_000).await;
    for mode in [BodySendMode::Buffered, DUPLEX] {
        let mut peer = Peer::post(&service, mode).await;
        if mode == BodySendMode::Buffered {
            peer.change().await;
        }
        peer.body(&vec![b' '; 200_000], true).await;
        let answer = peer.immediate().await;
        assert_eq!(answer.status.unwrap().code, 503, "{mode:?}");
        assert_eq!(answer.details, "cellgate_overloaded");
        assert!(peer.next().await.unwrap().is_none());
        let mut fits = Peer::post(&service, mode).await;
        if mode == BodySendMode::Buffered {
            fits.change().await;
        }
        fits.body(br#"{"tenant":{"id":"acme"}}"#, true).await;
        assert_eq!(cell(&fits.change().await), "cell-b");
    }
    until("given back", || async { service.metric("cellgate_held_bytes").await == 0 }).await;
}

#[tokio::test]
async fn half_a_message_is_counted_until_its_stream_is_over() {
    let service = Service::start().await;
    let mut connection = connect(service.grpc, &[]).await;
    let message = data(1, &body(&[b' '; 100_000], true));
    let half = &message[..4 * (9 + 16_384)];
    connection
        .write_all(
            &[
                open(1),
                data(1, &head(BodySendMode::Buffered, &[("content-type", "application/json")], false)),
                half.to_vec(),
            ]
            .concat(),
        )
        .await
        .unwrap();
    until("counted", || async { service.metric("cellgate_held_bytes").await == 4 * 16_384 }).await;
    drop(connection);
    until("given back", || async { service.metric("cellgate_held_bytes").await == 0 }).await;
}
