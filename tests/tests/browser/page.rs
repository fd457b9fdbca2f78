//! The page, served from a port of its own: an origin other than Envoy's.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use cellgate_tests::ports;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;

const PAGE: &str = include_str!("page.html");

/// A port that is taken, before anybody is served.
pub(crate) struct Page {
    listener: TcpListener,
    address: SocketAddr,
}

/// Answers until the runtime ends.
impl Page {
    pub(crate) async fn listen() -> Result<Arc<Self>> {
        let listener = TcpListener::bind(ports::ANY).await?;
        let address = listener.local_addr()?;
        Ok(Arc::new(Self { listener, address }))
    }

    /// The page's origin when it is asked for by this name of the loopback interface.
    pub(crate) fn origin(&self, host: &str) -> String {
        format!("http://{host}:{}", self.address.port())
    }

    /// Serves the page, which will ask the Envoy at this address.
    pub(crate) fn serve(self: &Arc<Self>, envoy: SocketAddr) {
        let (page, text) = (Arc::clone(self), Bytes::from(PAGE.replace("ENVOY", &format!("http://{envoy}"))));
        tokio::spawn(async move {
            while let Ok((socket, _)) = page.listener.accept().await {
                let text = text.clone();
                let service = hyper::service::service_fn(move |request| answer(request, text.clone()));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service),
                );
            }
        });
    }
}

async fn answer(request: Request<Incoming>, text: Bytes) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::new(text));
    if request.uri().path() != "/" {
        // A browser asks for an icon too.
        response = Response::new(Full::default());
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(response)
}

/// What the page has written about one of its requests.
pub(crate) fn seen(document: &str, request: &str) -> Result<Value> {
    let start = format!("<pre id=\"{request}\">");
    let text = document.split_once(&start).and_then(|(_, rest)| rest.split_once("</pre>")).map(|(text, _)| text);
    let text = text.with_context(|| format!("nothing about {request} in {document}"))?;
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str(&text).with_context(|| text.clone())
}
