//! OTLP over gRPC.

use std::time::Duration;

use hyper::{HeaderMap, Uri};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use super::TraceError;
use super::client::{ExportError, MAX_RESPONSE, Retry, user_agent, with_causes};
use super::connector::OtlpConnector;
use super::endpoint::OtlpEndpoint;

/// The client of one receiver, on the runtime at hand.
#[derive(Clone, Debug)]
pub(super) struct OtlpGrpcClient {
    client: TraceServiceClient<Channel>,
}

impl OtlpGrpcClient {
    /// A client that connects when there is something to send.
    ///
    /// # Errors
    /// The endpoint is not valid as a URL.
    pub(super) fn new(connector: OtlpConnector, endpoint: &OtlpEndpoint) -> Result<Self, TraceError> {
        let bad = |error: &dyn std::error::Error| TraceError::Endpoint(error.to_string());
        let origin = endpoint.origin().parse::<Uri>().map_err(|error| bad(&error))?;
        // The connector speaks TLS, so tonic must not see `https`.
        let endpoint =
            Endpoint::from_shared(format!("http://{}", endpoint.authority())).map_err(|error| bad(&error))?;
        let endpoint = endpoint.origin(origin).user_agent(user_agent()).map_err(|error| bad(&error))?;
        let channel = endpoint.connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
            let connector = connector.clone();
            async move { connector.connect().await }
        }));
        Ok(Self { client: TraceServiceClient::new(channel).max_decoding_message_size(MAX_RESPONSE) })
    }

    /// Sends spans once.
    pub(super) async fn send(
        &self,
        message: ExportTraceServiceRequest,
        fields: &HeaderMap,
    ) -> Result<ExportTraceServiceResponse, ExportError> {
        let mut call = Request::new(message);
        *call.metadata_mut() = MetadataMap::from_headers(fields.clone());
        let answer = self.client.clone().export(call).await;
        answer.map(tonic::Response::into_inner).map_err(|status| ExportError {
            retry: retry(status.code(), status.get_details_retry_info().and_then(|info| info.retry_delay)),
            text: text(&status),
        })
    }
}

/// Whether OTLP allows another attempt after this status. A receiver that is full says by a wait that it will have room.
fn retry(code: Code, wait: Option<Duration>) -> Retry {
    match (code, wait) {
        (Code::ResourceExhausted, None) => Retry::Never,
        (Code::ResourceExhausted | Code::Unavailable, Some(wait)) => Retry::After(wait),
        (
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss,
            _,
        ) => Retry::Soon,
        _ => Retry::Never,
    }
}

/// `Unavailable: tcp connect error: Connection refused`.
fn text(status: &Status) -> String {
    let cause = std::error::Error::source(status).map(|cause| format!(": {}", with_causes(cause))).unwrap_or_default();
    format!("{:?}: {}{cause}", status.code(), status.message())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_protocol_allows_is_tried_again() {
        let second = Duration::from_secs(1);
        for (code, wait, expected) in [
            (Code::Unavailable, None, Retry::Soon),
            (Code::Unavailable, Some(second), Retry::After(second)),
            (Code::ResourceExhausted, None, Retry::Never),
            (Code::ResourceExhausted, Some(second), Retry::After(second)),
            (Code::DeadlineExceeded, Some(second), Retry::Soon),
            (Code::DataLoss, None, Retry::Soon),
            (Code::InvalidArgument, Some(second), Retry::Never),
            (Code::Unauthenticated, None, Retry::Never),
            (Code::Unimplemented, None, Retry::Never),
            (Code::Unknown, None, Retry::Never),
        ] {
            assert_eq!(retry(code, wait), expected, "{code:?} {wait:?}");
        }
    }
}
