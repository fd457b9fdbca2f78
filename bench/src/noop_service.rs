//! An ext-proc service that changes nothing. It shows the cost of calling any service. It runs in its own process, so
//! that its CPU time is separate from the benchmark's.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use anyhow::Result;
use cellgate_tests::ports;
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::body_mutation::Mutation;
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::{
    ExternalProcessor, ExternalProcessorServer,
};
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request as Event;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response as Reply;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    BodyMutation, BodyResponse, CommonResponse, HeadersResponse, HttpBody, ProcessingRequest, ProcessingResponse,
    StreamedBodyResponse, TrailersResponse,
};
use tokio::net::TcpListener;
use tokio_stream::Stream;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

/// The text that the process prints before its address when it accepts connections.
pub(crate) const LISTENING: &str = "listening on ";

/// The size of one response chunk. Envoy accepts at most 64 KiB.
const PIECE: usize = 64_000;

/// The message size limit, above every body of the benchmark: `BUFFERED` sends a body in one message.
pub(crate) const MAX_MESSAGE: usize = 16 * 1024 * 1024;

/// Serves on a free port until the process ends.
///
/// # Errors
/// When no port is free, or the server fails.
pub(crate) async fn serve() -> Result<()> {
    let listener = TcpListener::bind(ports::ANY).await?;
    println!("{LISTENING}{}", listener.local_addr()?);
    let service = ExternalProcessorServer::new(Noop).max_decoding_message_size(MAX_MESSAGE);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    Ok(Server::builder().add_service(service).serve_with_incoming(incoming).await?)
}

struct Noop;

#[tonic::async_trait]
impl ExternalProcessor for Noop {
    type ProcessStream = NoopReplies;

    async fn process(&self, request: Request<Streaming<ProcessingRequest>>) -> Result<Response<NoopReplies>, Status> {
        let incoming = request.into_inner();
        Ok(Response::new(NoopReplies { incoming, echoes: false, waiting: VecDeque::new() }))
    }
}

/// The responses to the messages of one request.
struct NoopReplies {
    incoming: Streaming<ProcessingRequest>,
    /// Whether the body must be sent back.
    echoes: bool,
    waiting: VecDeque<Reply>,
}

impl NoopReplies {
    fn take(&mut self, message: ProcessingRequest) {
        if let Some(protocol) = message.protocol_config {
            self.echoes = protocol.request_body_mode == BodySendMode::FullDuplexStreamed as i32;
        }
        match message.request {
            Some(Event::RequestHeaders(_)) => {
                self.waiting.push_back(Reply::RequestHeaders(HeadersResponse::default()));
            }
            Some(Event::RequestBody(body)) if self.echoes => echo(body, &mut self.waiting),
            Some(Event::RequestBody(_)) => self.waiting.push_back(Reply::RequestBody(BodyResponse::default())),
            Some(Event::RequestTrailers(_)) => {
                self.waiting.push_back(Reply::RequestTrailers(TrailersResponse::default()));
            }
            // The benchmark's Envoy does not send response messages.
            Some(Event::ResponseHeaders(_) | Event::ResponseBody(_) | Event::ResponseTrailers(_)) | None => (),
        }
    }
}

impl Stream for NoopReplies {
    type Item = Result<ProcessingResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(reply) = self.waiting.pop_front() {
                return Poll::Ready(Some(Ok(ProcessingResponse { response: Some(reply), ..Default::default() })));
            }
            match ready!(Pin::new(&mut self.incoming).poll_next(context)) {
                Some(Ok(message)) => self.take(message),
                // Envoy resets a finished stream.
                Some(Err(_)) | None => return Poll::Ready(None),
            }
        }
    }
}

/// Sends a chunk back: unchanged if it is small enough, otherwise copied in pieces of [`PIECE`].
fn echo(HttpBody { body, end_of_stream, .. }: HttpBody, waiting: &mut VecDeque<Reply>) {
    if body.len() <= PIECE {
        waiting.push_back(piece(body, end_of_stream));
        return;
    }
    let mut pieces = body.chunks(PIECE).peekable();
    while let Some(bytes) = pieces.next() {
        waiting.push_back(piece(bytes.to_vec(), end_of_stream && pieces.peek().is_none()));
    }
}

fn piece(body: Vec<u8>, end_of_stream: bool) -> Reply {
    let streamed = StreamedBodyResponse { body, end_of_stream, ..Default::default() };
    let mutation = BodyMutation { mutation: Some(Mutation::StreamedResponse(streamed)) };
    let response = CommonResponse { body_mutation: Some(mutation), ..Default::default() };
    Reply::RequestBody(BodyResponse { response: Some(response) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_is_returned_complete_in_pieces_that_envoy_accepts() {
        for length in [0, 1, PIECE, PIECE + 1, 3 * PIECE, 1_000_000] {
            let body: Vec<u8> = (0..length).map(|index| index as u8).collect();
            let sent = pieces_of(HttpBody { body: body.clone(), end_of_stream: true, ..Default::default() });
            assert!(sent.iter().all(|piece| piece.body.len() <= PIECE), "{length}");
            assert_eq!(sent.iter().flat_map(|piece| piece.body.clone()).collect::<Vec<_>>(), body);
            let ends: Vec<bool> = sent.iter().map(|piece| piece.end_of_stream).collect();
            let (last, others) = ends.split_last().unwrap();
            assert!(*last && others.iter().all(|end| !end), "{length}: {ends:?}");
        }
    }

    fn pieces_of(body: HttpBody) -> Vec<StreamedBodyResponse> {
        let mut waiting = VecDeque::new();
        echo(body, &mut waiting);
        let streamed = waiting.into_iter().map(|reply| match reply {
            Reply::RequestBody(BodyResponse { response: Some(CommonResponse { body_mutation: Some(sent), .. }) }) => {
                match sent.mutation {
                    Some(Mutation::StreamedResponse(piece)) => piece,
                    other => panic!("{other:?}"),
                }
            }
            other => panic!("{other:?}"),
        });
        streamed.collect()
    }
}
