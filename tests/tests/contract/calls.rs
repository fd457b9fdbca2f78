//! The callbacks that Envoy makes into the filter, and the hostcalls that the filter makes, by Envoy's own trace.

use std::collections::BTreeSet;

use cellgate_tests::artifacts;
use cellgate_tests::client::Request;
use cellgate_tests::options::Options;
use cellgate_tests::stack::Stack;
use cellgate_tests::wait;
use serde_json::json;

use crate::module::Interface;
use crate::record::{Facts, Subject, check};
use crate::sending::in_two_parts;
use crate::support::{bytes_read, key_first, key_last, read_by_envoy};
use crate::trace::{Callback, callbacks};
use crate::upload::Framing;

pub(crate) const SUBJECT: Subject =
    Subject { name: "calls", title: "The calls between Envoy and the filter, by Envoy's trace" };

#[tokio::test(flavor = "multi_thread")]
async fn envoy_and_the_filter_make_the_recorded_calls() {
    let mut tracer = Tracer::start(Options::default()).await;
    tracer.starts().await;
    heads(&mut tracer).await;
    bodies(&mut tracer).await;
    deferred(&mut tracer).await;
    ends(&mut tracer).await;
    let (mut facts, mut made) = (tracer.facts, tracer.made);
    let leased = json!([{"name": "per-tenant", "key": ["routing_key"], "limit": "1/h;burst=100", "lease": true}]);
    let mut tracer = Tracer::start(Options::default().configure(|config| {
        config["rate_limits"] = leased;
        config["sync"] = json!({"cluster": "ext-proc"});
    }))
    .await;
    leases(&mut tracer).await;
    facts.0.append(&mut tracer.facts.0);
    made.append(&mut tracer.made);
    let module = Interface::read(&std::fs::read(artifacts::wasm().unwrap()).unwrap()).unwrap();
    let known = module.imports.iter().map(|function| function.name.trim_start_matches("env.").to_owned());
    let unseen: Vec<String> = known.filter(|name| !made.contains(name)).collect();
    facts.add("hostcalls that none of these requests leads to", unseen.join("\n"));
    check(SUBJECT, &facts);
}

/// A stack whose calls are traced.
struct Tracer {
    stack: Stack,
    facts: Facts,
    /// The hostcalls seen so far.
    made: BTreeSet<String>,
}

/// Whether sizes depend on nothing but the request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sizes {
    Exact,
    /// How often a callback is made depends on time too.
    Vary,
}

impl Tracer {
    async fn start(options: Options) -> Self {
        let stack = Stack::start(options.wasm_log_level("trace")).await;
        Self { stack, facts: Facts::default(), made: BTreeSet::new() }
    }

    fn log(&self) -> String {
        self.stack.envoy().process().log()
    }

    /// The start of the filter on a worker thread.
    async fn starts(&mut self) {
        let all = callbacks(&self.log());
        // The main thread checks the configuration first. The workers follow.
        let worker = all.iter().rfind(|callback| callback.name == "proxy_on_configure").unwrap().thread.clone();
        let of_worker =
            all.into_iter().filter(|callback| callback.thread == worker && callback.name != "proxy_on_tick");
        self.keep("start of the filter on a worker", of_worker.collect(), Sizes::Exact);
    }

    /// Records the calls of one request: those of its context, from its creation to its end.
    async fn record(&mut self, name: &str, sizes: Sizes, exchange: impl AsyncFnOnce(&Stack)) {
        let before = self.log().len();
        exchange(&self.stack).await;
        let ended = wait::until("the end of the request's context", || async {
            let made = callbacks(&self.log()[before..]);
            let created =
                made.iter().find(|callback| callback.name == "proxy_on_context_create").map(Callback::context);
            let of_request: Vec<_> = made.into_iter().filter(|callback| Some(callback.context()) == created).collect();
            Ok(of_request.iter().any(|callback| callback.name == "proxy_on_delete").then_some(of_request))
        });
        let made = ended.await.unwrap_or_else(|error| panic!("{name}: {error}"));
        self.keep(name, made, sizes);
    }

    fn keep(&mut self, name: &str, made: Vec<Callback>, sizes: Sizes) {
        self.made.extend(made.iter().flat_map(|callback| callback.calls.iter().map(|call| call.name.clone())));
        let mut lines: Vec<String> = made.iter().map(|callback| callback.text(sizes == Sizes::Exact)).collect();
        if sizes == Sizes::Vary {
            lines.dedup();
        }
        self.facts.add(name, lines.join("\n"));
    }

    async fn http1(&mut self, name: &str, request: Request, status: u16) {
        let exchange = async |stack: &Stack| assert_eq!(stack.send(&request).await.status, status, "{name}");
        self.record(name, Sizes::Exact, exchange).await;
    }

    async fn http2(&mut self, name: &str, sizes: Sizes, request: Request, status: u16) {
        let exchange = async |stack: &Stack| assert_eq!(stack.send_h2(&request).await.status, status, "{name}");
        self.record(name, sizes, exchange).await;
    }
}

fn keyed() -> Request {
    Request::get("/").header("x-tenant-id", "acme")
}

fn post() -> Request {
    Request::post("/").header("content-type", "application/json")
}

/// Requests that their head decides.
async fn heads(tracer: &mut Tracer) {
    tracer.http1("GET, key in a header", keyed(), 200).await;
    tracer.http1("GET, a routing header of the client", keyed().header("x-cell", "cell-c"), 200).await;
    tracer.http1("GET, no key: refused", Request::get("/"), 400).await;
    let upgrade = keyed()
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let exchange = async |stack: &Stack| {
        let mut client = stack.connect().await;
        client.write(upgrade.to_http1()).await.unwrap();
        assert_eq!(client.head().await.unwrap().status, 101);
    };
    tracer.record("WebSocket", Sizes::Exact, exchange).await;
}

/// Requests that the filter decides by their body.
async fn bodies(tracer: &mut Tracer) {
    tracer.http1("POST, HTTP/1.1, 2,000 bytes", post().body(key_last("acme", 2_000)), 200).await;
    tracer.http2("POST, HTTP/2, 2,000 bytes", Sizes::Exact, post().body(key_last("acme", 2_000)), 200).await;
    in_three_parts(tracer).await;
    let trailers = post().pieces([key_last("acme", 2_000)]).trailer("x-check", "1").trailer("x-cell", "cell-c");
    tracer.http2("POST, HTTP/2, with trailers, one of them reserved", Sizes::Exact, trailers, 200).await;
    tracer.http2("POST, HTTP/2, no key: refused", Sizes::Exact, post().body(r#"{"x":1}"#), 400).await;
    let exchange = async |stack: &Stack| {
        let answer = in_two_parts(stack, Framing::Http2, post(), &key_first("acme", 200_000), &[]).await;
        assert_eq!(answer.status, 200);
    };
    tracer.record("POST, HTTP/2, 200,000 bytes, key first: released", Sizes::Vary, exchange).await;
}

/// Each part is a read of its own.
async fn in_three_parts(tracer: &mut Tracer) {
    let exchange = async |stack: &Stack| {
        let mut client = stack.connect().await;
        let mut sent = bytes_read(stack).await;
        let (head, body) = (post().header("content-length", "3000").http1_head(), key_last("acme", 3_000));
        for part in std::iter::once(&head[..]).chain(body.as_bytes().chunks(1_000)) {
            client.write(part).await.unwrap();
            sent += part.len();
            read_by_envoy(stack, sent).await;
        }
        assert_eq!(client.response("POST").await.unwrap().status, 200);
    };
    tracer.record("POST, HTTP/1.1, 3,000 bytes in three reads", Sizes::Exact, exchange).await;
}

/// Requests that the filter defers to the service.
async fn deferred(tracer: &mut Tracer) {
    let exchange = async |stack: &Stack| {
        let answer = in_two_parts(stack, Framing::Http2, post(), &key_last("acme", 200_000), &[]).await;
        assert_eq!(answer.status, 200);
    };
    tracer.record("POST, HTTP/2, 200,000 bytes, key last: deferred as stream", Sizes::Vary, exchange).await;
    let mut encoded = vec![0; 1_000];
    // The filter decodes no zstd.
    let length = zstd_safe::compress(encoded.as_mut_slice(), key_first("acme", 500).as_bytes(), 1).unwrap();
    encoded.truncate(length);
    let encoded = post().header("content-encoding", "zstd").body(encoded);
    tracer.http2("POST, HTTP/2, zstd: deferred as buffer", Sizes::Exact, encoded, 200).await;
}

/// Requests that end before their body does.
async fn ends(tracer: &mut Tracer) {
    let body = format!("{}{}", key_first("acme", 100_000), r#"{"tenant":{"id":"globex"}}"#);
    let exchange = async |stack: &Stack| {
        let answer = in_two_parts(stack, Framing::Http2, post(), &body, &[]).await;
        assert_eq!(answer.status, 400);
    };
    tracer.record("POST, HTTP/2, a second document behind the released one", Sizes::Vary, exchange).await;
    let exchange = async |stack: &Stack| {
        let client = stack.connect_h2().await;
        let mut stream = client.open(&post().header("content-length", "2000")).await.unwrap();
        let seen = || {
            callbacks(&stack.envoy().process().log()).iter().filter(|made| made.name == "proxy_on_request_body").count()
        };
        let before = seen();
        stream.data(r#"{"x":""#).await.unwrap();
        let held = wait::until("the body at the filter", || async { Ok((seen() > before).then_some(())) });
        held.await.unwrap();
        stream.reset();
        stack.admin().wait_for_stat("http.in.downstream_rq_active", |active| active == 0).await;
    };
    tracer.record("POST, HTTP/2, reset while the body is held", Sizes::Vary, exchange).await;
}

/// A report to the service, its answer, and a request that leased units admit.
async fn leases(tracer: &mut Tracer) {
    for _ in 0..3 {
        assert_eq!(tracer.stack.send(&keyed()).await.status, 200);
    }
    let found = wait::until("a report and its answer", || async {
        let made = callbacks(&tracer.log());
        let reported =
            made.iter().position(|callback| callback.calls.iter().any(|call| call.name == "proxy_grpc_call"));
        let Some(reported) = reported else { return Ok(None) };
        let answered = made[reported..].iter().find(|callback| callback.name == "proxy_on_grpc_receive");
        Ok(answered.map(|answered| vec![made[reported].clone(), answered.clone()]))
    });
    let mut found = found.await.unwrap();
    tracer.made.extend(found[0].calls.iter().map(|call| call.name.clone()));
    // The counters that have changed since the last tick.
    found[0].calls.retain(|call| !call.name.ends_with("_metric"));
    tracer.keep("tick: the first report of leases, without counters, and its answer", found, Sizes::Vary);
}
