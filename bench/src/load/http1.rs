//! The HTTP/1.1 client of the benchmark.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::MAX_RESPONSE;
use crate::exchange::{Answer, Delivery, Exchange, PIECE};

/// One connection.
#[derive(Debug)]
pub(super) struct Http1Connection {
    socket: TcpStream,
    received: BytesMut,
}

impl Http1Connection {
    pub(super) async fn open(address: SocketAddr) -> Result<Self> {
        let socket = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, received: BytesMut::with_capacity(MAX_RESPONSE) })
    }

    /// Writes and reads at the same time, because a server that responds early may stop reading. A failed write is then
    /// not an error: the response shows what happened.
    pub(super) async fn exchange(&mut self, exchange: &Exchange) -> Result<Answer> {
        let (mut source, mut sink) = self.socket.split();
        let mut writing = std::pin::pin!(write(&mut sink, exchange));
        let mut reading = std::pin::pin!(read(&mut source, &mut self.received));
        tokio::select! {
            biased;
            written = &mut writing => match written {
                Ok(()) => reading.await,
                Err(error) => reading.await.context(error),
            },
            answer = &mut reading => answer,
        }
    }
}

async fn write(sink: &mut (impl AsyncWriteExt + Unpin), exchange: &Exchange) -> Result<()> {
    let head = head(exchange);
    match exchange.delivery {
        Delivery::Whole => sink.write_all_buf(&mut head.chain(exchange.body.clone())).await?,
        Delivery::Pieces => {
            sink.write_all(&head).await?;
            for piece in exchange.body.chunks(PIECE) {
                sink.write_all(piece).await?;
            }
        }
        Delivery::Chunked => {
            sink.write_all(&head).await?;
            for piece in exchange.body.chunks(PIECE) {
                let size = format!("{:x}\r\n", piece.len());
                sink.write_all_buf(&mut Buf::chain(size.as_bytes(), piece).chain(&b"\r\n"[..])).await?;
            }
            sink.write_all(b"0\r\n\r\n").await?;
        }
    }
    Ok(())
}

fn head(exchange: &Exchange) -> Bytes {
    let mut head = BytesMut::with_capacity(256);
    let (path, media_type) = (exchange.path, &exchange.media_type);
    let fixed = "HTTP/1.1\r\nhost: bench\r\nuser-agent: cellgate-bench\r\naccept: */*\r\ncontent-type:";
    head.put_slice(format!("POST {path} {fixed} {media_type}\r\n").as_bytes());
    if let Some(coding) = exchange.coding {
        head.put_slice(format!("content-encoding: {coding}\r\n").as_bytes());
    }
    if let Some((name, value)) = &exchange.routing {
        head.put_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    match exchange.delivery {
        Delivery::Chunked => head.put_slice(b"transfer-encoding: chunked\r\n\r\n"),
        Delivery::Whole | Delivery::Pieces => {
            head.put_slice(format!("content-length: {}\r\n\r\n", exchange.body.len()).as_bytes());
        }
    }
    head.freeze()
}

async fn read(source: &mut (impl AsyncReadExt + Unpin), received: &mut BytesMut) -> Result<Answer> {
    loop {
        if let Some((answer, length)) = parse(received)? {
            received.advance(length);
            return Ok(answer);
        }
        received.reserve(4096);
        let read = source.read_buf(received).await.context("reading a response")?;
        ensure!(read > 0, "the connection was closed in the middle of a response");
    }
}

/// The complete response at the start of `received` and its length; `None` while a part is missing. It supports only
/// responses with a Content-Length, which are the only ones in this benchmark.
fn parse(received: &[u8]) -> Result<Option<(Answer, usize)>> {
    let Some(head_end) = received.windows(4).position(|window| window == b"\r\n\r\n") else {
        ensure!(received.len() <= MAX_RESPONSE, "the response head has no end within {MAX_RESPONSE} bytes");
        return Ok(None);
    };
    let (head, rest) = received.split_at(head_end + 4);
    let head = str::from_utf8(head).context("a response head")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
    let Some(status) = status else { bail!("not a response: {head:?}") };
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let length = length.with_context(|| format!("no Content-Length: {head:?}"))?;
    ensure!(length <= MAX_RESPONSE, "the response has {length} bytes, more than {MAX_RESPONSE}");
    let answer = rest.get(..length).map(|body| Answer { status, echoed_by: None, body: Bytes::copy_from_slice(body) });
    Ok(answer.map(|answer| (answer, head.len() + length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nserver: envoy\r\n\r\n{}HTTP";

    #[test]
    fn a_response_is_parsed_when_it_is_complete() {
        let whole = RESPONSE.len() - "HTTP".len();
        for end in 0..whole {
            assert!(parse(&RESPONSE[..end]).unwrap().is_none(), "{end}");
        }
        let (answer, length) = parse(RESPONSE).unwrap().unwrap();
        assert_eq!((answer.status, &answer.body[..], length), (200, &b"{}"[..], whole));
    }

    #[test]
    fn what_the_benchmark_does_not_expect_is_an_error() {
        for odd in [
            &b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n",
            b"\r\n\r\n",
        ] {
            assert!(parse(odd).is_err(), "{}", String::from_utf8_lossy(odd));
        }
    }
}
