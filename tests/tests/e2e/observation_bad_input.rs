//! Bad input for what observes: trace contexts of clients and peers, names of a configuration that become labels, scrapers
//! that never read, and a flood of questions to the explain page. Each is bounded, counted, and changes no answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cellgate_tests::client::{Http1, Request};
use cellgate_tests::envoy::Tracing;
use cellgate_tests::ext_proc::ExtProc;
use cellgate_tests::options::{BodyMode, Chain, Options, sample_config};
use cellgate_tests::otlp::OtlpReceiver;
use cellgate_tests::ports::ClosedPort;
use cellgate_tests::process::Signal;
use cellgate_tests::stack::Stack;
use cellgate_tests::wait;
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tonic::metadata::{MetadataKey, MetadataValue};

use crate::memory::{peak, reset_peak};
use crate::processor::{connect, decision, messages, process};
use crate::support::{key_last, wait_for_metric};

/// What bad input may cost the service, whose bounds are far below: spans that wait, connections, and what the allocator
/// keeps.
const OVERHEAD: u64 = 64 << 20;

/// The names of the fields of a trace context, of W3C and of B3.
const FIELDS: [&str; 7] =
    ["traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags"];

/// A request that the service decides, for the cell of `acme`.
fn deferred() -> Request {
    Request::post("/").json(key_last("acme", 100_000))
}

fn traced(receiver: &OtlpReceiver) -> Options {
    Options::default()
        .buffer_limit(32 * 1024)
        .service_option("--otlp-endpoint", &receiver.endpoint())
        .service_option("--otlp-protocol", "http/protobuf")
        .service_option("--trace-sample-percent", "100")
}

/// Bytes that no sequence repeats, of those that a field may have.
fn junk(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let byte = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Visible ASCII, and the bytes above it.
        let byte = 0x21 + u8::try_from(state >> 57).unwrap();
        if byte == 0x7f { 0xff } else { byte }
    };
    (0..length).map(byte).collect()
}

/// Values of a field: junk of several lengths, and contexts that are nearly right.
fn contexts() -> Vec<Vec<u8>> {
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let mut contexts: Vec<Vec<u8>> = [
        format!("00-{trace}-00f067aa0ba902b7"),
        format!("ff-{trace}-00f067aa0ba902b7-01"),
        format!("00-{trace}-0000000000000000-01"),
        format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()),
        format!("01-{trace}-00f067aa0ba902b7-01-{}", "x".repeat(4_000)),
        format!("{trace}-00f067aa0ba902b7-d-"),
        "a=b,".repeat(1_000),
        "1".to_owned(),
    ]
    .map(String::into_bytes)
    .to_vec();
    contexts.extend([1, 16, 55, 512, 8_000].into_iter().enumerate().map(|(seed, length)| junk(seed as u64, length)));
    contexts
}

/// Envoy without a tracer passes a client's fields on to the cell only, and a tracer of its own reads them.
#[tokio::test(flavor = "multi_thread")]
async fn trace_contexts_of_clients_change_no_answer() {
    let collector = ClosedPort::take().unwrap();
    let tracing = Tracing::to(collector.address().unwrap()).unwrap();
    for envoys in [None, Some(tracing)] {
        let receiver = OtlpReceiver::start().await.unwrap();
        let options = traced(&receiver).adjust(move |bootstrap| {
            if let Some(tracing) = envoys {
                tracing.add_to(bootstrap);
            }
        });
        let stack = Stack::start(options).await;
        assert_eq!(stack.send(&deferred()).await.cell(), "cell-b");
        let start = reset_peak(stack.ext_proc().pid());
        let mut sent = 1;
        for field in FIELDS {
            for context in contexts() {
                let once = deferred().header(field, &context);
                // Many of one name, together below Envoy's limit of 60 KiB.
                let many = (0..6).fold(deferred(), |request, _| request.header(field, &context));
                for request in [once, many] {
                    let answer = stack.send(&request).await;
                    assert_eq!(answer.cell(), "cell-b", "{field}: {}", context.escape_ascii());
                    sent += 1;
                }
            }
            // Envoy itself refuses a larger one.
            assert_eq!(stack.send(&deferred().header(field, junk(7, 64 << 10))).await.status, 431, "{field}");
        }
        assert_eq!(stack.ext_proc_streams().await, sent);
        let grown = peak(stack.ext_proc().pid()).saturating_sub(start);
        assert!(grown < OVERHEAD, "{grown} bytes");
        stack.ext_proc().signal(Signal::TERM).unwrap();
        assert_eq!(stack.ext_proc().ended().await.unwrap(), Some(0));
        // A span of the service has at most the first 512 bytes of junk: a state, and no parent.
        let spans = receiver.bytes();
        let longest = junk(4, 8_000);
        assert!(!spans.is_empty() && !spans.windows(600).any(|window| window == &longest[..600]));
    }
}

/// The same fields in the metadata of a call, as no Envoy writes them.
#[tokio::test(flavor = "multi_thread")]
async fn trace_contexts_of_peers_change_no_answer() {
    let (receiver, directory) = (OtlpReceiver::start().await.unwrap(), tempfile::tempdir().unwrap());
    let options = [
        ("--otlp-endpoint", receiver.endpoint().as_str()),
        ("--otlp-protocol", "http/protobuf"),
        ("--trace-sample-percent", "100"),
    ]
    .map(|(name, value)| [name.to_owned(), value.to_owned()])
    .concat();
    let service = ExtProc::start(&sample_config(), directory.path(), &options).await.unwrap();
    let fields = [("content-type", "application/json")];
    let request = || messages(BodySendMode::Buffered, &fields, br#"{"tenant":{"id":"acme"}}"#);
    let start = reset_peak(service.pid());
    let (mut calls, mut refused) = (0, 0);
    for field in FIELDS {
        for context in contexts().into_iter().chain([junk(9, 64 << 10)]) {
            for count in [1, 20] {
                let mut call = tonic::Request::new(tokio_stream::iter(request()));
                let key: MetadataKey<_> = field.parse().unwrap();
                let Ok(value) = MetadataValue::try_from(context.as_slice()) else { continue };
                for _ in 0..count {
                    call.metadata_mut().append(key.clone(), value.clone());
                }
                calls += 1;
                let exchange = async {
                    // Of its own, because too long a list of fields ends the connection.
                    let mut client = connect(service.addresses().grpc).await;
                    let mut stream = client.process(call).await?.into_inner();
                    let mut replies = Vec::new();
                    while let Some(reply) = stream.message().await? {
                        replies.extend(reply.response);
                    }
                    Ok::<_, tonic::Status>(replies)
                };
                match wait::within("the replies", async { Ok(exchange.await) }).await.unwrap() {
                    Ok(replies) => assert_eq!(decision(&replies), "cell-b", "{field}: {}", context.escape_ascii()),
                    // HTTP/2's limit on a list of header fields.
                    Err(status) => {
                        assert!(context.len() * count > 8_000, "{field} {count}: {status}");
                        refused += 1;
                    }
                }
            }
        }
    }
    assert!(calls > 100 && refused > 0 && refused < calls / 2, "{refused} of {calls} were refused");
    let client = connect(service.addresses().grpc).await;
    assert_eq!(decision(&process(&client, request()).await.unwrap()), "cell-b");
    let grown = peak(service.pid()).saturating_sub(start);
    assert!(grown < OVERHEAD, "{grown} bytes");
}

/// Puts a name into a configuration.
type SetName = fn(&mut Value, String);

/// The fields of a configuration whose names are labels.
fn labels() -> [(&'static str, SetName); 4] {
    [
        ("cells", |config, name| config["cells"] = json!(["cell-a", "cell-b", "cell-c", name])),
        ("version", |config, name| config["version"] = json!(name)),
        ("rate_limits", |config, name| {
            config["rate_limits"] = json!([{"name": name, "key": ["routing_key"], "limit": "1/s"}]);
        }),
        ("concurrency_limits", |config, name| {
            config["concurrency_limits"] = json!([{"name": name, "key": ["routing_key"], "at_most": 1}]);
        }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_of_a_megabyte_is_refused_and_no_request_makes_one() {
    let stack = Stack::start(Options::default().buffer_limit(32 * 1024)).await;
    let size = async || stack.ext_proc().get("/metrics").await.unwrap().body.len();
    let before = size().await;
    for (number, (field, change)) in labels().into_iter().enumerate() {
        let mut config = sample_config();
        change(&mut config, "n".repeat(1 << 20));
        assert!(stack.apply(&config).await.is_err(), "{field}");
        let refused = r#"cellgate_config_reloads_total{result="refused"}"#;
        wait_for_metric(&stack, refused, (number + 1) as f64).await;
        assert_eq!(stack.send(&deferred()).await.cell(), "cell-b", "{field}");
    }
    // The values of requests that are in a log or a span.
    for request in [
        deferred().header("x-request-id", "i".repeat(50_000)),
        Request::post("/").json(format!(r#"{{"tenant":{{"id":"{}"}}}}"#, "k".repeat(1 << 20))),
        Request::get("/").header("x-tenant-id", "k".repeat(50_000)),
    ] {
        stack.send(&request).await;
    }
    let envoys = stack.admin().get("/stats/prometheus").await.unwrap().text();
    let services = stack.ext_proc().get("/metrics").await.unwrap().text();
    for line in envoys.lines().chain(services.lines()) {
        assert!(line.len() < 1_000, "{} bytes: {}", line.len(), &line[..200]);
    }
    let log = stack.ext_proc().log();
    let longest = log.lines().map(str::len).max().unwrap();
    assert!(longest < 20_000, "a line of the log has {longest} bytes");
    // New are the counts of reloads and reasons.
    let grown = size().await - before;
    assert!(grown < 20_000, "/metrics has grown by {grown} bytes");
}

/// Runs until the traffic is over.
#[derive(Clone, Default)]
struct Running(Arc<AtomicBool>);

impl Running {
    fn is_on(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }

    fn end(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Scrapers that read every 10 ms, three hundred that never finish asking, and three hundred that ask again and again and never
/// read. The service answers one request on each connection.
#[tokio::test(flavor = "multi_thread")]
async fn scrapers_that_never_read_cost_little_and_change_no_answer() {
    const SILENT: usize = 300;
    const REQUESTS: usize = 200;
    let stack = Stack::start(Options::default().chain(Chain::Service(BodyMode::Streamed))).await;
    let (admin, pid) = (stack.ext_proc().addresses().admin, stack.ext_proc().pid());
    assert_eq!(stack.send(&deferred()).await.cell(), "cell-b");
    let start = reset_peak(pid);

    let mut silent = Vec::new();
    let asked = "GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n".repeat(200);
    // The half of a head keeps a connection. One that has its answer is closed.
    for text in ["GET /metrics HTTP/1.1\r\n", &asked] {
        for _ in 0..SILENT {
            let mut client = Http1::connect(admin).await.unwrap();
            // The service may have closed it.
            let _ = client.write(text).await;
            silent.push(client);
        }
    }
    let (running, mut scrapers) = (Running::default(), JoinSet::new());
    for _ in 0..4 {
        let running = running.clone();
        scrapers.spawn(async move {
            let (mut every, mut scrapes) = (tokio::time::interval(Duration::from_millis(10)), 0_u64);
            while running.is_on() {
                every.tick().await;
                let answer = cellgate_tests::client::get(admin, "/metrics").await.unwrap();
                assert_eq!(answer.status, 200);
                assert!(answer.text().contains("cellgate_build_info"), "{}", answer.text());
                scrapes += 1;
            }
            scrapes
        });
    }
    for number in 0..REQUESTS {
        assert_eq!(stack.send(&deferred()).await.cell(), "cell-b", "{number}");
    }
    running.end();
    let scrapes: u64 = scrapers.join_all().await.into_iter().sum();
    assert!(scrapes > 4, "{scrapes} scrapes");
    // Probes are answered beside them.
    for page in ["/livez", "/readyz"] {
        assert_eq!(stack.ext_proc().get(page).await.unwrap().status, 200, "{page}");
    }
    let answered = stack.ext_proc().metric(r#"cellgate_admin_requests_total{route="/metrics",status="200"}"#).await;
    assert!(answered.unwrap() >= scrapes as f64);
    let displaced = stack.ext_proc().metric("cellgate_admin_connections_displaced_total").await.unwrap();
    assert!(displaced >= (SILENT - 256) as f64, "{displaced} connections were displaced");
    drop(silent);
    let grown = peak(pid).saturating_sub(start);
    println!("{scrapes} scrapes, {displaced} displaced, {} KiB", grown / 1024);
    assert!(grown < 2 * OVERHEAD, "{grown} bytes");
}

/// One is explained at a time, with pauses. The others are told so at once, and all are counted.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_questions_to_the_explain_page_change_no_answer_of_envoy() {
    const QUESTIONS: usize = 10_000;
    const CLIENTS: usize = 20;
    let stack = Stack::start(Options::default().buffer_limit(32 * 1024)).await;
    let (admin, pid) = (stack.ext_proc().addresses().admin, stack.ext_proc().pid());
    let start = reset_peak(pid);
    let mut clients = JoinSet::new();
    let running = Running::default();
    for _ in 0..CLIENTS {
        clients.spawn(async move {
            let curl = "curl http://a/ -H 'content-type: application/json' -d '{\"tenant\":{\"id\":\"acme\"}}'";
            let body = json!({"request": curl}).to_string();
            let ask = Request::post("/explain").header("host", admin.to_string()).json(body);
            let mut explained = 0;
            for _ in 0..QUESTIONS / CLIENTS {
                let answer = Http1::connect(admin).await.unwrap().send(&ask).await.unwrap();
                match answer.status.as_u16() {
                    200 => explained += 1,
                    503 => assert_eq!(answer.header("retry-after"), Some("1")),
                    other => panic!("{other}: {}", answer.text()),
                }
            }
            explained
        });
    }
    let answered = {
        let running = running.clone();
        async move {
            let explained: Vec<u64> = clients.join_all().await;
            running.end();
            explained.into_iter().sum::<u64>()
        }
    };
    let traffic = async {
        let mut requests = 0_u64;
        while running.is_on() {
            assert_eq!(stack.send(&deferred()).await.cell(), "cell-b");
            assert_eq!(stack.post_json("/", r#"{"tenant":{"id":"globex"}}"#).await.cell(), "cell-c");
            requests += 1;
        }
        requests
    };
    let (explained, requests) = tokio::join!(answered, traffic);
    println!("{explained} of {QUESTIONS} explained beside {requests} requests to the service");
    assert!(explained > 0 && requests > 0, "{explained} {requests}");
    let count = async |status: u16| {
        let series = format!(r#"cellgate_admin_requests_total{{route="/explain",status="{status}"}}"#);
        stack.ext_proc().metric(&series).await.unwrap()
    };
    assert_eq!((count(200).await, count(503).await), (explained as f64, QUESTIONS as f64 - explained as f64));
    // Explanations are no traffic.
    let decided = r#"cellgate_decisions_total{outcome="cell",reason="exact",tier="service"}"#;
    assert_eq!(stack.ext_proc().metric(decided).await.unwrap(), requests as f64);
    let grown = peak(pid).saturating_sub(start);
    assert!(grown < OVERHEAD, "{grown} bytes");
}
