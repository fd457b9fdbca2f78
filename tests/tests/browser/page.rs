//! The page, served from its own port, and so from another origin than Envoy's.

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

/// A server for the page, bound before it serves.
pub(crate) struct Page {
    listener: TcpListener,
    address: SocketAddr,
}

impl Page {
    pub(crate) async fn listen() -> Result<Arc<Self>> {
        let listener = TcpListener::bind(ports::ANY).await?;
        let address = listener.local_addr()?;
        Ok(Arc::new(Self { listener, address }))
    }

    /// The page's origin with this host name of the loopback interface.
    pub(crate) fn origin(&self, host: &str) -> String {
        format!("http://{host}:{}", self.address.port())
    }

    /// Serves the page, which sends its requests to the Envoy at this address.
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
        // A browser also requests an icon.
        response = Response::new(Full::default());
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    Ok(response)
}

/// The result of one request, which the page has written into its document.
pub(crate) fn seen(document: &str, request: &str) -> Result<Value> {
    let start = format!("<pre id=\"{request}\">");
    let text = document.split_once(&start).and_then(|(_, rest)| rest.split_once("</pre>")).map(|(text, _)| text);
    let text = text.with_context(|| format!("nothing about {request} in {document}"))?;
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str(&text).with_context(|| text.clone())
}
