//! A RateLimitService that decides nothing: the least that a call can cost. It runs in its own process, so that its CPU
//! time is separate from the benchmark's.

use std::time::Duration;

use anyhow::Result;
use cellgate_tests::ports;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::Code;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_service_server::{
    RateLimitService, RateLimitServiceServer,
};
use envoy_types::pb::envoy::service::ratelimit::v3::{RateLimitRequest, RateLimitResponse};
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::noop_service::LISTENING;

/// Serves on a free port until the process ends. The settings of the server are those of `cellgate serve`
/// (`ext-proc/src/connections.rs`), and as there, one thread serves a whole connection.
///
/// # Errors
/// When no port is free, or the server fails.
pub(crate) async fn serve() -> Result<()> {
    tokio::task::spawn_blocking(|| {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve_here())
    })
    .await?
}

async fn serve_here() -> Result<()> {
    let listener = TcpListener::bind(ports::ANY).await?;
    println!("{LISTENING}{}", listener.local_addr()?);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = Server::builder()
        .http2_max_pending_accept_reset_streams(Some(100_000))
        .http2_max_local_error_reset_streams(Some(100_000))
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(1 << 30)
        .max_concurrent_streams(10_000)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .add_service(RateLimitServiceServer::new(Undecided));
    Ok(server.serve_with_incoming(incoming).await?)
}

struct Undecided;

#[tonic::async_trait]
impl RateLimitService for Undecided {
    async fn should_rate_limit(&self, _: Request<RateLimitRequest>) -> Result<Response<RateLimitResponse>, Status> {
        Ok(Response::new(RateLimitResponse { overall_code: Code::Ok.into(), ..RateLimitResponse::default() }))
    }
}
