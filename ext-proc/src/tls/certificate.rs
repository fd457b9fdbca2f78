//! The contents of a certificate: its validity period, and the names of its owner.
//!
//! Names are read by the parser that verified the signature, so that nothing can be read in two ways.

use std::fmt;

use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use webpki::EndEntityCert;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::time::Time;

/// The period in which a certificate is valid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Validity {
    /// Its first second.
    pub not_before: Time,
    /// Its last second.
    pub not_after: Time,
}

/// The names in a certificate's subject alternative name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// DNS names.
    pub dns: Vec<String>,
    /// URIs, such as SPIFFE ids.
    pub uris: Vec<String>,
}

impl Validity {
    /// Reads the period. `None` if the certificate is not valid DER.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = Certificate::from_der(certificate).ok()?;
        let validity = certificate.tbs_certificate().validity();
        Some(Self { not_before: validity.not_before, not_after: validity.not_after })
    }

    /// How long the period has been over, in seconds. 0 if it is not.
    pub(crate) fn seconds_over(&self, now: UnixTime) -> u64 {
        now.as_secs().saturating_sub(seconds(self.not_after))
    }

    /// How long until the period begins, in seconds. 0 if it has begun.
    pub(crate) fn seconds_ahead(&self, now: UnixTime) -> u64 {
        seconds(self.not_before).saturating_sub(now.as_secs())
    }

    /// First and last second, as Unix time.
    pub(crate) fn unix(&self) -> (u64, u64) {
        (seconds(self.not_before), seconds(self.not_after))
    }
}

impl Names {
    /// Reads the names. Other kinds of names are skipped. `None` if the certificate is not valid.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = EndEntityCert::try_from(certificate).ok()?;
        Some(Self {
            dns: certificate.valid_dns_names().map(str::to_owned).collect(),
            uris: certificate.valid_uri_names().map(str::to_owned).collect(),
        })
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.dns.is_empty() && self.uris.is_empty()
    }
}

impl fmt::Display for Names {
    /// Lists the first names. A certificate can have thousands.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 3;
        const LENGTH: usize = 200;
        let all = self.uris.len() + self.dns.len();
        for (number, name) in self.uris.iter().chain(&self.dns).take(SHOWN).enumerate() {
            let comma = if number > 0 { ", " } else { "" };
            let short: String = name.chars().take(LENGTH).collect();
            write!(formatter, "{comma}{}", short.escape_debug())?;
        }
        if all > SHOWN { write!(formatter, " and {} more", all - SHOWN) } else { Ok(()) }
    }
}

fn seconds(time: Time) -> u64 {
    time.to_unix_duration().as_secs()
}
