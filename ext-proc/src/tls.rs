//! TLS on the gRPC port: certificate, key and client CA from files, which client certificates are admitted, and the reasons
//! of refused handshakes. rustls speaks the protocol.
//!
//! A handshake uses the files that were in force when it began. Sessions are not resumed, so that every connection proves
//! its certificate again.

pub(crate) mod certificate;
pub(crate) mod client_name;
mod client_verifier;
pub(crate) mod files;
pub(crate) mod handshake;
pub(crate) mod refusal;
pub(crate) mod store;
mod turns;

use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::{
    Error as RustlsError, InconsistentKeys, ServerConfig, SupportedProtocolVersion, crypto, version,
};

use client_name::ClientName;
use client_verifier::NamedClientVerifier;
use files::{Parsed, TlsError};

/// The protocol in TLS's application-layer protocol negotiation (ALPN).
const HTTP2: &[u8] = b"h2";

static FROM_TLS12: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];
static FROM_TLS13: &[&SupportedProtocolVersion] = &[&version::TLS13];

/// TLS settings of the service.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// A PEM file with the certificate of the service, and the intermediate certificates behind it.
    pub certificate: PathBuf,
    /// A PEM file with the certificate's private key.
    pub key: PathBuf,
    /// A PEM file with the certificate authorities of clients. Without it, no client needs a certificate.
    pub client_ca: Option<PathBuf>,
    /// The names of which a client's certificate must have one. If empty, every certificate of `client_ca` is admitted.
    pub client_names: Vec<ClientName>,
    /// The oldest version of TLS that is accepted.
    pub min_version: MinVersion,
}

/// The oldest version of TLS that is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinVersion {
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

impl MinVersion {
    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Self::Tls12 => FROM_TLS12,
            Self::Tls13 => FROM_TLS13,
        }
    }
}

/// Builds rustls' configuration from the content of the files.
fn server_config(settings: &TlsSettings, parsed: Parsed) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(crypto::ring::default_provider());
    let versions = settings.min_version.versions();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| TlsError::Settings { error })?;
    let builder = match parsed.client_roots {
        Some(roots) => {
            let path = settings.client_ca.clone().unwrap_or_default();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| TlsError::BadAuthorities { path, error: error.to_string() })?;
            let names = settings.client_names.clone();
            builder.with_client_cert_verifier(Arc::new(NamedClientVerifier::new(verifier, names)))
        }
        None => builder.with_no_client_auth(),
    };
    let (certificate, key) = (&settings.certificate, &settings.key);
    let mut config = builder.with_single_cert(parsed.chain, parsed.key).map_err(|error| match error {
        RustlsError::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            TlsError::KeyMismatch { key: key.clone(), certificate: certificate.clone() }
        }
        RustlsError::InvalidCertificate(_) => {
            TlsError::BadCertificate { path: certificate.clone(), number: 1, error: error.to_string() }
        }
        _ => TlsError::BadKey { path: key.clone() },
    })?;
    config.alpn_protocols = vec![HTTP2.to_vec()];
    // A resumed session would not prove its certificate again.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}
