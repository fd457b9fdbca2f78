//! HTTP/2 with prior knowledge. Each connection sends one request at a time, to be comparable with HTTP/1.1.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use bytes::{Bytes, BytesMut};
use cellgate_tests::cell::SERVED_BY;
use h2::client::SendRequest;
use http::Request;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::exchange::{Answer, Delivery, Exchange, PIECE};

/// One connection. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Http2Connection {
    requests: SendRequest<Bytes>,
    driver: JoinHandle<()>,
}

impl Http2Connection {
    pub(super) async fn open(address: SocketAddr) -> Result<Self> {
        let socket = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        socket.set_nodelay(true)?;
        let (requests, connection) = h2::client::handshake(socket).await?;
        let driver = tokio::spawn(async move {
            // The stream reports the connection's error.
            let _ = connection.await;
        });
        Ok(Self { requests, driver })
    }

    pub(super) async fn exchange(&mut self, exchange: &Exchange) -> Result<Answer> {
        std::future::poll_fn(|context| self.requests.poll_ready(context)).await?;
        let (response, mut sink) = self.requests.send_request(head(exchange)?, false)?;
        // The library queues the bytes that the peer's window does not allow yet. `Bytes` are shared, not copied.
        match exchange.delivery {
            Delivery::Whole => sink.send_data(exchange.body.clone(), true)?,
            Delivery::Pieces | Delivery::Chunked => {
                let mut rest = exchange.body.clone();
                while !rest.is_empty() {
                    let piece = rest.split_to(PIECE.min(rest.len()));
                    sink.send_data(piece, rest.is_empty())?;
                }
            }
        }
        let (head, mut incoming) = response.await?.into_parts();
        let mut body = BytesMut::new();
        while let Some(data) = incoming.data().await {
            let data = data?;
            incoming.flow_control().release_capacity(data.len())?;
            body.extend_from_slice(&data);
        }
        let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let is_grpc = text("content-type") == Some("application/grpc");
        let echoed_by = text(SERVED_BY).filter(|_| is_grpc).map(str::to_owned);
        Ok(Answer { status: head.status.as_u16(), echoed_by, body: body.freeze() })
    }
}

impl Drop for Http2Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn head(exchange: &Exchange) -> Result<Request<()>> {
    let mut head = Request::post(format!("http://bench{}", exchange.path))
        .header("user-agent", "cellgate-bench")
        .header("accept", "*/*")
        .header("content-type", &exchange.media_type);
    if exchange.delivery != Delivery::Chunked {
        head = head.header("content-length", exchange.body.len());
    }
    if let Some(coding) = exchange.coding {
        head = head.header("content-encoding", coding);
    }
    if let Some((name, value)) = &exchange.routing {
        head = head.header(*name, value);
    }
    Ok(head.body(())?)
}
