//! Many clients share Envoy's one connection: what one of them cancels must not end the others' requests.

use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use tokio::io::AsyncWriteExt;

use crate::peer::head;
use crate::raw::{CANCEL, DATA, END_STREAM, GOAWAY, PING, RST_STREAM, body, connect, data, frame, next, next_of, open};
use crate::support::{Service, until};

const DUPLEX: BodySendMode = BodySendMode::FullDuplexStreamed;
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

#[tokio::test]
async fn a_thousand_at_once_leave_a_held_request_alone() {
    let service = Service::start().await;
    let mut connection = connect(service.grpc, &[]).await;
    let mut begin = open(1);
    begin.extend(data(1, &head(DUPLEX, &JSON, false)));
    begin.extend(data(1, &body(b"{\"x\":1,", false)));
    connection.write_all(&begin).await.unwrap();
    until("held", || async { service.metric("cellgate_held_bytes").await > 0 }).await;

    let mut resets = Vec::new();
    for stream in (3..2003).step_by(2) {
        resets.extend(open(stream));
        resets.extend(frame(RST_STREAM, 0, stream, &CANCEL));
    }
    resets.extend(data(1, &body(b"\"tenant\":{\"id\":\"acme\"}}", true)));
    connection.write_all(&resets).await.unwrap();
    while next_of(&mut connection, 1).await.kind != DATA {}
}

/// Each reset that HTTP/2 sends for something that came too late counts against the connection, for as long as it lives.
#[tokio::test]
async fn uploads_that_are_refused_do_not_wear_the_connection_out() {
    let service = Service::start().await;
    let mut connection = connect(service.grpc, &[]).await;
    let streams = (1..401).step_by(2);
    let mut begin = Vec::new();
    for stream in streams.clone() {
        begin.extend(open(stream));
        begin.extend(data(stream, &head(DUPLEX, &JSON, false)));
        begin.extend(data(stream, &body(b"no JSON", false)));
    }
    connection.write_all(&begin).await.unwrap();
    let refused = "cellgate_decisions_total{outcome=\"reject\",reason=\"body_malformed\",tier=\"service\"}";
    until("refused", || async { service.metric(refused).await == 200 }).await;
    // All are answered, and more of their bodies is on its way.
    let mut rest = Vec::new();
    for stream in streams {
        rest.extend(data(stream, &body(&[b'x'; 100], false)));
        rest.extend(frame(DATA, END_STREAM, stream, &[]));
    }
    rest.extend(frame(PING, 0, 0, b"the last"));
    connection.write_all(&rest).await.unwrap();
    let (mut ends, mut heard) = (0, false);
    while ends < 200 || !heard {
        let frame = next(&mut connection).await.expect("closed");
        assert!(frame.kind != RST_STREAM && frame.kind != GOAWAY, "{frame:?}");
        ends += usize::from(frame.flags & END_STREAM != 0 && frame.stream > 0);
        heard |= frame.kind == PING;
    }
}
