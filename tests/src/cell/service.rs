//! A cell's response to one request.

use std::future::pending;
use std::sync::Arc;

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Body, Incoming};
use sha2::{Digest, Sha256};

use super::echo::{GrpcEcho, echo_bytes};
use super::ledger::Entry;
use super::seen::{Seen, fields};
use super::{Reading, SERVED_BY, Shared};

pub(super) type Reply = Response<UnsyncBoxBody<Bytes, hyper::Error>>;

/// Responds to a request, or fails if the body is incomplete.
pub(super) async fn answer(cell: Arc<Shared>, request: Request<Incoming>) -> Result<Reply> {
    let positions = cell.switches.now();
    let (head, body) = request.into_parts();
    let mut entry = cell.ledger.enter(Seen::open(&head));
    let (bodiless, version) = (head.method == Method::HEAD, head.version);
    let mut reply = if is_tunnel(&head) {
        entry.complete(String::new(), Vec::new());
        tunnel(Request::from_parts(head, body))
    } else if is_grpc(&head) {
        let mut reply = Response::new(GrpcEcho::new(body, version, entry).boxed_unsync());
        reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        reply
    } else {
        match positions.reading {
            Reading::Never => pending().await,
            Reading::Early => describe(entry.seen(), &cell),
            Reading::Whole => read_then_describe(&cell, body, version, &mut entry).await?,
        }
    };
    if bodiless {
        // Over HTTP/2, hyper would send a body in the response to HEAD, and Envoy would reset the stream.
        *reply.body_mut() = empty();
    }
    #[expect(clippy::disallowed_methods, reason = "a slow cell is the behaviour that tests ask for")]
    tokio::time::sleep(positions.delay).await;
    if let Ok(name) = HeaderValue::from_str(&cell.name) {
        reply.headers_mut().insert(SERVED_BY, name);
    }
    Ok(reply)
}

async fn read_then_describe(cell: &Shared, mut body: Incoming, version: Version, entry: &mut Entry) -> Result<Reply> {
    let (sha256, trailers) = read(&mut body, entry).await?;
    ensure!(is_whole(&body, version), "the stream was reset");
    let reply = describe(entry.complete(sha256, trailers), cell);
    Ok(with_status(reply, cell.switches.status()))
}

/// Reads a body to its end and returns its hash and trailers. It keeps one frame in memory at a time.
async fn read(body: &mut Incoming, entry: &mut Entry) -> Result<(String, Vec<(String, String)>)> {
    let mut hash = Sha256::new();
    let mut count = 0;
    let mut trailers = HeaderMap::new();
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) => {
                hash.update(&data);
                count += data.len() as u64;
                entry.progress(count);
            }
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    Ok((crate::hex(&hash.finalize()), fields(&trailers)))
}

/// Whether a body without further frames is complete.
///
/// In hyper, a stream reset with NO_ERROR looks like the end of the body. Envoy 1.36 forwards a request that its client
/// has aborted in this way. In HTTP/1.1, an incomplete body is always an error.
pub(super) fn is_whole(body: &Incoming, version: Version) -> bool {
    version != Version::HTTP_2 || body.is_end_stream()
}

fn describe(seen: &Seen, cell: &Shared) -> Reply {
    let text = seen.describe(&cell.name).to_string();
    let mut reply = Response::new(Full::from(text).map_err(|never| match never {}).boxed_unsync());
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

fn empty() -> UnsyncBoxBody<Bytes, hyper::Error> {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

fn with_status(mut reply: Reply, status: StatusCode) -> Reply {
    *reply.status_mut() = status;
    reply
}

fn is_tunnel(head: &Parts) -> bool {
    head.method == Method::CONNECT || head.headers.contains_key(header::UPGRADE)
}

fn is_grpc(head: &Parts) -> bool {
    head.headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// Accepts an upgrade or a CONNECT and sends every byte back.
fn tunnel(request: Request<Incoming>) -> Reply {
    let mut reply = Response::new(empty());
    if let Some(protocol) = request.headers().get(header::UPGRADE).cloned() {
        *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        reply.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        reply.headers_mut().insert(header::UPGRADE, protocol);
    }
    tokio::spawn(echo_bytes(request));
    reply
}
