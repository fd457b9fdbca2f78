//! The byte budget: beyond it requests are answered, not queued.

use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;

use crate::peer::{Peer, cell};
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
    let mut third = Peer::post(&service, DUPLEX).await;
    third.body(&pad, false).await;
    third.body(br#"{"tenant":{"id":"acme"}}"#, true).await;
    assert_eq!(cell(&third.change().await), "cell-b");
}
