//! A proxy between Envoy and the service that passes everything on, and keeps the messages of Envoy as they are.
//!
//! It works on HTTP/2, so it changes no message: not its unknown fields, and not the end of a stream.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use anyhow::{Context as _, Result};
use bytes::{Buf, Bytes, BytesMut};
use cellgate_tests::{ports, wait};
use http::{Request, Response};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// The path of an ext_proc stream.
const PROCESS: &str = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";

/// A running proxy. Dropping it closes its port and its connections.
pub(crate) struct Recorder {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    service: OnceLock<SocketAddr>,
    streams: Mutex<Vec<Arc<Mutex<Heard>>>>,
}

/// The messages of one stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    /// The names of the initial metadata, in their order.
    pub(crate) metadata: Vec<String>,
    pub(crate) messages: Vec<Bytes>,
    /// The end of Envoy's side.
    pub(crate) end: Option<String>,
    rest: BytesMut,
}

impl Recorder {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(ports::ANY).await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Shared>::default();
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self { address, shared, serving }
    }

    /// For `Options::adjust`: Envoy calls the service here.
    pub(crate) fn in_front_of_the_service(&self) -> impl FnOnce(&mut Value) + Send + 'static {
        let port = self.address.port();
        move |bootstrap| {
            let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().unwrap();
            let cluster = clusters.iter_mut().find(|cluster| cluster["name"] == "ext-proc").unwrap();
            let endpoint = &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
            endpoint["address"]["socket_address"]["port_value"] = json!(port);
        }
    }

    /// The service behind it.
    pub(crate) fn pass_on_to(&self, service: SocketAddr) {
        self.shared.service.set(service).expect("one service");
    }

    /// Waits until one stream has come and satisfies a condition.
    pub(crate) async fn until(&self, what: &str, is_met: impl Fn(&Heard) -> bool) {
        let reached = || async { Ok(self.shared.heard().first().is_some_and(&is_met).then_some(())) };
        wait::until(what, reached).await.unwrap_or_else(|error| panic!("{error}: {:?}", self.shared.heard()));
    }

    /// Waits until the only stream has ended, and forgets it.
    pub(crate) async fn take(&self) -> Heard {
        self.until("the end of the stream", |stream| stream.end.is_some()).await;
        let heard = self.shared.heard();
        assert_eq!(heard.len(), 1, "{heard:?}");
        self.shared.streams().clear();
        heard.into_iter().next().unwrap()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Shared {
    fn streams(&self) -> MutexGuard<'_, Vec<Arc<Mutex<Heard>>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self) -> Vec<Heard> {
        self.streams().iter().map(|stream| locked(stream).clone()).collect()
    }
}

impl Heard {
    /// Cuts the stream into messages: a flag, four bytes of length, and the message.
    fn take(&mut self, data: &[u8]) {
        self.rest.extend_from_slice(data);
        while let Some(head) = self.rest.get(1..5) {
            let length = u32::from_be_bytes(head.try_into().unwrap()) as usize;
            if self.rest.len() < 5 + length {
                break;
            }
            self.rest.advance(5);
            let message = self.rest.split_to(length).freeze();
            self.messages.push(message);
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            if let Err(error) = pass_on(socket, shared).await {
                eprintln!("recorder: {error:#}");
            }
        });
    }
}

/// Serves one connection of Envoy with one to the service.
async fn pass_on(socket: TcpStream, shared: Arc<Shared>) -> Result<()> {
    socket.set_nodelay(true)?;
    let service = *shared.service.get().context("Envoy calls before the service is known")?;
    let onward = TcpStream::connect(service).await?;
    onward.set_nodelay(true)?;
    let (calls, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(onward)).await?;
    let driver = tokio::spawn(connection);
    let answer = hyper::service::service_fn(move |request| call(Arc::clone(&shared), calls.clone(), request));
    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    // Envoy closes its connections when it stops.
    let _ = server.serve_connection(TokioIo::new(socket), answer).await;
    driver.abort();
    Ok(())
}

async fn call(
    shared: Arc<Shared>,
    mut calls: SendRequest<Tee>,
    request: Request<Incoming>,
) -> Result<Response<Incoming>, hyper::Error> {
    let names = request.headers().keys().map(|name| name.as_str().to_owned()).collect();
    let heard = Arc::new(Mutex::new(Heard { metadata: names, ..Heard::default() }));
    if request.uri().path() == PROCESS {
        shared.streams().push(Arc::clone(&heard));
    }
    calls.send_request(request.map(|incoming| Tee { incoming, heard })).await
}

/// A body that is kept while it is passed on.
struct Tee {
    incoming: Incoming,
    heard: Arc<Mutex<Heard>>,
}

impl Body for Tee {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = ready!(Pin::new(&mut self.incoming).poll_frame(context));
        self.keep(&polled);
        Poll::Ready(polled)
    }
}

impl Tee {
    fn keep(&self, polled: &Option<Result<Frame<Bytes>, hyper::Error>>) {
        let mut heard = locked(&self.heard);
        match polled {
            Some(Ok(frame)) => heard.take(frame.data_ref().map_or(&[], |data| data)),
            Some(Err(error)) => heard.end = Some(format!("reset {}", reason(error))),
            None => heard.end = Some("half-closed".to_owned()),
        }
    }
}

impl Drop for Tee {
    /// A reset ends both directions, and nobody may have read this one since. Its end is there all the same.
    fn drop(&mut self) {
        while locked(&self.heard).end.is_none() {
            match Pin::new(&mut self.incoming).poll_frame(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(polled) => self.keep(&polled),
                Poll::Pending => locked(&self.heard).end = Some("open when the service ended the stream".to_owned()),
            }
        }
    }
}

/// The code of a reset.
fn reason(error: &hyper::Error) -> String {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.and_then(h2::Error::reason).map_or_else(|| "without a code".to_owned(), |reason| format!("{reason:?}"))
}

fn locked(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}
