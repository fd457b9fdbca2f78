//! How a service sees the end of a request's response (docs/decisions/0029): Envoy keeps the ext_proc stream open until then
//! if the response's trailers are asked for.

mod observer;

use cellgate_tests::client::{Http1, Request};
use cellgate_tests::options::{Chain, Options};
use cellgate_tests::stack::Stack;
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::ProcessingMode;
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::{BodySendMode, HeaderSendMode};
use serde_json::{Value, json};
use tonic::Status;

use crate::raw_cell::{RawCell, RawRequest};
use crate::support::connection_manager;
use observer::{Observer, Record};

/// The way in which the trailers of responses are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// Not at all.
    Not,
    /// By the filter's configuration.
    Always,
    /// By the answer to the request's headers.
    ByOverride,
    /// So, without `allow_mode_override`.
    ByRefusedOverride,
}

/// The ways that keep the stream open.
const WAYS: [(BodySendMode, Asked); 5] = [
    (BodySendMode::None, Asked::Always),
    (BodySendMode::None, Asked::ByOverride),
    (BodySendMode::Buffered, Asked::Always),
    (BodySendMode::Buffered, Asked::ByOverride),
    (BodySendMode::FullDuplexStreamed, Asked::Always),
];

/// The ways that have no effect.
const NO_WAYS: [(BodySendMode, Asked); 4] = [
    (BodySendMode::None, Asked::ByRefusedOverride),
    (BodySendMode::Buffered, Asked::ByRefusedOverride),
    (BodySendMode::FullDuplexStreamed, Asked::ByRefusedOverride),
    (BodySendMode::FullDuplexStreamed, Asked::ByOverride),
];

/// A part of a response.
const FIRST: &str = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst";
const REST: &str = "final";

const WITH_TRAILERS: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n";

fn processor(body: BodySendMode, asked: Asked) -> Value {
    json!({
        "name": "observer",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
            "grpc_service": {"envoy_grpc": {"cluster_name": "observer", "authority": "observer"}},
            "message_timeout": "10s",
            "status_on_error": {"code": "ServiceUnavailable"},
            "allow_mode_override": asked == Asked::ByOverride,
            "processing_mode": {
                "request_header_mode": "SEND",
                "request_body_mode": body.as_str_name(),
                "request_trailer_mode": if body == BodySendMode::None { "SKIP" } else { "SEND" },
                "response_header_mode": "SKIP",
                "response_trailer_mode": if asked == Asked::Always { "SEND" } else { "SKIP" },
            },
        },
    })
}

fn override_of(body: BodySendMode) -> ProcessingMode {
    ProcessingMode {
        request_body_mode: body.into(),
        request_trailer_mode: HeaderSendMode::Send.into(),
        response_header_mode: HeaderSendMode::Skip.into(),
        response_trailer_mode: HeaderSendMode::Send.into(),
        ..Default::default()
    }
}

/// Envoy with the observer, and a cell whose answers the test writes.
struct Watched {
    stack: Stack,
    cell: RawCell,
    observer: Observer,
}

impl Watched {
    async fn start((body, asked): (BodySendMode, Asked)) -> Self {
        Self::start_with((body, asked), Options::default()).await
    }

    async fn start_with((body, asked): (BodySendMode, Asked), options: Options) -> Self {
        let overrides = matches!(asked, Asked::ByOverride | Asked::ByRefusedOverride);
        let mode_override = overrides.then(|| override_of(body));
        let observer = Observer::start(mode_override, body == BodySendMode::FullDuplexStreamed).await;
        let cell = RawCell::start().await;
        let port = observer.address().port();
        let insert = move |bootstrap: &mut Value| {
            let filters = connection_manager(bootstrap)["http_filters"].as_array_mut().unwrap();
            filters.insert(0, processor(body, asked));
            let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().unwrap();
            clusters.push(json!({
                "name": "observer",
                "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": {"http2_protocol_options": {}},
                }},
                "load_assignment": {"cluster_name": "observer", "endpoints": [{"lb_endpoints": [{"endpoint":
                    {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}}]}]},
            }));
        };
        let options = options.chain(Chain::Plain).adjust(cell.in_place_of("cell-b")).adjust(insert);
        Self { stack: Stack::start(options).await, cell, observer }
    }

    /// Sends a request, and waits until it is at the cell.
    async fn send(&self, request: Request) -> (Http1, RawRequest) {
        let mut client = self.stack.connect().await;
        client.write(request.header("x-cell", "cell-b").to_http1()).await.unwrap();
        (client, self.cell.accept().await)
    }

    /// Sends a request whose response begins and does not end.
    async fn begin(&self) -> (Http1, RawRequest) {
        let (mut client, mut request) = self.send(post()).await;
        request.write(FIRST).await;
        assert_eq!(client.head().await.unwrap().status, 200);
        client.bytes(5).await.unwrap();
        (client, request)
    }

    /// The record of the first stream. Another request over the connection to the observer brings everything that Envoy has
    /// sent before.
    async fn first(&self) -> Record {
        let (mut client, mut request) = self.send(post()).await;
        request.answer(200).await;
        assert_eq!(client.response("POST").await.unwrap().status, 200);
        self.observer.streams()[0].clone()
    }

    /// Waits until Envoy has no stream to the observer.
    async fn no_stream(&self) {
        self.stack.admin().wait_for_stat("cluster.observer.upstream_rq_active", |active| active == 0).await;
    }
}

fn post() -> Request {
    Request::post("/").json("{}")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_lives_until_the_response_has_ended_and_costs_no_message() {
    for way in WAYS {
        let watched = Watched::start(way).await;
        let (mut client, mut request) = watched.send(post()).await;
        let pending = watched.first().await;
        assert!(!pending.has_ended, "{way:?}");
        request.write(FIRST).await;
        client.head().await.unwrap();
        assert_eq!(watched.first().await, pending, "{way:?}");
        request.write(REST).await;
        client.bytes(10).await.unwrap();
        watched.observer.ended(0).await;
        assert_eq!(watched.observer.streams()[0].messages, pending.messages, "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_of_a_response_are_a_message_where_the_asking_has_an_effect() {
    for (ways, expected) in [(&WAYS[..], 1), (&NO_WAYS[..], 0)] {
        for way in ways {
            let watched = Watched::start(*way).await;
            let (mut client, mut request) = watched.send(post()).await;
            request.write(WITH_TRAILERS).await;
            assert_eq!(client.response("POST").await.unwrap().status, 200);
            watched.observer.ended(0).await;
            let messages = &watched.observer.streams()[0].messages;
            let responses = messages.iter().filter(|kind| kind.starts_with("response")).count();
            assert_eq!(responses, expected, "{way:?}: {messages:?}");
        }
    }
}

/// Where nobody asks for the response, the versions differ.
#[tokio::test(flavor = "multi_thread")]
async fn without_asking_the_stream_may_end_before_the_response() {
    for body in [BodySendMode::None, BodySendMode::Buffered, BodySendMode::FullDuplexStreamed] {
        let watched = Watched::start((body, Asked::Not)).await;
        let version = watched.stack.admin().version().await.unwrap();
        let (mut client, mut request) = watched.send(post()).await;
        println!("Envoy {version}, {}: ended early: {}", body.as_str_name(), watched.first().await.has_ended);
        request.answer(200).await;
        assert_eq!(client.response("POST").await.unwrap().status, 200);
        watched.observer.ended(0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_ends_with_a_response_that_breaks_off() {
    for way in WAYS {
        let watched = Watched::start(way).await;
        let (client, request) = watched.send(post()).await;
        client.reset().unwrap();
        request.closed().await;
        watched.observer.ended(0).await;
        let (client, _request) = watched.begin().await;
        client.reset().unwrap();
        watched.observer.ended(1).await;
        let (mut client, request) = watched.send(post()).await;
        drop(request);
        assert_eq!(client.response("POST").await.unwrap().status, 503);
        watched.observer.ended(2).await;
        let (_client, request) = watched.begin().await;
        drop(request);
        watched.observer.ended(3).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_ends_with_a_timeout_of_the_route() {
    for way in WAYS {
        let a_second = |bootstrap: &mut Value| {
            let routes = &mut connection_manager(bootstrap)["route_config"]["virtual_hosts"][0]["routes"];
            for route in routes.as_array_mut().unwrap().iter_mut().filter(|route| route.get("route").is_some()) {
                route["route"]["timeout"] = json!("1s");
            }
        };
        let watched = Watched::start_with(way, Options::default().adjust(a_second)).await;
        let (mut client, _request) = watched.send(post()).await;
        assert_eq!(client.response("POST").await.unwrap().status, 504);
        watched.observer.ended(0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_has_the_stream_of_its_request() {
    for way in WAYS {
        let watched = Watched::start_with(way, Options::default().retries(1)).await;
        let (mut client, mut request) = watched.send(post()).await;
        request.answer(503).await;
        let mut again = watched.cell.accept().await;
        assert!(!watched.observer.streams()[0].has_ended, "{way:?}");
        again.answer(200).await;
        assert_eq!(client.response("POST").await.unwrap().status, 200);
        watched.observer.ended(0).await;
        assert_eq!(watched.observer.streams().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_has_its_stream_until_it_is_closed() {
    for asked in [Asked::Always, Asked::ByOverride] {
        let watched = Watched::start((BodySendMode::None, asked)).await;
        let upgrade = Request::get("/socket").header("connection", "upgrade").header("upgrade", "websocket");
        let (mut client, mut request) = watched.send(upgrade).await;
        request.write("HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello").await;
        assert_eq!(client.response("GET").await.unwrap().status, 101);
        client.bytes(5).await.unwrap();
        assert!(!watched.first().await.has_ended);
        drop(client);
        watched.observer.ended(0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_ends_the_stream_with_ok_does_not_harm_the_response() {
    for way in WAYS {
        let watched = Watched::start(way).await;
        let (mut pending, mut pending_request) = watched.send(post()).await;
        let (mut begun, mut begun_request) = watched.begin().await;
        watched.observer.end_streams(Status::ok(""));
        watched.no_stream().await;
        pending_request.answer(200).await;
        assert_eq!(pending.response("POST").await.unwrap().status, 200, "{way:?}");
        begun_request.write(REST).await;
        assert_eq!(begun.bytes(5).await.unwrap(), REST, "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_fails_breaks_the_response() {
    for way in WAYS {
        for killed in [false, true] {
            let mut watched = Watched::start(way).await;
            let (mut pending, _pending_request) = watched.send(post()).await;
            let (mut begun, mut begun_request) = watched.begin().await;
            if killed {
                watched.observer.kill();
            } else {
                watched.observer.end_streams(Status::unavailable("gone"));
            }
            watched.no_stream().await;
            assert_eq!(pending.response("POST").await.unwrap().status, 503, "{way:?}");
            begun_request.write(REST).await;
            assert!(begun.bytes(5).await.is_err(), "{way:?}");
        }
    }
}
