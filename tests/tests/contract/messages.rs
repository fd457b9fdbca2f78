//! The messages of ext_proc that Envoy sends, in each body mode.

use cellgate_tests::client::Request;
use cellgate_tests::options::{BodyMode, Chain, Options};
use cellgate_tests::stack::Stack;
use serde_json::json;

use crate::message::described;
use crate::record::{Facts, Subject, check};
use crate::recorder::Recorder;
use crate::sending::in_two_parts;
use crate::support::{key_first, key_last};
use crate::upload::Framing;

pub(crate) const SUBJECT: Subject =
    Subject { name: "messages", title: "The messages of ext_proc that Envoy sends to the service" };

/// The first part of a body whose client goes away.
const FIRST: usize = 5_000;

#[tokio::test(flavor = "multi_thread")]
async fn envoy_sends_the_recorded_messages() {
    let mut facts = Facts::default();
    for (name, mode) in [("buffered", BodyMode::Buffered), ("streamed", BodyMode::Streamed)] {
        let mut studio = Studio::start(name, Options::default().chain(Chain::Service(mode))).await;
        every_request(&mut studio, mode).await;
        facts.0.append(&mut studio.facts.0);
    }
    let mut studio = Studio::start("deferred", Options::default()).await;
    deferred(&mut studio).await;
    facts.0.append(&mut studio.facts.0);
    let settled = json!([{
        "name": "tokens", "key": ["routing_key"], "limit": "1000/s", "settle": {"response_trailer": "x-used", "at_most": 5},
    }]);
    let options = Options::default().configure(|config| config["rate_limits"] = settled);
    let mut studio = Studio::start("settled", options).await;
    responses(&mut studio).await;
    facts.0.append(&mut studio.facts.0);
    check(SUBJECT, &facts);
}

/// A stack whose service is recorded.
struct Studio {
    name: &'static str,
    stack: Stack,
    recorder: Recorder,
    facts: Facts,
}

impl Studio {
    async fn start(name: &'static str, options: Options) -> Self {
        let recorder = Recorder::start().await;
        let stack = Stack::start(options.adjust(recorder.in_front_of_the_service())).await;
        recorder.pass_on_to(stack.ext_proc().addresses().grpc);
        Self { name, stack, recorder, facts: Facts::default() }
    }

    /// Records the stream of one exchange, which ends with the status.
    async fn record(&mut self, name: &str, exchange: impl Future<Output = u16>, status: u16) {
        assert_eq!(exchange.await, status, "{} {name}", self.name);
        self.keep(name).await;
    }

    async fn keep(&mut self, name: &str) {
        self.keep_until(name, None).await;
    }

    /// With another word for the end of the stream.
    async fn keep_until(&mut self, name: &str, end: Option<&str>) {
        let mut heard = self.recorder.take().await;
        if let Some(end) = end {
            heard.end = Some(end.to_owned());
        }
        self.facts.add(format!("{}: {name}", self.name), described(&heard));
    }

    async fn http1(&mut self, name: &str, request: Request, status: u16) {
        let mut client = self.stack.connect().await;
        self.record(name, async { client.send(&request).await.unwrap().status.as_u16() }, status).await;
    }

    async fn http2(&mut self, name: &str, request: Request, status: u16) {
        let client = self.stack.connect_h2().await;
        self.record(name, async { client.send(&request).await.unwrap().status.as_u16() }, status).await;
    }
}

impl Studio {
    /// A body of 500,000 bytes whose key is behind the first read.
    async fn two_parts(&mut self, name: &str, framing: Framing, trailers: &[(&str, &str)]) {
        let body = key_last("acme", 500_000);
        let answer = in_two_parts(&self.stack, framing, post(), &body, trailers).await;
        assert_eq!(answer.status, 200, "{} {name}", self.name);
        self.keep(name).await;
    }
}

fn keyed(request: Request) -> Request {
    request.header("x-tenant-id", "acme")
}

fn post() -> Request {
    Request::post("/").header("content-type", "application/json")
}

/// The requests of a chain without the filter: each opens a stream.
async fn every_request(studio: &mut Studio, mode: BodyMode) {
    let names = keyed(Request::get("/?q=1")).header("X-Mixed-Case", "1").header("accept", "a").header("accept", "b");
    studio.http1("GET, HTTP/1.1, names in mixed case, one twice", names.clone(), 200).await;
    studio.http2("GET, HTTP/2", keyed(Request::get("/")).header("accept", "a").header("accept", "b"), 200).await;
    studio.http1("HEAD, HTTP/1.1", keyed(Request::new("HEAD", "/")), 200).await;
    studio.http1("POST, HTTP/1.1, Content-Length: 0", post().body(""), 400).await;
    studio.http1("POST, HTTP/1.1, 2,000 bytes", post().body(key_last("acme", 2_000)), 200).await;
    studio.http1("POST, HTTP/1.1, 500,000 bytes", post().body(key_last("acme", 500_000)), 200).await;
    let pieces = || post().pieces([key_first("acme", 1_000), " ".repeat(1_000)]).trailer("x-check", "1");
    studio.http1("POST, HTTP/1.1, chunked, with a trailer", pieces(), 200).await;
    studio.http2("POST, HTTP/2, with a trailer", pieces(), 200).await;
    studio.http2("POST, HTTP/2, 500,000 bytes", post().body(key_last("acme", 500_000)), 200).await;
    if mode == BodyMode::Buffered {
        // In the other mode, whether Envoy has sent the end when the service refuses depends on time.
        let body = r#"{"tenant":{"id":"acme"},"tenant":{"id":"b"}}"#;
        studio.http2("POST, HTTP/2, a second key", post().body(body), 400).await;
    }
    expect_continue(studio).await;
    abort(studio, mode).await;
}

async fn expect_continue(studio: &mut Studio) {
    let request = post().header("expect", "100-continue").body(key_last("acme", 2_000));
    let mut client = studio.stack.connect().await;
    let exchange = async {
        let head = request.http1_head();
        let length = head.len();
        client.write(head).await.unwrap();
        assert_eq!(client.head().await.unwrap().status, 100);
        client.write(&request.to_http1()[length..]).await.unwrap();
        client.response("POST").await.unwrap().status.as_u16()
    };
    studio.record("POST, HTTP/1.1, Expect: 100-continue", exchange, 200).await;
}

/// The client resets its stream when Envoy has passed on what this mode lets it.
async fn abort(studio: &mut Studio, mode: BodyMode) {
    let client = studio.stack.connect_h2().await;
    let mut stream = client.open(&post()).await.unwrap();
    stream.data(key_last("acme", 10_000).into_bytes()[..FIRST].to_vec()).await.unwrap();
    let messages = if mode == BodyMode::Streamed { 2 } else { 1 };
    studio.recorder.until("the first messages", |heard| heard.messages.len() >= messages).await;
    stream.reset();
    // Envoy ends the stream and resets it at once. Which of the two is seen depends on time.
    studio.keep_until("POST, HTTP/2, reset in the body", Some("closed")).await;
}

/// Requests that the filter defers, in each mode.
async fn deferred(studio: &mut Studio) {
    studio.two_parts("as stream, HTTP/1.1, 500,000 bytes", Framing::Http1, &[]).await;
    studio.two_parts("as stream, HTTP/1.1, chunked, 500,000 bytes", Framing::Http1Chunked, &[]).await;
    studio.two_parts("as stream, HTTP/2, 500,000 bytes, with a trailer", Framing::Http2, &[("x-check", "1")]).await;
    let mut encoded = vec![0; 1_000];
    // The filter decodes no zstd.
    let length = zstd_safe::compress(encoded.as_mut_slice(), key_first("acme", 500).as_bytes(), 1).unwrap();
    encoded.truncate(length);
    studio.http1("as buffer, HTTP/1.1, zstd", post().header("content-encoding", "zstd").body(encoded), 200).await;
}

/// Requests whose response the service sees.
async fn responses(studio: &mut Studio) {
    studio.http1("as headers, GET, HTTP/1.1", keyed(Request::get("/")), 200).await;
    studio.http1("as headers, HEAD, HTTP/1.1", keyed(Request::new("HEAD", "/")), 200).await;
    let call = keyed(Request::post("/")).header("content-type", "application/grpc").header("te", "trailers");
    studio.http2("as headers, gRPC, HTTP/2: a response with trailers", call, 200).await;
    studio.two_parts("as stream, POST, HTTP/1.1, 500,000 bytes", Framing::Http1, &[]).await;
    studio.stack.cell("cell-b").fail_next(1, http::StatusCode::SERVICE_UNAVAILABLE);
    studio.http1("as headers, GET, HTTP/1.1: the cell answers 503", keyed(Request::get("/")), 503).await;
}
