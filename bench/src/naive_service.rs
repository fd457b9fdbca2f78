//! A simple ext-proc service for comparison. Envoy buffers the body, and the service parses it into a
//! `serde_json::Value` and looks the value at `/tenant/id` up in a map.
//!
//! Its faults:
//! - It takes the last of two keys, even if the cell takes the first.
//! - A request without a body keeps the routing header of its client.
//! - Envoy answers a body that it cannot buffer with a 413 before it asks the service.
//! - The tree of a large body takes several times the body's memory.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use anyhow::Result;
use cellgate_tests::ports;
use envoy_types::pb::envoy::config::core::v3::header_value_option::HeaderAppendAction;
use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::{
    ExternalProcessor, ExternalProcessorServer,
};
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request as Event;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response as Reply;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    BodyResponse, CommonResponse, HeaderMutation, HeadersResponse, ProcessingRequest, ProcessingResponse,
    TrailersResponse,
};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_stream::Stream;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use crate::cases::TENANTS;
use crate::noop_service::{LISTENING, MAX_MESSAGE};

/// The routing header: the routes match on it.
const ROUTING_HEADER: &str = "x-cell";

/// The cell of each tenant.
type Cells = HashMap<String, String>;

/// Serves on a free port until the process ends.
///
/// # Errors
/// When no port is free, or the server fails.
pub(crate) async fn serve() -> Result<()> {
    let listener = TcpListener::bind(ports::ANY).await?;
    println!("{LISTENING}{}", listener.local_addr()?);
    let cells = TENANTS.iter().map(|(tenant, cell)| ((*tenant).to_owned(), (*cell).to_owned())).collect();
    let service = ExternalProcessorServer::new(Naive { cells: Arc::new(cells) }).max_decoding_message_size(MAX_MESSAGE);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Ok(Server::builder().add_service(service).serve_with_incoming(incoming).await?)
}

struct Naive {
    cells: Arc<Cells>,
}

#[tonic::async_trait]
impl ExternalProcessor for Naive {
    type ProcessStream = NaiveReplies;

    async fn process(&self, request: Request<Streaming<ProcessingRequest>>) -> Result<Response<NaiveReplies>, Status> {
        Ok(Response::new(NaiveReplies { incoming: request.into_inner(), cells: Arc::clone(&self.cells) }))
    }
}

/// The responses to the messages of one request, one for each.
struct NaiveReplies {
    incoming: Streaming<ProcessingRequest>,
    cells: Arc<Cells>,
}

impl Stream for NaiveReplies {
    type Item = Result<ProcessingResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // Envoy resets a finished stream.
        let Some(Ok(message)) = ready!(Pin::new(&mut self.incoming).poll_next(context)) else {
            return Poll::Ready(None);
        };
        let response = Some(answer(&self.cells, message));
        Poll::Ready(Some(Ok(ProcessingResponse { response, ..Default::default() })))
    }
}

fn answer(cells: &Cells, message: ProcessingRequest) -> Reply {
    match message.request {
        Some(Event::RequestBody(body)) => {
            Reply::RequestBody(BodyResponse { response: Some(route_to(cell_of(cells, &body.body))) })
        }
        Some(Event::RequestTrailers(_)) => Reply::RequestTrailers(TrailersResponse::default()),
        // The request headers: the benchmark's Envoy does not send response messages.
        _ => Reply::RequestHeaders(HeadersResponse::default()),
    }
}

/// The cell of the tenant in the body.
fn cell_of<'a>(cells: &'a Cells, body: &[u8]) -> Option<&'a str> {
    let document: Value = serde_json::from_slice(body).ok()?;
    let tenant = document.pointer("/tenant/id")?.as_str()?;
    cells.get(tenant).map(String::as_str)
}

/// Replaces or removes the client's routing header and makes Envoy select the route again.
fn route_to(cell: Option<&str>) -> CommonResponse {
    let mutation = match cell {
        Some(cell) => {
            let raw_value = cell.as_bytes().to_vec();
            let header = HeaderValue { key: ROUTING_HEADER.to_owned(), raw_value, ..Default::default() };
            let append_action = HeaderAppendAction::OverwriteIfExistsOrAdd.into();
            let option = HeaderValueOption { header: Some(header), append_action, ..Default::default() };
            HeaderMutation { set_headers: vec![option], ..Default::default() }
        }
        None => HeaderMutation { remove_headers: vec![ROUTING_HEADER.to_owned()], ..Default::default() },
    };
    CommonResponse { header_mutation: Some(mutation), clear_route_cache: true, ..Default::default() }
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::service::ext_proc::v3::HttpBody;

    use super::*;

    fn cells() -> Cells {
        Cells::from([("acme".to_owned(), "cell-b".to_owned())])
    }

    #[test]
    fn the_tenant_is_found_by_its_pointer() {
        let of = |body: &str| cell_of(&cells(), body.as_bytes()).map(str::to_owned);
        let found = Some("cell-b".to_owned());
        assert_eq!(of(r#"{"tenant":{"id":"acme"}}"#), found);
        assert_eq!(of(r#"{"tenant":{"id":"a\u0063me"},"x":1}"#), found);
        for undecidable in
            [r#"{"tenant":{"id":7}}"#, r#"{"x":{"tenant":{"id":"acme"}}}"#, r#"{"tenant":{"id":"acme"}"#, ""]
        {
            assert_eq!(of(undecidable), None, "{undecidable}");
        }
    }

    #[test]
    fn the_last_of_two_tenants_is_taken() {
        let body = r#"{"tenant":{"id":"acme"},"tenant":{"id":"globex"}}"#;
        assert_eq!(cell_of(&cells(), body.as_bytes()), None);
    }

    #[test]
    fn the_clients_routing_header_is_replaced_or_removed() {
        let mutation = |body: &str| {
            let body = HttpBody { body: body.into(), end_of_stream: true, ..Default::default() };
            let message = ProcessingRequest { request: Some(Event::RequestBody(body)), ..Default::default() };
            match answer(&cells(), message) {
                Reply::RequestBody(BodyResponse { response: Some(response) }) if response.clear_route_cache => {
                    response.header_mutation.unwrap()
                }
                other => panic!("{other:?}"),
            }
        };
        let known = mutation(r#"{"tenant":{"id":"acme"}}"#);
        assert_eq!(known.set_headers[0].header.as_ref().unwrap().raw_value, b"cell-b");
        assert_eq!(known.set_headers[0].append_action(), HeaderAppendAction::OverwriteIfExistsOrAdd);
        assert_eq!(mutation("{}").remove_headers, [ROUTING_HEADER]);
    }
}
