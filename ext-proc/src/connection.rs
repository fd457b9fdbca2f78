//! A connection that the gRPC server serves: its bytes, in plain text or by TLS, after the HTTP/2 preface was seen.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use crate::socket::Socket;
use crate::workers::ConnectionCount;

/// The bytes of the HTTP/2 connection preface (RFC 9113, section 3.4).
const PREFACE_BYTES: usize = 24;

/// How a TLS record with a ClientHello begins.
const TLS_HANDSHAKE: [u8; 2] = [0x16, 0x03];

/// The byte stream of a connection.
#[derive(Debug)]
pub(crate) enum Transport {
    /// Plain text.
    Plain(Socket),
    /// TLS.
    Tls(Box<TlsStream<Socket>>),
}

/// A connection with its first bytes.
#[derive(Debug)]
pub(crate) struct Connection {
    transport: Transport,
    preface: [u8; PREFACE_BYTES],
    /// The part of `preface` that the server has not read.
    unread: std::ops::Range<usize>,
    _count: ConnectionCount,
}

impl Connection {
    /// Reads as many bytes as an HTTP/2 preface has, without checking them; the server reads them again. `None` if the
    /// connection ends before.
    pub(crate) async fn begin(mut transport: Transport, count: ConnectionCount) -> Option<Self> {
        let mut preface = [0; PREFACE_BYTES];
        transport.read_exact(&mut preface).await.ok()?;
        Some(Self { transport, preface, unread: 0..PREFACE_BYTES, _count: count })
    }

    /// Whether a plain-text connection begins as a TLS handshake does.
    pub(crate) fn is_misplaced_tls(&self) -> bool {
        matches!(self.transport, Transport::Plain(_)) && self.preface.starts_with(&TLS_HANDSHAKE)
    }
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.unread.is_empty() {
            return Pin::new(&mut self.transport).poll_read(context, buffer);
        }
        let unread = self.preface.get(self.unread.clone()).unwrap_or_default();
        let taken = unread.len().min(buffer.remaining());
        buffer.put_slice(unread.get(..taken).unwrap_or_default());
        self.unread.start += taken;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(context)
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(context, parts),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
