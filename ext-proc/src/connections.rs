//! HTTP/2 connections: from the bound port to the gRPC services.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::{Request, Response};
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

use crate::admission::Admission;
use crate::incoming::Incoming;
use crate::listen::Listener;
use crate::process::service::{self, Processor};
use crate::rate_limit_service::{self, RateLimitService};
use crate::sync::{self, SyncService};
use crate::workers::{Connections, Workers};

/// The interval of HTTP/2 pings. They find peers whose host or network has failed.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// A connection is closed if a ping is not answered within this long.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// How many requests a peer may cancel before the service has accepted them. Envoy carries many clients' requests on one
/// connection. With h2's default of 20, the cancellations of one client would end the requests of all.
const MAX_RESETS: usize = 100_000;

/// The flow-control window of a stream, in bytes. It exceeds one read of Envoy at its usual buffer limit.
const STREAM_WINDOW: u32 = 256 * 1024;

/// The flow-control window of a connection. It is no limit in practice, because unread streams must not starve the others.
/// The effective limit of unread payload is [`STREAM_WINDOW`] times the streams. HTTP/2 keeps some memory for each unread
/// frame beside that.
const CONNECTION_WINDOW: u32 = 1 << 30;

/// The most bytes of the header fields of a call. Envoy copies the client's request id and trace context into them, whose size only
/// its own `max_request_headers_kb` bounds: 60 KiB by default. With h2's default of 16 KiB, a long id would fail its call, and
/// one of several times that the connection with the calls of others.
const MAX_HEADER_LIST: u32 = 1 << 20;

/// The services on the gRPC port.
#[derive(Clone, Debug)]
pub(crate) struct Services {
    /// `envoy.service.ext_proc.v3.ExternalProcessor`.
    pub processor: Processor,
    /// `envoy.service.ratelimit.v3.RateLimitService`.
    pub rate_limits: RateLimitService,
    /// `cellgate.sync.v1.SyncService`.
    pub sync: SyncService,
    /// `grpc.health.v1.Health`.
    pub health: HealthServer<HealthService>,
}

/// Accepts and serves connections until `stop` is true, and then waits until the last one is closed.
///
/// # Errors
/// The worker threads cannot be started.
pub(crate) async fn serve(
    listener: Listener,
    admission: Admission,
    services: Services,
    max_streams: u32,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut stop_accepting = pin!(stopped(stop.clone()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let metrics = admission.metrics().runtime().clone();
    let workers = Workers::start(threads, move |connections| {
        serve_worker(connections, admission.clone(), services.clone(), max_streams, stop.clone())
    })?;
    metrics.observe_workers(workers.runtimes());
    let mut incoming = Incoming::new(listener);
    loop {
        let connection = tokio::select! {
            connection = incoming.next() => connection,
            () = &mut stop_accepting => break,
        };
        if let Some(Ok(connection)) = connection
            && let Err(error) = workers.dispatch(connection)
        {
            tracing::error!(event = "connection_dropped", %error, "dropped a connection: no worker thread accepts it");
        }
    }
    // Stop accepting connections.
    drop(incoming);
    workers.closed().await;
    Ok(())
}

/// Serves the connections of one worker until `stop` is true and the last one is closed.
async fn serve_worker(
    mut connections: Connections,
    admission: Admission,
    services: Services,
    max_streams: u32,
    stop: watch::Receiver<bool>,
) {
    let (admitted, incoming) = mpsc::unbounded_channel();
    let admitting = async {
        while let Some(connection) = connections.next().await {
            let (admission, admitted) = (admission.clone(), admitted.clone());
            tokio::spawn(async move {
                if let Some(connection) = admission.admit(connection).await {
                    // After `stop` the send fails and the connection closes.
                    let _stopped = admitted.send(connection);
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
        .max_concurrent_streams(max_streams)
        .http2_max_header_list_size(MAX_HEADER_LIST)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT));
    let incoming = UnboundedReceiverStream::new(incoming).map(Ok::<_, Infallible>);
    let serving = server.serve_with_incoming_shutdown(services, incoming, stopped(stop));
    tokio::select! {
        ended = serving => {
            if let Err(error) = ended {
                tracing::error!(event = "worker_stopped", %error, "a worker thread stopped serving connections");
            }
        }
        () = admitting => {}
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
            if let Some(rejection) = service::reject_non_grpc(&request) {
                return Box::pin(ready(Ok(rejection.map(|()| Body::empty()))));
            }
            let processing = self.processor.clone().process(request);
            return Box::pin(async { Ok(processing.await) });
        }
        if path == rate_limit_service::PATH {
            if let Some(rejection) = service::reject_non_grpc(&request) {
                return Box::pin(ready(Ok(rejection.map(|()| Body::empty()))));
            }
            let answering = self.rate_limits.clone().should_rate_limit(request);
            return Box::pin(async { Ok(answering.await) });
        }
        if path == sync::PATH {
            if let Some(rejection) = service::reject_non_grpc(&request) {
                return Box::pin(ready(Ok(rejection.map(|()| Body::empty()))));
            }
            let answering = self.sync.clone().sync(request);
            return Box::pin(async { Ok(answering.await) });
        }
        let health_method =
            path.strip_prefix('/').and_then(|path| path.strip_prefix(HealthServer::<HealthService>::NAME));
        if health_method.is_some_and(|rest| rest.starts_with('/')) {
            return self.health.call(request);
        }
        Box::pin(ready(Ok(Status::unimplemented("").into_http())))
    }
}

/// Waits until `stop` is true.
async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that the sender is dropped, which also stops the service.
    let _stopped = stop.wait_for(|stop| *stop).await;
}
