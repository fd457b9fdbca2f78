//! An authority, and the certificates of Envoy and of the replicas, in files.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, SanType};

/// Envoy's identity in `examples/envoy/cluster-tls.yaml`.
pub(crate) const ENVOY: &str = "spiffe://example.com/envoy";

/// The service's identity there.
const SERVICE: &str = "spiffe://example.com/cellgate";

/// The authority and its folder.
#[derive(Debug)]
pub(crate) struct Pki {
    authority: CertifiedIssuer<'static, KeyPair>,
    directory: PathBuf,
}

impl Pki {
    /// A new authority with certificates for Envoy and two replicas.
    ///
    /// # Errors
    /// A key cannot be made, or a file not be written.
    pub(crate) fn new(directory: &Path) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "chaos authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let pki = Self { authority, directory: directory.to_owned() };
        std::fs::write(pki.file("ca.crt"), pki.authority.pem())?;
        pki.issue("envoy", ENVOY, None)?;
        for number in 0..2 {
            pki.renew(number, None)?;
        }
        Ok(pki)
    }

    /// The path of a file.
    pub(crate) fn file(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    /// Gives a replica a new certificate and a new key. `lifetime`: until it expires; not in the time of a run without it.
    ///
    /// # Errors
    /// A key cannot be made, or a file not be written.
    pub(crate) fn renew(&self, replica: usize, lifetime: Option<Duration>) -> Result<()> {
        self.issue(&super::service(replica), SERVICE, lifetime)
    }

    fn issue(&self, name: &str, identity: &str, lifetime: Option<Duration>) -> Result<()> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(identity.try_into()?)];
        if let Some(lifetime) = lifetime {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("the clock is before 1970")?;
            params.not_after = rcgen::date_time_ymd(1970, 1, 1) + (now + lifetime);
        }
        let certificate = params.signed_by(&key, &self.authority)?;
        for (ending, text) in [("crt", certificate.pem()), ("key", key.serialize_pem())] {
            let draft = self.directory.join("draft");
            std::fs::write(&draft, text)?;
            std::fs::rename(&draft, self.file(&format!("{name}.{ending}")))?;
        }
        Ok(())
    }
}
