//! Certificates: a root, leaves for servers, and SPIFFE identities for workloads.

use std::net::Ipv4Addr;

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};

/// The trust domain of the mesh.
pub const TRUST_DOMAIN: &str = "cluster.local";

/// A certificate authority.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, in PEM.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl Authority {
    /// Creates a self-signed root.
    ///
    /// # Errors
    /// When the system's random generator fails.
    pub fn new(organisation: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, organisation);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// The root's certificate in PEM.
    #[must_use]
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a server on a loopback address.
    ///
    /// # Errors
    /// When the system's random generator fails.
    pub fn server(&self) -> Result<Leaf> {
        let localhost = SanType::DnsName("localhost".try_into()?);
        self.issue(vec![localhost, SanType::IpAddress(Ipv4Addr::LOCALHOST.into())])
    }

    /// A certificate for a workload's service account.
    ///
    /// # Errors
    /// When the names are not ASCII.
    pub fn workload(&self, namespace: &str, service_account: &str) -> Result<Leaf> {
        self.issue(vec![SanType::URI(spiffe(namespace, service_account).as_str().try_into()?)])
    }

    fn issue(&self, names: Vec<SanType>) -> Result<Leaf> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = names;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.0)?;
        Ok(Leaf { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

/// The SPIFFE id of a service account.
#[must_use]
pub fn spiffe(namespace: &str, service_account: &str) -> String {
    format!("spiffe://{TRUST_DOMAIN}/ns/{namespace}/sa/{service_account}")
}
