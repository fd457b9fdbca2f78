//! The connections of the admin port. Each has one request, and their number is bounded: a new one closes the oldest. So clients
//! that ask and never read take no more memory, and a probe always gets a connection. The rate of new connections is not bounded:
//! a client that opens thousands a second takes this thread's time, and only a NetworkPolicy keeps it away.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tower::ServiceExt;

use crate::metrics::AdminMetrics;

/// The connections at a time, at most. Probes, scrapers and operators need a few.
const MAX_CONNECTIONS: usize = 256;

/// The head of a request may take this long to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The pause after a failed `accept`, most likely for lack of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts and serves connections until the future is dropped, which closes them.
pub(crate) async fn serve(listener: TcpListener, routes: Router, metrics: AdminMetrics) {
    let mut connections = JoinSet::new();
    let mut by_age: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let Ok((stream, client)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        by_age.retain(|connection| !connection.is_finished());
        if by_age.len() >= MAX_CONNECTIONS
            && let Some(oldest) = by_age.pop_front()
        {
            oldest.abort();
            metrics.displaced();
        }
        by_age.push_back(connections.spawn(connection(stream, client, routes.clone())));
    }
}

async fn connection(stream: TcpStream, client: SocketAddr, routes: Router) {
    let answer = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(client));
        routes.clone().oneshot(request.map(Body::new))
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).keep_alive(false);
    // What ends a connection early is the client's.
    let _ended = server.serve_connection(TokioIo::new(stream), answer).await;
}
