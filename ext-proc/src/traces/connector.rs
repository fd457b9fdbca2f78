//! Connections to an OTLP receiver: in plain text, or by TLS.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::endpoint::OtlpEndpoint;
use crate::tls::files::{TlsError, read_authorities};

/// A receiver that cannot be connected within this long does not answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects to one receiver.
#[derive(Clone, Debug)]
pub(super) struct OtlpConnector {
    endpoint: OtlpEndpoint,
    ca: Option<PathBuf>,
    /// The protocol that the connection is for, as TLS names it (ALPN).
    protocol: &'static [u8],
}

/// The byte stream of a connection.
#[derive(Debug)]
pub(super) enum OtlpConnection {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl OtlpConnector {
    /// A connector that trusts the authorities in a file, or those of the system.
    ///
    /// # Errors
    /// The file cannot be used. It is read again for each connection.
    pub(super) fn new(endpoint: OtlpEndpoint, ca: Option<PathBuf>, protocol: &'static [u8]) -> Result<Self, TlsError> {
        if let Some(path) = &ca {
            read_authorities(path)?;
        }
        Ok(Self { endpoint, ca, protocol })
    }

    /// Connects.
    ///
    /// # Errors
    /// The receiver does not accept the connection, its certificate is not valid, or it takes too long.
    pub(super) async fn connect(&self) -> io::Result<TokioIo<OtlpConnection>> {
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, self.connect_at_last()).await;
        connected.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "the connection took too long")))
    }

    async fn connect_at_last(&self) -> io::Result<TokioIo<OtlpConnection>> {
        let (host, port) = self.endpoint.address();
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        if !self.endpoint.is_tls() {
            return Ok(TokioIo::new(OtlpConnection::Plain(stream)));
        }
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let connector = TlsConnector::from(Arc::new(self.client_config()?));
        Ok(TokioIo::new(OtlpConnection::Tls(Box::new(connector.connect(name, stream).await?))))
    }

    fn client_config(&self) -> io::Result<ClientConfig> {
        let roots = match &self.ca {
            Some(path) => authorities(path)?,
            None => system_authorities(),
        };
        let provider = Arc::new(crypto::ring::default_provider());
        let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = versions.map_err(io::Error::other)?.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![self.protocol.to_vec()];
        Ok(config)
    }
}

fn authorities(path: &Path) -> io::Result<RootCertStore> {
    read_authorities(path).map_err(io::Error::other)
}

/// Some systems have authorities that cannot be read. Then the handshake says that nobody vouches for the receiver.
fn system_authorities() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

impl AsyncRead for OtlpConnection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for OtlpConnection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
