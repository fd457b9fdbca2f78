//! Settlement through Envoy: the number in a response replaces the estimate that its request was charged.

mod hidden_fields;
mod pauses;
mod redirects;

use cellgate_tests::client::{Http1, Request, Response};
use cellgate_tests::options::{BodyMode, Chain, Options};
use cellgate_tests::stack::Stack;
use cellgate_tests::wait;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::raw_cell::{RawCell, RawRequest};
use crate::support::{key_first, key_last, without_responses};

const PLAIN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A stack with a limit of 100 units for each tenant and an estimate of 10. No unit comes back while a test lasts. Its
/// `cell-b`, that of the tenant `acme`, answers what the test says.
struct Settled {
    stack: Stack,
    cell: RawCell,
    _token: NamedTempFile,
}

/// Opens `/limits` on the service's admin port.
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

impl Settled {
    async fn start(settle: Value) -> Self {
        Self::start_with(settle, Options::default()).await
    }

    async fn start_with(settle: Value, options: Options) -> Self {
        let cell = RawCell::start().await;
        let limits = json!([
            {"name": "tokens", "key": ["routing_key"], "limit": "1/h;burst=100", "cost": 10, "settle": settle,
             "applies_to": {"paths": ["/counted"]}},
            {"name": "many", "key": ["routing_key"], "limit": "1000/s"},
        ]);
        let options = options.configure(|config| config["rate_limits"] = limits);
        let token = NamedTempFile::new().unwrap();
        std::fs::write(token.path(), TOKEN).unwrap();
        let options = options.service_option("--admin-token-file", token.path().to_str().unwrap());
        Self { stack: Stack::start(options.adjust(cell.in_place_of("cell-b"))).await, cell, _token: token }
    }

    /// Sends a request, and waits until it is at the cell.
    async fn send(&self, request: &Request) -> (Http1, RawRequest) {
        let mut client = self.stack.connect().await;
        client.write(request.to_http1()).await.unwrap();
        (client, self.cell.accept().await)
    }

    /// Sends a request that the cell answers so.
    async fn exchange(&self, request: &Request, response: &str) -> Response {
        let (mut client, mut arrived) = self.send(request).await;
        arrived.write(response).await;
        client.response("GET").await.unwrap()
    }

    /// Waits until so many units of the tenant are in use.
    async fn used(&self, units: u64) {
        let admin = self.stack.ext_proc().addresses().admin;
        let reached = || async {
            let request = Request::get("/limits/tokens?value=acme").header("authorization", format!("Bearer {TOKEN}"));
            let usage = Http1::connect(admin).await?.send(&request).await?.json();
            Ok((usage["used"] == units).then_some(()))
        };
        wait::until(&format!("{units} units in use"), reached).await.unwrap();
    }

    /// Waits until so many charges were settled so.
    async fn settled(&self, outcome: &str, count: f64) {
        self.metric(&format!(r#"cellgate_settlements_total{{limit="tokens",outcome="{outcome}"}}"#), count).await;
    }

    /// Waits until a metric of the service has this value.
    async fn metric(&self, series: &str, value: f64) {
        let reached = || async { Ok((self.stack.ext_proc().metric(series).await? == value).then_some(())) };
        wait::until(&format!("{series} to be {value}"), reached).await.unwrap();
    }
}

fn by_header() -> Value {
    json!({"response_header": "X-Used", "at_most": 60})
}

fn by_trailer() -> Value {
    json!({"response_trailer": "x-used", "at_most": 60})
}

fn released(mut settle: Value) -> Value {
    settle["on_failure"] = json!("release");
    settle
}

fn get() -> Request {
    Request::get("/counted").header("x-tenant-id", "acme")
}

/// A response with these header lines.
fn with_headers(status: u16, lines: &str) -> String {
    format!("HTTP/1.1 {status} Told\r\n{lines}content-length: 2\r\n\r\nok")
}

/// A response with these trailer lines.
fn with_trailers(status: u16, lines: &str) -> String {
    format!("HTTP/1.1 {status} Told\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n{lines}\r\n")
}

/// A stack and a request for each way to the service.
fn ways() -> [(&'static str, Options, Request); 5] {
    let mut encoded = vec![0; 1_000];
    // The filter decodes no zstd.
    let length = zstd_safe::compress(encoded.as_mut_slice(), key_first("acme", 500).as_bytes(), 1).unwrap();
    encoded.truncate(length);
    let post = || Request::post("/counted");
    let alone = |mode| Options::default().chain(Chain::Service(mode));
    [
        ("headers", Options::default(), get()),
        ("buffer", Options::default(), post().header("content-encoding", "zstd").json(encoded)),
        ("stream", Options::default(), post().json(key_last("acme", 2_000_000))),
        ("service alone, BUFFERED", alone(BodyMode::Buffered), post().json(key_last("acme", 2_000))),
        ("service alone, FULL_DUPLEX_STREAMED", alone(BodyMode::Streamed), post().json(key_last("acme", 2_000_000))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_refunds_or_adds_units_in_every_body_mode() {
    for (name, options, request) in ways() {
        eprintln!("{name}");
        let settled = Settled::start_with(by_header(), options).await;
        let answer = settled.exchange(&request, &with_headers(200, "x-used: 3\r\n")).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-used"), &*answer.text()), (200, Some("3"), "ok"));
        settled.used(3).await;
        settled.exchange(&request, &with_headers(404, "x-used: 40\r\n")).await;
        settled.used(43).await;
        // 1000 units count as 60, and only 57 are left.
        settled.exchange(&request, &with_headers(200, "x-used: 1000\r\n")).await;
        settled.used(100).await;
        let refused = settled.stack.send(&request).await;
        assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (429, &json!("rate_limited")), "{name}");
        settled.settled("refunded", 1.0).await;
        settled.settled("carried", 2.0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trailer_refunds_or_adds_units_in_every_body_mode() {
    for (name, options, request) in ways() {
        eprintln!("{name}");
        let settled = Settled::start_with(by_trailer(), options).await;
        let answer = settled.exchange(&request, &with_trailers(200, "x-used: 4\r\n")).await;
        assert_eq!((answer.status.as_u16(), answer.trailer("x-used")), (200, Some("4")));
        settled.used(4).await;
        settled.exchange(&request, &with_trailers(200, "x-used: 25\r\n")).await;
        settled.used(29).await;
        // Without trailers, or with others, the estimate stays.
        settled.exchange(&request, PLAIN).await;
        settled.used(39).await;
        settled.exchange(&request, &with_trailers(200, "x-sum: 1\r\n")).await;
        settled.used(49).await;
        settled.settled("kept", 2.0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_usable_number_the_estimate_stays() {
    let settled = Settled::start(by_header()).await;
    let lines =
        ["", "x-used: -1\r\n", "x-used: 2.5\r\n", "x-used: many\r\n", "x-used: 3\r\nx-used: 3\r\n", "x-used:\r\n"];
    for (line, count) in lines.iter().zip(1_u8..) {
        settled.exchange(&get(), &with_headers(200, line)).await;
        settled.settled("kept", count.into()).await;
    }
    settled.used(60).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_keeps_the_estimate_or_releases_it() {
    for (settle, response) in
        [(by_header(), with_headers(503, "x-used: 3\r\n")), (by_trailer(), with_trailers(503, "x-used: 3\r\n"))]
    {
        let settled = Settled::start(settle.clone()).await;
        assert_eq!(settled.exchange(&get(), &response).await.status, 503);
        settled.settled("kept", 1.0).await;
        settled.used(10).await;
        let settled = Settled::start(released(settle)).await;
        assert_eq!(settled.exchange(&get(), &response).await.status, 503);
        settled.settled("released", 1.0).await;
        settled.used(0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_aborts_keeps_the_estimate_or_releases_it() {
    for (settle, outcome, units) in [(by_header(), "kept", 10), (released(by_header()), "released", 0)] {
        let settled = Settled::start(settle).await;
        let (client, _request) = settled.send(&get()).await;
        client.reset().unwrap();
        settled.settled(outcome, 1.0).await;
        settled.used(units).await;
        // The cell aborts: Envoy answers 503 itself.
        let (mut client, request) = settled.send(&get()).await;
        drop(request);
        assert_eq!(client.response("GET").await.unwrap().status, 503);
        settled.settled(outcome, 2.0).await;
        settled.used(2 * units).await;
    }
    // A response that has begun is settled already.
    let settled = Settled::start(released(by_header())).await;
    let (mut client, mut request) = settled.send(&get()).await;
    request.write("HTTP/1.1 200 OK\r\nx-used: 7\r\ncontent-length: 10\r\n\r\nfirst").await;
    client.head().await.unwrap();
    client.reset().unwrap();
    settled.used(7).await;
    settled.settled("refunded", 1.0).await;
    // One whose trailers do not come keeps its estimate.
    let settled = Settled::start(released(by_trailer())).await;
    let (mut client, mut request) = settled.send(&get()).await;
    request.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n").await;
    client.head().await.unwrap();
    client.reset().unwrap();
    settled.settled("kept", 1.0).await;
    settled.used(10).await;
}

/// Regression: only the HTTP status was read. The status of Envoy's own answer to a gRPC call is 200.
#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_call_whose_cell_is_gone_is_released() {
    let call = Request::post("/counted")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("x-tenant-id", "acme");
    for settle in [by_header(), by_trailer()] {
        let settled = Settled::start(released(settle)).await;
        let answer = tokio::join!(settled.stack.send_h2(&call), async { drop(settled.cell.accept().await) }).0;
        assert_eq!((answer.status.as_u16(), answer.header("grpc-status")), (200, Some("14")), "{answer:?}");
        settled.settled("released", 1.0).await;
        settled.used(0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_is_settled_once_by_the_last_response() {
    let settled = Settled::start_with(released(by_header()), Options::default().retries(1)).await;
    let (mut client, mut request) = settled.send(&get()).await;
    request.write(&with_headers(503, "x-used: 1\r\n")).await;
    let mut again = settled.cell.accept().await;
    again.write(&with_headers(200, "x-used: 6\r\n")).await;
    assert_eq!(client.response("GET").await.unwrap().status, 200);
    settled.used(6).await;
    settled.settled("refunded", 1.0).await;
    // And the first response has released nothing.
    settled.settled("released", 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_request_that_such_a_limit_counts_costs_messages() {
    let other = Request::get("/other").header("x-tenant-id", "acme");
    let trailers = with_trailers(200, "x-used: 4\r\n");
    for (settle, response, more) in
        [(by_header(), PLAIN, 1), (by_header(), &*trailers, 1), (by_trailer(), PLAIN, 1), (by_trailer(), &*trailers, 2)]
    {
        let settled = Settled::start(settle).await;
        let sent = || async { settled.stack.admin().stat("http.in.ext_proc.cellgate.stream_msgs_sent").await.unwrap() };
        for (request, messages) in [(&other, 1), (&get(), 1 + more)] {
            let before = sent().await;
            settled.exchange(request, response).await;
            settled.metric("cellgate_streams_open", 0.0).await;
            assert_eq!(sent().await - before, messages, "{response}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_settings_the_estimate_stays_and_nothing_hangs() {
    let settled = Settled::start_with(
        by_header(),
        Options::default().adjust(|bootstrap| without_responses(bootstrap, "response_header_mode")),
    )
    .await;
    for (request, count) in [(get(), 1.0), (Request::post("/counted").json(key_last("acme", 2_000_000)), 2.0)] {
        assert_eq!(settled.exchange(&request, &with_headers(200, "x-used: 3\r\n")).await.status, 200);
        settled.settled("kept", count).await;
    }
    settled.used(20).await;
}
