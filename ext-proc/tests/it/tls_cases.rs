//! Clients that a service with mutual TLS refuses, each with its reason.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::pki::{Authority, Client, GATEWAY, Identity, Pki, TLS12, san, seconds_from_now};
use crate::support::{PATIENCE, Service};

/// How a client is refused.
pub(crate) struct TlsCase {
    pub(crate) name: &'static str,
    /// The reason in the metric.
    pub(crate) reason: &'static str,
    client: Stranger,
}

enum Stranger {
    Tls(Box<Client>),
    /// Bytes without TLS.
    Bytes(&'static [u8]),
}

impl TlsCase {
    /// Connects, and waits until the service has closed the connection.
    pub(crate) async fn run(&self, service: &Service) {
        let closed = async {
            match &self.client {
                Stranger::Tls(client) => {
                    if let Ok(mut stream) = client.connect(service).await {
                        let mut answer = Vec::new();
                        let read = stream.read_to_end(&mut answer).await;
                        assert!(answer.is_empty(), "{}: {read:?}", self.name);
                    }
                }
                Stranger::Bytes(bytes) => {
                    let mut stream = TcpStream::connect(service.grpc).await.unwrap();
                    stream.write_all(bytes).await.unwrap();
                    // It may be told of a reset instead of an end.
                    let _end = stream.read_to_end(&mut Vec::new()).await;
                }
            }
        };
        tokio::time::timeout(PATIENCE, closed).await.unwrap_or_else(|_| panic!("{}: still open", self.name));
    }
}

/// All cases.
pub(crate) fn cases(pki: &Pki) -> Vec<TlsCase> {
    let tls = |name, reason, client| TlsCase { name, reason, client: Stranger::Tls(Box::new(client)) };
    let with = |identity| pki.client_with(Some(identity));
    let ca = &pki.authority;
    let expired = ca.issue_with(|params| {
        params.subject_alt_names = vec![san(GATEWAY)];
        params.not_after = seconds_from_now(-1).into();
    });
    let early = ca.issue_with(|params| {
        params.subject_alt_names = vec![san(GATEWAY)];
        params.not_before = seconds_from_now(3600).into();
    });
    let for_servers = ca.issue_with(|params| {
        params.subject_alt_names = vec![san(GATEWAY)];
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    });
    let two_uris = ca.issue_with(|params| {
        params.subject_alt_names = vec![san(GATEWAY), san("spiffe://example.com/ns/ingress/sa/other")];
    });
    let many_names = ca.issue_with(|params| {
        params.subject_alt_names = (0..40).map(|number| san(&format!("host-{number}.example.com"))).collect();
    });
    let without_its_key = Identity { key: ca.issue(GATEWAY).key, ..ca.issue(GATEWAY) };
    vec![
        tls("no certificate", "no_certificate", pki.client_with(None)),
        tls("expired a second ago", "certificate_expired", with(expired)),
        tls("not yet valid", "certificate_not_yet_valid", with(early)),
        tls("other authority", "unknown_ca", with(Authority::new("other").issue(GATEWAY))),
        tls(
            "forged authority of the same name",
            "certificate_invalid",
            with(Authority::new("authority").issue(GATEWAY)),
        ),
        tls("the key of another certificate", "certificate_invalid", with(without_its_key)),
        tls("for servers only", "certificate_invalid", with(for_servers)),
        tls("no names", "san_missing", with(ca.issue_with(|_| {}))),
        tls("other DNS name", "san_not_admitted", with(ca.issue("gateway.example.com"))),
        tls("many names", "san_not_admitted", with(many_names)),
        tls("other SPIFFE id", "san_not_admitted", with(ca.issue("spiffe://example.com/ns/ingress/sa/gateway2"))),
        tls("other trust domain", "san_not_admitted", with(ca.issue("spiffe://example.org/ns/ingress/sa/gateway"))),
        tls("two URIs", "san_not_admitted", with(two_uris)),
        tls("TLS 1.2", "version", Client { versions: TLS12, ..pki.client() }),
        tls("HTTP/1.1", "incompatible", Client { protocol: "http/1.1", ..pki.client() }),
        tls(
            "does not trust the service",
            "refused_by_client",
            Client { trusted: Authority::new("other").pem(), ..pki.client() },
        ),
        TlsCase {
            name: "HTTP/2 in plain text",
            reason: "plain_text",
            client: Stranger::Bytes(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
        },
        TlsCase {
            name: "a broken ClientHello",
            reason: "protocol",
            client: Stranger::Bytes(b"\x16\x03\x01\0\x05\x01\0\0\x01\0"),
        },
    ]
}
