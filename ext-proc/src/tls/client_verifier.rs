//! Verifies clients: rustls verifies the certificate, and then its names are compared with the admitted ones.

use std::sync::Arc;

use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};

use super::certificate::Names;
use super::client_name::ClientName;

/// Admits clients with a valid certificate that has one of the names. Without names, every valid certificate is admitted.
#[derive(Debug)]
pub(super) struct NamedClientVerifier {
    certificates: Arc<dyn ClientCertVerifier>,
    admitted: Vec<ClientName>,
}

/// A certificate is valid, and its names are not admitted.
#[derive(Debug, thiserror::Error)]
pub(super) enum NameError {
    /// It has no DNS name and no URI.
    #[error("the client's certificate has no DNS name and no URI as subject alternative name")]
    None,
    /// It has several URIs, and none of its DNS names is admitted.
    #[error("the client's certificate has {count} URIs, and one with a SPIFFE id has exactly one: {names}")]
    ManyUris {
        /// How many.
        count: usize,
        /// The first names.
        names: String,
    },
    /// It has others.
    #[error("no name of the client's certificate is admitted: {names}")]
    NotAdmitted {
        /// The first ones.
        names: String,
    },
}

impl NamedClientVerifier {
    pub(super) fn new(certificates: Arc<dyn ClientCertVerifier>, admitted: Vec<ClientName>) -> Self {
        Self { certificates, admitted }
    }

    fn admit(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        if self.admitted.is_empty() {
            return Ok(());
        }
        let names = Names::of(certificate).ok_or(CertificateError::BadEncoding)?;
        if self.admitted.iter().any(|name| name.admits(&names)) {
            return Ok(());
        }
        let error = match names.uris.len() {
            0 if names.is_empty() => NameError::None,
            0 | 1 => NameError::NotAdmitted { names: names.to_string() },
            count => NameError::ManyUris { count, names: names.to_string() },
        };
        Err(CertificateError::Other(OtherError(Arc::new(error))).into())
    }
}

impl ClientCertVerifier for NamedClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.certificates.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.certificates.verify_client_cert(end_entity, intermediates, now)?;
        self.admit(end_entity)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.certificates.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.certificates.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.certificates.supported_verify_schemes()
    }
}
