//! 10,000 streams that are opened and left: each costs little memory, normal requests are decided meanwhile, and the
//! deadline ends them all.

use cellgate_tests::client::{Http2, Http2Stream, Request};
use cellgate_tests::ext_proc::ExtProc;
use cellgate_tests::options::sample_config;
use cellgate_tests::wait;
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::ProcessingRequest;
use prost::Message;

use crate::memory::resident;
use crate::processor::{connect, decision, head, messages, process};

const STREAMS: usize = 10_000;

/// `--max-streams`: so many are open on each connection.
const MAX_STREAMS: usize = 2_500;

/// The memory of a stream that is left: its buffers, its task's state and HTTP/2's.
const BYTES_PER_STREAM: u64 = 24 * 1024;

const PATH: &str = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_streams_that_are_left_cost_little_and_end() {
    let directory = tempfile::tempdir().unwrap();
    let max = MAX_STREAMS.to_string();
    // Longer than it takes to open them all.
    let options = ["--decision-timeout", "25s", "--max-streams", &max].map(str::to_owned);
    let service = ExtProc::start(&sample_config(), directory.path(), &options).await.unwrap();
    let before = resident(service.pid());

    let message = grpc(&head(BodySendMode::FullDuplexStreamed, &JSON));
    let mut connections = Vec::new();
    let mut left = Vec::new();
    for _ in 0..STREAMS / MAX_STREAMS {
        let connection = Http2::connect(service.addresses().grpc).await.unwrap();
        for _ in 0..MAX_STREAMS {
            left.push(open(&connection, &message).await);
        }
        connections.push(connection);
    }
    open_streams(&service, STREAMS).await;
    let grown = resident(service.pid()).saturating_sub(before);
    println!("{} bytes for each of {STREAMS} streams", grown / STREAMS as u64);
    assert!(grown <= STREAMS as u64 * BYTES_PER_STREAM, "{} KiB for {STREAMS} streams", grown / 1024);
    assert_eq!(service.metric("cellgate_held_bytes").await.unwrap(), 0.0, "no stream holds a body");
    served(&service).await;

    // Nobody has ended a stream.
    open_streams(&service, 0).await;
    let expired = r#"cellgate_decisions_total{outcome="reject",reason="deadline_exceeded",tier="service"}"#;
    assert_eq!(service.metric(expired).await.unwrap(), STREAMS as f64);
    for stream in left {
        let answer = stream.response().await.unwrap();
        assert!(answer.text().contains("cellgate_deadline_exceeded"), "{answer:?}");
    }
    served(&service).await;
}

async fn open(connection: &Http2, message: &[u8]) -> Http2Stream {
    let request = Request::post(PATH).header("content-type", "application/grpc").header("te", "trailers");
    let mut stream = connection.open(&request).await.unwrap();
    stream.data(message.to_vec()).await.unwrap();
    stream
}

/// Waits until so many streams are open.
async fn open_streams(service: &ExtProc, count: usize) {
    let are_open = || async { Ok((service.metric("cellgate_streams_open").await? == count as f64).then_some(())) };
    wait::until(&format!("{count} open streams"), are_open).await.unwrap();
}

async fn served(service: &ExtProc) {
    let client = connect(service.addresses().grpc).await;
    let normal = messages(BodySendMode::FullDuplexStreamed, &JSON, br#"{"tenant":{"id":"acme"}}"#);
    assert_eq!(decision(&process(&client, normal).await.unwrap()), "cell-b");
}

fn grpc(message: &ProcessingRequest) -> Vec<u8> {
    let length = u32::try_from(message.encoded_len()).unwrap().to_be_bytes();
    [&[0], &length[..], &message.encode_to_vec()].concat()
}
