//! Certificates like those of a mesh, and Envoy transport sockets that use them.

use std::net::SocketAddr;

use cellgate_tests::options::{Chain, Options};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, SanType};
use serde_json::{Value, json};

/// The certificate authority.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// The identity of a connection's client.
#[derive(Clone, Copy)]
pub(super) enum Peer<'a> {
    /// A certificate with these URIs.
    Named(&'a [&'a str]),
    /// A certificate with these URIs from another authority.
    Forged(&'a [&'a str]),
    /// TLS without a certificate.
    Anonymous,
    /// Plain text.
    Plain,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = params("authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// For [`Options::adjust`]: the listener requires TLS and verifies a client certificate if there is one.
    pub(super) fn at_listener(&self) -> impl FnOnce(&mut Value) + Send + 'static {
        let context =
            json!({"common_tls_context": self.context(Some(self.issue(&["spiffe://mesh/ns/cell/sa/proxy"])))});
        move |bootstrap| {
            let chain = &mut bootstrap["static_resources"]["listeners"][0]["filter_chains"][0];
            chain["transport_socket"] = transport_socket("DownstreamTlsContext", context);
        }
    }

    /// For [`Options::adjust`]: sends every cell's requests to `next`, with the identity of `peer`.
    pub(super) fn to(&self, next: SocketAddr, peer: Peer<'_>) -> impl FnOnce(&mut Value) + Send + 'static {
        let context = match peer {
            Peer::Named(uris) => Some(self.context(Some(self.issue(uris)))),
            Peer::Forged(uris) => Some(self.context(Some(Self::new().issue(uris)))),
            Peer::Anonymous => Some(self.context(None)),
            Peer::Plain => None,
        };
        move |bootstrap| {
            for cluster in bootstrap["static_resources"]["clusters"].as_array_mut().unwrap() {
                let endpoint = &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
                endpoint["address"]["socket_address"]["port_value"] = json!(next.port());
                if let Some(context) = &context {
                    let context = json!({"common_tls_context": context});
                    cluster["transport_socket"] = transport_socket("UpstreamTlsContext", context);
                }
            }
        }
    }

    /// A TCP proxy that forwards bytes unchanged, so that a test controls every header of the peer.
    pub(super) fn tcp_proxy(&self, next: SocketAddr, peer: Peer<'_>) -> Options {
        Options::default().chain(Chain::Plain).adjust(self.to(next, peer)).adjust(|bootstrap| {
            bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"] = json!([{
                "name": "tcp_proxy",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                    "stat_prefix": "wire",
                    "cluster": "cell-a",
                },
            }]);
        })
    }

    /// A certificate with these URIs, and its key.
    fn issue(&self, uris: &[&str]) -> Value {
        let key = KeyPair::generate().unwrap();
        let mut params = params("workload");
        params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        json!({
            "certificate_chain": {"inline_string": certificate.pem()},
            "private_key": {"inline_string": key.serialize_pem()},
        })
    }

    /// A `CommonTlsContext` that trusts this authority.
    fn context(&self, certificate: Option<Value>) -> Value {
        json!({
            "tls_certificates": certificate.into_iter().collect::<Vec<_>>(),
            "validation_context": {"trusted_ca": {"inline_string": self.0.pem()}},
        })
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn transport_socket(kind: &str, mut context: Value) -> Value {
    context["@type"] = json!(format!("type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.{kind}"));
    json!({"name": "envoy.transport_sockets.tls", "typed_config": context})
}
