//! One export, over either protocol, with the retries that OTLP asks for.
//!
//! The exporter of OpenTelemetry's crates is not used: it tells nobody how many spans a receiver has rejected.

use std::time::Duration;

use hyper::HeaderMap;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use tokio::time::{Instant, sleep, timeout_at};

use super::connector::OtlpConnector;
use super::endpoint::OtlpEndpoint;
use super::grpc_client::OtlpGrpcClient;
use super::http_client::OtlpHttpClient;
use super::{OtlpProtocol, TraceError};
use crate::build;

/// How often an export is tried again at most.
const MAX_RETRIES: u32 = 3;

/// The wait before the first retry. Each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The largest answer that is read, in bytes. A receiver answers with a few.
pub(super) const MAX_RESPONSE: usize = 64 << 10;

/// A client of one receiver. Clones share its connection.
#[derive(Clone, Debug)]
pub(super) enum OtlpClient {
    /// gRPC.
    Grpc(OtlpGrpcClient),
    /// Protobuf messages over HTTP/1.1.
    Http(OtlpHttpClient),
}

/// An attempt that failed.
#[derive(Debug)]
pub(super) struct ExportError {
    /// For the log.
    pub text: String,
    /// Whether another attempt may succeed.
    pub retry: Retry,
}

/// Whether an attempt may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retry {
    /// The receiver would refuse the same spans again.
    Never,
    /// After a wait that grows.
    Soon,
    /// The receiver asks for a wait of at least this long.
    After(Duration),
}

impl OtlpClient {
    /// A client that connects when there is something to send.
    ///
    /// # Errors
    /// The endpoint is not valid as a URL.
    pub(super) fn new(
        protocol: OtlpProtocol,
        connector: OtlpConnector,
        endpoint: &OtlpEndpoint,
    ) -> Result<Self, TraceError> {
        match protocol {
            OtlpProtocol::Grpc => Ok(Self::Grpc(OtlpGrpcClient::new(connector, endpoint)?)),
            OtlpProtocol::Http => Ok(Self::Http(OtlpHttpClient::new(connector, endpoint))),
        }
    }

    /// Sends spans with these header fields, with retries for at most this long. The error is for the log.
    pub(super) async fn export(
        &self,
        message: ExportTraceServiceRequest,
        fields: &HeaderMap,
        time: Duration,
    ) -> Result<ExportTraceServiceResponse, String> {
        let deadline = Instant::now() + time;
        let (mut retries, mut next_wait) = (0, FIRST_WAIT);
        loop {
            let ExportError { text, retry } = match timeout_at(deadline, self.attempt(&message, fields)).await {
                Ok(Ok(response)) => return Ok(response),
                Ok(Err(error)) => error,
                Err(_) => return Err("the receiver did not answer in time".to_owned()),
            };
            let wait = match retry {
                Retry::Never => return Err(text),
                Retry::Soon => next_wait,
                Retry::After(wait) => wait.max(next_wait),
            } + jitter();
            if retries == MAX_RETRIES || Instant::now() + wait >= deadline {
                return Err(text);
            }
            sleep(wait).await;
            retries += 1;
            next_wait *= 2;
        }
    }

    async fn attempt(
        &self,
        message: &ExportTraceServiceRequest,
        fields: &HeaderMap,
    ) -> Result<ExportTraceServiceResponse, ExportError> {
        match self {
            Self::Grpc(client) => client.send(message.clone(), fields).await,
            Self::Http(client) => client.send(message, fields).await,
        }
    }
}

/// The name of this program, as receivers see it.
pub(super) fn user_agent() -> String {
    format!("cellgate/{}", build::VERSION)
}

/// An error with its causes. Many errors of libraries say nothing without them.
pub(super) fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}

/// Up to 100 ms, so that services that failed together do not return together.
fn jitter() -> Duration {
    let [random, ..] = RandomIdGenerator::default().new_span_id().to_bytes();
    Duration::from_micros(u64::from(random) * 390)
}
