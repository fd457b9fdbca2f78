//! A real client and a real server: both tonic.

use std::convert::Infallible;
use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::uri::PathAndQuery;
use serde_json::Value;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::body::Body;
use tonic::client::Grpc as Client;
use tonic::codec::CompressionEncoding;
use tonic::codegen::{BoxFuture, Context, Pin, Poll, Service};
use tonic::server::{Grpc, NamedService};
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::*;

/// Sends each order back, or only the last one (`/shop.Orders/Last`). Reads and sends gzip.
#[derive(Clone, Default)]
struct Orders {
    calls: Arc<AtomicU64>,
}

impl NamedService for Orders {
    const NAME: &'static str = "shop.Orders";
}

impl Service<http::Request<Body>> for Orders {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let codec = ProstCodec::<Order, Order>::default();
        let mut server =
            Grpc::new(codec).accept_compressed(CompressionEncoding::Gzip).send_compressed(CompressionEncoding::Gzip);
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/shop.Orders/Last" => server.client_streaming(Last, request).await,
                _ => server.streaming(Echo, request).await,
            })
        })
    }
}

struct Echo;

impl Service<tonic::Request<Streaming<Order>>> for Echo {
    type Response = Response<Pin<Box<dyn Stream<Item = Result<Order, Status>> + Send>>>;
    type Error = Status;
    type Future = std::future::Ready<Result<Self::Response, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: tonic::Request<Streaming<Order>>) -> Self::Future {
        ready(Ok(Response::new(Box::pin(request.into_inner()))))
    }
}

struct Last;

impl Service<tonic::Request<Streaming<Order>>> for Last {
    type Response = Response<Order>;
    type Error = Status;
    type Future = BoxFuture<Self::Response, Status>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: tonic::Request<Streaming<Order>>) -> Self::Future {
        let mut orders = request.into_inner();
        Box::pin(async move {
            let mut last = Order::default();
            while let Some(order) = orders.message().await? {
                last = order;
            }
            Ok(Response::new(last))
        })
    }
}

/// Starts the server. It stops with the test's runtime.
async fn serve(orders: Orders) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(Server::builder().add_service(orders).serve_with_incoming(TcpListenerStream::new(listener)));
    address
}

/// Sends the requests of `cell-b` to another server.
fn cell_b_at(address: SocketAddr) -> impl FnOnce(&mut Value) + Send + 'static {
    move |bootstrap| {
        let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().expect("clusters");
        let cluster = clusters.iter_mut().find(|cluster| cluster["name"] == "cell-b").expect("cell-b");
        let endpoint = &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
        endpoint["address"]["socket_address"]["port_value"] = json!(address.port());
    }
}

async fn client(stack: &Stack, is_compressed: bool) -> Client<Channel> {
    let channel = Endpoint::from_shared(format!("http://{}", stack.address())).unwrap().connect().await.unwrap();
    let client = Client::new(channel);
    let mut client = match is_compressed {
        true => client.send_compressed(CompressionEncoding::Gzip).accept_compressed(CompressionEncoding::Gzip),
        false => client,
    };
    client.ready().await.unwrap();
    client
}

fn codec() -> ProstCodec<Order, Order> {
    ProstCodec::default()
}

const ECHO: PathAndQuery = PathAndQuery::from_static("/shop.Orders/Echo");
const LAST: PathAndQuery = PathAndQuery::from_static("/shop.Orders/Last");

async fn every_kind_of_call(stack: &Stack, is_compressed: bool) {
    let mut client = client(stack, is_compressed).await;
    let unary = client.unary(tonic::Request::new(Order::of("acme")), ECHO, codec()).await.unwrap();
    assert_eq!(*unary.get_ref(), Order::of("acme"));

    let orders = [Order::of("acme"), Order::without_tenant(100_000), Order { payload: vec![1], ..Order::of("acme") }];
    client.ready().await.unwrap();
    let last = client.client_streaming(tonic::Request::new(tokio_stream::iter(orders.clone())), LAST, codec()).await;
    assert_eq!(*last.unwrap().get_ref(), orders[2]);

    client.ready().await.unwrap();
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    sender.send(orders[0].clone()).await.unwrap();
    let answer = client.streaming(tonic::Request::new(ReceiverStream::new(receiver)), ECHO, codec()).await.unwrap();
    let mut answers = answer.into_inner();
    assert_eq!(answers.message().await.unwrap(), Some(orders[0].clone()));
    for order in &orders[1..] {
        sender.send(order.clone()).await.unwrap();
        assert_eq!(answers.next().await.unwrap().unwrap(), *order);
    }
    drop(sender);
    assert_eq!(answers.message().await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_tonic_are_routed_by_both_tiers() {
    for is_compressed in [false, true] {
        let orders = Orders::default();
        let address = serve(orders.clone()).await;
        let stack = Stack::start(options().adjust(cell_b_at(address))).await;
        if is_compressed && may_close_the_processors_stream(&stack).await {
            return;
        }
        every_kind_of_call(&stack, is_compressed).await;
        assert_eq!(orders.calls.load(Ordering::Relaxed), 3);
        assert_eq!(stack.ext_proc_streams().await, if is_compressed { 3 } else { 0 });
        assert_eq!(arrived(&stack), 0, "only the real server has them");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_of_tonic_has_its_status() {
    let stack = Stack::start(options()).await;
    let mut client = client(&stack, false).await;
    let refused = client.unary(tonic::Request::new(Order::without_tenant(1)), ECHO, codec()).await;
    let status = refused.expect_err("a refusal");
    assert!(status.message().starts_with("key_missing: "), "{status:?}");
    assert_ne!(status.code(), Code::Ok);
    client.ready().await.unwrap();
    let orders = tokio_stream::iter([Order::of("acme"), Order::of("globex")]);
    let refused = client.client_streaming(tonic::Request::new(orders), LAST, codec()).await;
    assert_ne!(refused.expect_err("a conflict").code(), Code::Ok);
    assert_eq!(stack.cell("cell-b").complete(), 0);
}
