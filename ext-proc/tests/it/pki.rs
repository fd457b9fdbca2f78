//! Certificates, files with them, and TLS clients.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cellgate_ext_proc::{MinVersion, TlsSettings};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, SanType};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, crypto, version};
use tonic::transport::{Channel, Endpoint};

use crate::support::Service;

/// Versions of TLS that a client speaks.
pub(crate) static BOTH: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];
pub(crate) static TLS12: &[&SupportedProtocolVersion] = &[&version::TLS12];
pub(crate) static TLS13: &[&SupportedProtocolVersion] = &[&version::TLS13];

/// The SPIFFE id of a client that the service admits.
pub(crate) const GATEWAY: &str = "spiffe://example.com/ns/ingress/sa/gateway";

/// A certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// The TLS files of a service, and their authority.
pub(crate) struct Pki {
    pub(crate) authority: Authority,
    pub(crate) directory: TempDir,
}

/// A client's side of TLS.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) trusted: String,
    pub(crate) identity: Option<Identity>,
    pub(crate) versions: &'static [&'static SupportedProtocolVersion],
    pub(crate) protocol: &'static str,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a name: a SPIFFE id, or a DNS name.
    pub(crate) fn issue(&self, name: &str) -> Identity {
        self.issue_with(|params| params.subject_alt_names = vec![san(name)])
    }

    pub(crate) fn issue_with(&self, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "workload");
        change(&mut params);
        Identity { certificate: params.signed_by(&key, &self.0).unwrap().pem(), key: key.serialize_pem() }
    }
}

impl Pki {
    /// Files of a service that is called `localhost`.
    pub(crate) fn new() -> Self {
        let pki = Self { authority: Authority::new("authority"), directory: tempfile::tempdir().unwrap() };
        pki.write_identity(&pki.authority.issue("localhost"));
        replace(&pki.path("ca.pem"), &pki.authority.pem());
        pki
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write_identity(&self, identity: &Identity) {
        replace(&self.path("tls.crt"), &identity.certificate);
        replace(&self.path("tls.key"), &identity.key);
    }

    /// Mutual TLS, which admits [`GATEWAY`].
    pub(crate) fn settings(&self) -> TlsSettings {
        TlsSettings {
            certificate: self.path("tls.crt"),
            key: self.path("tls.key"),
            client_ca: Some(self.path("ca.pem")),
            client_names: vec![GATEWAY.parse().unwrap()],
            min_version: MinVersion::Tls13,
        }
    }

    pub(crate) async fn service(&self) -> Service {
        Service::start_with(|settings| settings.tls = Some(self.settings())).await
    }

    /// A client that the service admits.
    pub(crate) fn client(&self) -> Client {
        self.client_with(Some(self.authority.issue(GATEWAY)))
    }

    pub(crate) fn client_with(&self, identity: Option<Identity>) -> Client {
        Client { trusted: self.authority.pem(), identity, versions: BOTH, protocol: "h2" }
    }
}

impl Client {
    /// A handshake. A client of TLS 1.3 hears of a refusal with the first byte that it reads.
    pub(crate) async fn connect(&self, service: &Service) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(service.grpc).await?;
        TlsConnector::from(Arc::new(self.config())).connect(ServerName::try_from("localhost").unwrap(), stream).await
    }

    /// A gRPC channel.
    pub(crate) async fn channel(&self, service: &Service) -> Result<Channel, tonic::transport::Error> {
        let (connector, address) = (TlsConnector::from(Arc::new(self.config())), service.grpc);
        let connect = move |_| {
            let connector = connector.clone();
            async move {
                let stream = TcpStream::connect(address).await?;
                let stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await?;
                Ok::<_, std::io::Error>(TokioIo::new(stream))
            }
        };
        Endpoint::from_static("http://localhost").connect_with_connector(tower::service_fn(connect)).await
    }

    fn config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.trusted.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            Some(identity) => {
                let chain = vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap()];
                let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
                let key = crypto::ring::sign::any_supported_type(&key).unwrap();
                // Without a check that the two belong together.
                let identity = SingleCertAndKey::from(CertifiedKey::new(chain, key));
                builder.with_client_cert_resolver(Arc::new(identity))
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![self.protocol.as_bytes().to_vec()];
        config
    }
}

/// A name in a certificate.
pub(crate) fn san(name: &str) -> SanType {
    let value = name.try_into().unwrap();
    if name.contains("://") { SanType::URI(value) } else { SanType::DnsName(value) }
}

/// So many seconds from now, or before now.
pub(crate) fn seconds_from_now(seconds: i64) -> SystemTime {
    let now = i64::try_from(UnixTime::now().as_secs()).unwrap();
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(now + seconds).unwrap())
}

/// Replaces a file as a whole.
pub(crate) fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, path).unwrap();
}
