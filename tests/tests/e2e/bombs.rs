//! Bodies that cost the reader more than the writer, in every format: decided or refused with their reason, in bounded
//! memory, by the service in both modes and by the filter in Envoy.

mod table;

use cellgate_tests::client::Request;
use cellgate_tests::ext_proc::ExtProc;
use cellgate_tests::options::{Options, sample_config};
use cellgate_tests::stack::Stack;
use cellgate_tests::wait;
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use serde_json::{Value, json};

use crate::memory::{peak, reset_peak};
use crate::processor::{connect, decision, messages, process};
use table::{Bomb, bombs};

/// What the service may have beside a body and what it had at the start: the decoders' windows (16 MiB for br, 8 MiB for
/// zstd), and what the allocator keeps.
const OVERHEAD: u64 = 32 << 20;

/// What a request may cost Envoy.
const ENVOY: u64 = 8 << 20;

fn config() -> Value {
    let mut config = sample_config();
    config["key"] = json!([
        {"json": "/tenant/id"}, {"json": "/items/*/id"}, {"json": "/variables/tenant"}, {"ndjson": "/tenant"},
        {"form": "tenant"}, {"multipart": "tenant"}, {"xml": "/d/t"}, {"protobuf": "1.1"}, {"msgpack": "/tenant/id"},
        {"cbor": "/tenant/id"}, {"header": "x-tenant-id"},
    ]);
    config["content_encodings"] = json!(["gzip", "deflate", "br", "zstd"]);
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_bears_bombs_of_every_format() {
    let directory = tempfile::tempdir().unwrap();
    let service = ExtProc::start(&config(), directory.path(), &patient()).await.unwrap();
    let client = connect(service.addresses().grpc).await;
    let start = reset_peak(service.pid());
    let (mut wrong, mut most) = (Vec::new(), 0);
    for mode in [BodySendMode::Buffered, BodySendMode::FullDuplexStreamed] {
        for bomb in bombs(1 << 20) {
            let name = format!("{mode:?}: {} as {} {:?}", bomb.name, bomb.content_type, bomb.header);
            let fields = [("content-type", bomb.content_type)].into_iter().chain(bomb.header).collect::<Vec<_>>();
            let size = bomb.body.len() as u64;
            let counted = counted(&service, bomb.expect).await;
            let messages = messages(mode, &fields, &bomb.body);
            reset_peak(service.pid());
            let replies = process(&client, messages).await;
            let grown = peak(service.pid()).saturating_sub(start);

            let decided = replies.map_or_else(|status| status.to_string(), |replies| decision(&replies));
            if decided != bomb.expect {
                wrong.push(format!("{name}: {decided}, not {}", bomb.expect));
            } else if self::counted(&service, bomb.expect).await != counted + 1.0 {
                wrong.push(format!("{name}: not counted"));
            }
            // A message is assembled in a buffer that doubles, and its parts are the body's chunks.
            if grown > 3 * size + OVERHEAD {
                wrong.push(format!("{name}: {} KiB for a body of {} KiB", grown / 1024, size / 1024));
            }
            most = most.max(grown.saturating_sub(size));
            recovered(&service, mode).await;
        }
    }
    println!("the service took at most {} KiB beside a body", most / 1024);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Options that keep a test build on a busy machine from the deadline.
fn patient() -> [String; 2] {
    ["--decision-timeout", "60s"].map(str::to_owned)
}

/// How often a decision was counted: before the request went on, or behind it.
async fn counted(service: &ExtProc, expect: &str) -> f64 {
    let Some((_, reason)) = expect.split_once(' ') else {
        return service
            .metric(r#"cellgate_decisions_total{outcome="cell",reason="exact",tier="service"}"#)
            .await
            .unwrap();
    };
    let refused = format!(r#"cellgate_decisions_total{{outcome="reject",reason="{reason}",tier="service"}}"#);
    let conflict = format!(r#"cellgate_conflicts_total{{reason="{reason}"}}"#);
    service.metric(&refused).await.unwrap() + service.metric(&conflict).await.unwrap()
}

/// A normal request is decided, and nothing of the one before is left.
async fn recovered(service: &ExtProc, mode: BodySendMode) {
    let client = connect(service.addresses().grpc).await;
    let normal = messages(mode, &[("content-type", "application/json")], br#"{"tenant":{"id":"globex"}}"#);
    assert_eq!(decision(&process(&client, normal).await.unwrap()), "cell-c");
    let is_idle = || async {
        let open = service.metric("cellgate_streams_open").await?;
        Ok((open == 0.0 && service.metric("cellgate_held_bytes").await? == 0.0).then_some(()))
    };
    wait::until("the service to be idle", is_idle).await.unwrap();
}

/// Each through Envoy. The filter decides what it may hold, and defers the rest. A trap of the filter fails the test.
#[tokio::test(flavor = "multi_thread")]
async fn the_filter_bears_bombs_of_every_format() {
    let options = Options::default().config(config()).buffer_limit(1 << 20);
    let stack = Stack::start(options.service_option("--decision-timeout", "60s")).await;
    let (mut wrong, mut most) = (Vec::new(), 0);
    // Below the filter's limit, and just above it.
    for size in [100_000, (1 << 20) + 1] {
        for Bomb { name, content_type, header, body, expect } in bombs(size) {
            let mut request = Request::post("/").header("content-type", content_type);
            if let Some((name, value)) = header {
                request = request.header(name, value);
            }
            let before = reset_peak(stack.envoy().process().pid());
            let answer = stack.send(&request.body(body)).await;
            let grown = peak(stack.envoy().process().pid()).saturating_sub(before);
            let decided = match (answer.served_by(), content_type) {
                (Some(cell), _) => cell.to_owned(),
                // Its HTTP status is that of gRPC.
                (None, "application/grpc") => "a refused call".to_owned(),
                (None, _) => {
                    format!("{} {}", answer.status.as_u16(), answer.json()["code"].as_str().unwrap_or_default())
                }
            };
            let expect =
                if content_type == "application/grpc" && expect != "cell-b" { "a refused call" } else { expect };
            if decided != expect {
                wrong.push(format!("{name} as {content_type} {header:?}: {decided}, not {expect}"));
            }
            most = most.max(grown);
            if grown > ENVOY {
                wrong.push(format!("{name} as {content_type}: {} KiB in Envoy", grown / 1024));
            }
        }
        assert_eq!(stack.post_json("/", r#"{"tenant":{"id":"globex"}}"#).await.cell(), "cell-c");
    }
    println!("Envoy took at most {} KiB for a request", most / 1024);
    assert!(wrong.is_empty(), "{wrong:#?}");
    recovered(stack.ext_proc(), BodySendMode::Buffered).await;
}
