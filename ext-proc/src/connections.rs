//! HTTP/2 connections: from a bound port to the services that answer.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming as RequestBody};
use hyper::server::conn::http2;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_stream::StreamExt;
use tonic::Status;
use tonic::codegen::Service as _;
use tonic::server::NamedService;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthService;

use crate::incoming::Incoming;
use crate::process::replies::Replies;
use crate::process::service::{self, Processor};
use crate::workers::Workers;

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
/// limit in practice; the bound is [`STREAM_WINDOW`] times the streams.
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
    let workers =
        Workers::start(threads, move |connection| connected(connection, services.clone(), limits, stop.clone()))?;
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

/// Serves one connection to its end.
async fn connected(connection: TcpStream, services: Services, limits: Limits, stop: watch::Receiver<bool>) {
    let mut stopped = pin!(told(stop));
    tokio::select! {
        spoken = tokio::time::timeout(limits.silence, speaks(&connection)) => {
            if !spoken.unwrap_or(false) {
                return;
            }
        }
        () = &mut stopped => {}
    }
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(MAX_RESETS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(limits.max_streams)
        .keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT);
    let mut served = pin!(builder.serve_connection(TokioIo::new(connection), services));
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = &mut served => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended");
                }
                return;
            }
            () = &mut stopped, if !stopping => {
                stopping = true;
                served.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Waits for a whole preface, of whatever bytes. False if none can come any more.
async fn speaks(connection: &TcpStream) -> bool {
    let mut preface = [0; PREFACE];
    loop {
        match connection.peek(&mut preface).await {
            Ok(PREFACE) => return true,
            Ok(0) | Err(_) => return false,
            Ok(_) => tokio::time::sleep(DRIBBLE).await,
        }
    }
}

impl Service<Request<RequestBody>> for Services {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<RequestBody>) -> Answering {
        let path = request.uri().path();
        if path == service::PATH {
            if let Some(refused) = service::misses(&request) {
                return Answering::Now(ready(Ok(refused.map(|()| Answer::Nothing))));
            }
            return Answering::Now(ready(Ok(self.processor.process(request).map(Answer::Ours))));
        }
        let of_health = path.strip_prefix('/').and_then(|path| path.strip_prefix(HealthServer::<HealthService>::NAME));
        if of_health.is_some_and(|rest| rest.starts_with('/')) {
            let mut health = self.health.clone();
            return Answering::Later(Box::pin(async move {
                health.call(request).await.map(|response| response.map(Answer::Other))
            }));
        }
        Answering::Now(ready(Ok(Status::unimplemented("").into_http::<tonic::body::Body>().map(Answer::Other))))
    }
}

/// The body of a response.
#[derive(Debug)]
pub enum Answer {
    /// From our service.
    Ours(Replies),
    /// From tonic's.
    Other(tonic::body::Body),
    /// None.
    Nothing,
}

/// A response that is there, or comes.
pub enum Answering {
    /// It is there.
    Now(Ready<Result<Response<Answer>, Infallible>>),
    /// It comes.
    Later(Pin<Box<dyn Future<Output = Result<Response<Answer>, Infallible>> + Send>>),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match &mut *self {
            Self::Ours(replies) => Pin::new(replies).poll_frame(context).map_err(|never| match never {}),
            Self::Other(body) => Pin::new(body).poll_frame(context),
            Self::Nothing => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Ours(replies) => replies.is_end_stream(),
            Self::Other(body) => body.is_end_stream(),
            Self::Nothing => true,
        }
    }
}

impl Future for Answering {
    type Output = Result<Response<Answer>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Now(response) => Pin::new(response).poll(context),
            Self::Later(response) => response.as_mut().poll(context),
        }
    }
}

async fn told(mut stop: watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it any reason to go on.
    let _stopped = stop.wait_for(|stop| *stop).await;
}
