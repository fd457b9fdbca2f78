//! A receiver of OTLP over HTTP/1.1 that keeps the bytes of each message.
//!
//! It decodes nothing: strings stand in a protobuf message as they are, so a test searches the bytes.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::{ports, wait};

/// A running receiver. Dropping it closes its port and its connections.
#[derive(Debug)]
pub struct OtlpReceiver {
    address: SocketAddr,
    state: Arc<ReceiverState>,
    serving: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct ReceiverState {
    received: Mutex<Intake>,
}

#[derive(Debug, Default)]
struct Intake {
    behavior: Behavior,
    refused: u64,
    messages: Vec<Bytes>,
    tokens: Vec<String>,
}

/// The answer to a message. It repeats the `authorization` of the message, as some receivers do, unless it accepts all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behavior {
    /// Accepts it.
    #[default]
    Accept,
    /// Accepts it without one of its spans: a partial success of OTLP.
    AcceptInPart,
    /// Refuses it with this status.
    Refuse(StatusCode),
}

impl OtlpReceiver {
    /// Starts one on a free port. It accepts every message.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(ports::ANY).await?;
        let address = listener.local_addr()?;
        let state = Arc::<ReceiverState>::default();
        let serving = tokio::spawn(serve(listener, Arc::clone(&state)));
        Ok(Self { address, state, serving })
    }

    /// The value of `--otlp-endpoint`, for the protocol `http/protobuf`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How it answers from now on.
    pub fn behave(&self, behavior: Behavior) {
        self.received().behavior = behavior;
    }

    /// The accepted messages, one behind the other.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.received().messages.concat()
    }

    /// The `authorization` of each message, accepted or not.
    #[must_use]
    pub fn tokens(&self) -> Vec<String> {
        self.received().tokens.clone()
    }

    /// Waits until so many messages were refused.
    ///
    /// # Errors
    /// On a timeout.
    pub async fn refused(&self, count: u64) -> Result<()> {
        let reached = || async { Ok((self.received().refused >= count).then_some(())) };
        wait::until(&format!("{count} refused messages"), reached).await
    }

    fn received(&self) -> MutexGuard<'_, Intake> {
        self.state.received.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OtlpReceiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Serves until aborted. Aborting drops the set that owns the connections, and so closes them.
async fn serve(listener: TcpListener, state: Arc<ReceiverState>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        let state = Arc::clone(&state);
        let service = hyper::service::service_fn(move |request| answer(Arc::clone(&state), request));
        connections.spawn(async move {
            // The end of the service cuts it off.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(state: Arc<ReceiverState>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let token = request.headers().get("authorization").map(|value| crate::client::latin1(value.as_bytes()));
    let token = token.unwrap_or_default();
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes);
    let mut received = state.received.lock().unwrap_or_else(PoisonError::into_inner);
    received.tokens.push(token.clone());
    let mut response = Response::new(Full::default());
    let words = format!("these credentials are not valid: {token}");
    match (received.behavior, body) {
        (Behavior::Accept, Ok(body)) => received.messages.push(body),
        (Behavior::AcceptInPart, Ok(body)) => {
            received.messages.push(body);
            *response.body_mut() = Full::from(partial_success(&words));
        }
        (behavior, _) => {
            received.refused += 1;
            let Behavior::Refuse(status) = behavior else { return Ok(response) };
            *response.status_mut() = status;
            *response.body_mut() = Full::from(words);
        }
    }
    Ok(response)
}

/// `ExportTraceServiceResponse` with a `partial_success` of one rejected span.
fn partial_success(message: &str) -> Vec<u8> {
    let length = u8::try_from(message.len()).unwrap_or(0);
    let inner = [&[0x08, 1, 0x12, length], &message.as_bytes()[..length.into()]].concat();
    [&[0x0a, length + 4], inner.as_slice()].concat()
}
