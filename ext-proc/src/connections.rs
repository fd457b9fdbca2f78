//! HTTP/2 connections: from a bound port to the services that answer.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::{Request, Response};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthService;

use crate::incoming::Incoming;
use crate::process::service::{self, Processor};
use crate::workers::{Connection, Connections, Workers};

/// A peer that does not answer a ping this often, within this long, is gone: Envoy's host died, or the network did.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// What an HTTP/2 client says first, of itself (RFC 9113, section 3.4): so many bytes.
const PREFACE: usize = 24;

/// How often it is looked whether the rest of a preface has come. They come together but for a client that plays.
const DRIBBLE: Duration = Duration::from_millis(100);

/// Requests that a peer may cancel before we have accepted them. Envoy carries the requests of many clients on one
/// connection, so h2's default (20) would let one client's cancellations end it, and every request on it.
const MAX_RESETS: usize = 100_000;

/// What a stream may send unread, in bytes: a read of Envoy's at its usual buffer limit, with room.
const STREAM_WINDOW: u32 = 256 * 1024;

/// What a connection may send unread. Streams that are not read must not starve those that are, so that this is no
/// limit in practice; the bound is [`STREAM_WINDOW`] times the streams, of payload: what HTTP/2 keeps
/// beside each unread frame is not in it.
const CONNECTION_WINDOW: u32 = 1 << 30;

/// What answers on the gRPC port.
#[derive(Clone, Debug)]
pub struct Services {
    /// Envoy's questions.
    pub processor: Processor,
    /// `grpc.health.v1.Health`.
    pub health: HealthServer<HealthService>,
}

/// What a peer may do.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Streams on one connection at a time.
    pub max_streams: u32,
    /// A connection on which nobody has begun to speak HTTP/2 for this long is closed.
    pub silence: Duration,
}

/// Accepts connections and has them served, until `stop` turns true; then until the last one is closed.
///
/// # Errors
/// The threads that serve cannot be started.
pub async fn serve(
    listener: TcpListener,
    services: Services,
    limits: Limits,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut stopped = pin!(told(stop.clone()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = Workers::start(threads, move |given| served(given, services.clone(), limits, stop.clone()))?;
    let mut incoming = Incoming::new(listener);
    loop {
        let connection = tokio::select! {
            connection = incoming.next() => connection,
            () = &mut stopped => break,
        };
        if let Some(Ok(connection)) = connection
            && let Err(error) = workers.give(connection)
        {
            tracing::error!(%error, "a connection is lost");
        }
    }
    // Nobody is let in any more.
    drop(incoming);
    workers.finish().await;
    Ok(())
}

/// Serves the connections of one thread, until `stop` turns true and the last one is closed.
async fn served(mut given: Connections, services: Services, limits: Limits, stop: watch::Receiver<bool>) {
    let (speaking, spoken) = mpsc::unbounded_channel();
    let admitting = async {
        while let Some(connection) = given.next().await {
            let speaking = speaking.clone();
            tokio::spawn(async move {
                if tokio::time::timeout(limits.silence, speaks(&connection)).await.unwrap_or(false) {
                    // If nobody takes it any more, it is closed.
                    let _stopped = speaking.send(connection);
                }
            });
        }
        std::future::pending().await
    };
    let server = Server::builder()
        .http2_max_pending_accept_reset_streams(Some(MAX_RESETS))
        .http2_max_local_error_reset_streams(Some(MAX_RESETS))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(limits.max_streams)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT));
    let connections = UnboundedReceiverStream::new(spoken).map(Ok::<_, Infallible>);
    let serving = server.serve_with_incoming_shutdown(services, connections, told(stop));
    tokio::select! {
        ended = serving => {
            if let Err(error) = ended {
                tracing::error!(%error, "a thread serves no more connections");
            }
        }
        () = admitting => {}
    }
}

/// Waits for a whole preface, of whatever bytes. False if none can come any more.
async fn speaks(connection: &Connection) -> bool {
    let mut preface = [0; PREFACE];
    loop {
        match connection.peek(&mut preface).await {
            Ok(PREFACE) => return true,
            Ok(0) | Err(_) => return false,
            Ok(_) => tokio::time::sleep(DRIBBLE).await,
        }
    }
}

impl Service<Request<Body>> for Services {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        if path == service::PATH {
            if let Some(refused) = service::reject_non_grpc(&request) {
                return Box::pin(ready(Ok(refused.map(|()| Body::empty()))));
            }
            let processing = self.processor.clone().process(request);
            return Box::pin(async { Ok(processing.await) });
        }
        let of_health = path.strip_prefix('/').and_then(|path| path.strip_prefix(HealthServer::<HealthService>::NAME));
        if of_health.is_some_and(|rest| rest.starts_with('/')) {
            return self.health.call(request);
        }
        Box::pin(ready(Ok(Status::unimplemented("").into_http())))
    }
}

async fn told(mut stop: watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it any reason to go on.
    let _stopped = stop.wait_for(|stop| *stop).await;
}
