//! Why a connection is refused before its first request: a reason from a closed list, for the metric, and a text for the
//! log.

use std::fmt;
use std::io;

use tokio_rustls::rustls::{CertificateError, Error, InvalidMessage, PeerIncompatible};

use super::client_verifier::NameError;

/// The reason of a refused connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The client has sent no certificate.
    NoCertificate,
    /// The client's certificate has expired.
    CertificateExpired,
    /// The client's certificate is not valid yet.
    CertificateNotYetValid,
    /// The client's certificate is of an authority that is not in the file.
    UnknownCa,
    /// The client's certificate is malformed, forged, or not for clients.
    CertificateInvalid,
    /// The client's certificate has no name.
    SanMissing,
    /// The client's certificate has no admitted name.
    SanNotAdmitted,
    /// The client refused the certificate of the service.
    RefusedByClient,
    /// The client speaks no accepted version of TLS.
    Version,
    /// The client and the service have no algorithm or protocol in common.
    Incompatible,
    /// The client speaks plain text.
    PlainText,
    /// The client speaks TLS, and the port is plain text.
    TlsOnPlainText,
    /// The client closed the connection.
    Closed,
    /// The handshake took too long.
    Timeout,
    /// The client broke the rules of TLS.
    Protocol,
}

/// A refused connection.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The reason, for the metric.
    pub reason: Reason,
    /// The error, for the log.
    pub error: String,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 15] = [
        Self::NoCertificate,
        Self::CertificateExpired,
        Self::CertificateNotYetValid,
        Self::UnknownCa,
        Self::CertificateInvalid,
        Self::SanMissing,
        Self::SanNotAdmitted,
        Self::RefusedByClient,
        Self::Version,
        Self::Incompatible,
        Self::PlainText,
        Self::TlsOnPlainText,
        Self::Closed,
        Self::Timeout,
        Self::Protocol,
    ];

    /// The label of the metric.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateNotYetValid => "certificate_not_yet_valid",
            Self::UnknownCa => "unknown_ca",
            Self::CertificateInvalid => "certificate_invalid",
            Self::SanMissing => "san_missing",
            Self::SanNotAdmitted => "san_not_admitted",
            Self::RefusedByClient => "refused_by_client",
            Self::Version => "version",
            Self::Incompatible => "incompatible",
            Self::PlainText => "plain_text",
            Self::TlsOnPlainText => "tls_on_plain_text",
            Self::Closed => "closed",
            Self::Timeout => "timeout",
            Self::Protocol => "protocol",
        }
    }

    /// What the operator can do, for the log.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::NoCertificate => "give the client a certificate (Envoy: `tls_certificates`)",
            Self::CertificateExpired => "renew the client's certificate",
            Self::CertificateNotYetValid => "compare the clocks of the client's issuer and of this host",
            Self::UnknownCa => "add the issuer to --tls-client-ca, or give the client a certificate of an issuer in it",
            Self::CertificateInvalid => {
                "issue a new certificate, for client authentication; if the authority was renewed, add the new one to --tls-client-ca"
            }
            Self::SanMissing => "issue a certificate with a DNS name or a SPIFFE id",
            Self::SanNotAdmitted => "admit one of the names with --tls-client-san, or use another certificate",
            Self::RefusedByClient => {
                "compare the client's trusted CA and expected names with the certificate of --tls-cert"
            }
            Self::Version => {
                "use TLS 1.3 in the client (Envoy: `tls_maximum_protocol_version: TLSv1_3`), or set --tls-min-version 1.2"
            }
            Self::Incompatible => "compare the client's algorithms and ALPN protocols; the service speaks `h2`",
            Self::PlainText => {
                "give the client a TLS context, or start the service with --plain-text and without --tls-cert"
            }
            Self::TlsOnPlainText => {
                "start the service with --tls-cert and --tls-key, or remove the client's TLS context"
            }
            Self::Closed | Self::Timeout => "look at the client's log and at the network between",
            Self::Protocol => "find out which program connects",
        }
    }
}

impl Refusal {
    /// The refusal of a handshake that failed with this error.
    pub(super) fn of(error: &io::Error) -> Self {
        let tls = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
        let Some(tls) = tls else {
            return Self {
                reason: Reason::Closed,
                error: "the client closed the connection during the handshake".to_owned(),
            };
        };
        let name_error = match tls {
            Error::InvalidCertificate(CertificateError::Other(other)) => other.0.downcast_ref::<NameError>(),
            _ => None,
        };
        match name_error {
            Some(error @ NameError::None) => Self { reason: Reason::SanMissing, error: error.to_string() },
            Some(error @ (NameError::NotAdmitted { .. } | NameError::ManyUris { .. })) => {
                Self { reason: Reason::SanNotAdmitted, error: error.to_string() }
            }
            None => {
                let reason = reason(tls);
                Self { reason, error: text(reason, tls) }
            }
        }
    }

    /// The refusal of a connection that was not ready in time.
    pub(super) fn late() -> Self {
        Self { reason: Reason::Timeout, error: "the handshake was not complete in time".to_owned() }
    }

    /// The refusal of a slow handshake while others waited.
    pub(super) fn crowded_out() -> Self {
        let error = "the handshake was not complete within 1 s, while other connections waited for theirs".to_owned();
        Self { reason: Reason::Timeout, error }
    }

    /// The refusal of a TLS client on a plain-text port.
    pub(crate) fn tls_on_plain_text() -> Self {
        Self { reason: Reason::TlsOnPlainText, error: "the client speaks TLS, and this port is plain text".to_owned() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.error)
    }
}

/// The error in an operator's words, or in those of rustls.
fn text(reason: Reason, error: &Error) -> String {
    let text = match (reason, error) {
        (Reason::NoCertificate, _) => "the client sent no certificate",
        (Reason::UnknownCa, _) => "no authority of --tls-client-ca has issued the client's certificate",
        (Reason::Version, _) => "the client offers no version of TLS that is accepted",
        (Reason::PlainText, _) => "the client speaks plain text",
        (_, Error::InvalidCertificate(CertificateError::BadSignature)) => {
            "another authority of the same name has issued the client's certificate, or the client does not have its key"
        }
        (_, Error::NoApplicationProtocol) => "the client offers only protocols other than HTTP/2 (ALPN)",
        (_, Error::InvalidCertificate(CertificateError::ExpiredContext { time, not_after })) => {
            let seconds = time.as_secs().saturating_sub(not_after.as_secs());
            return format!("the client's certificate expired {seconds} s ago");
        }
        (_, Error::InvalidCertificate(CertificateError::NotValidYetContext { time, not_before })) => {
            let seconds = not_before.as_secs().saturating_sub(time.as_secs());
            return format!("the client's certificate is not valid for another {seconds} s");
        }
        _ => return error.to_string(),
    };
    text.to_owned()
}

fn reason(error: &Error) -> Reason {
    match error {
        Error::NoCertificatesPresented => Reason::NoCertificate,
        Error::InvalidCertificate(error) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Reason::CertificateExpired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Reason::CertificateNotYetValid
            }
            CertificateError::UnknownIssuer => Reason::UnknownCa,
            _ => Reason::CertificateInvalid,
        },
        Error::AlertReceived(_) => Reason::RefusedByClient,
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => Reason::PlainText,
        Error::PeerIncompatible(
            PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::ServerDoesNotSupportTls12Or13,
        ) => Reason::Version,
        Error::PeerIncompatible(_) | Error::NoApplicationProtocol => Reason::Incompatible,
        _ => Reason::Protocol,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_reason_has_a_label_of_its_own() {
        let labels: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.label()).collect();
        assert_eq!(labels.len(), Reason::ALL.len());
    }
}
