//! The files of TLS: their content, and the errors in it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};

use super::TlsSettings;
use super::certificate::{Names, Validity};

/// The largest file, in bytes. The bundle of all public certificate authorities has 220 KB.
const MAX_FILE: u64 = 4 << 20;

/// The bytes of the files.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Content {
    certificate: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

/// The files at one time.
pub(super) struct Snapshot {
    pub content: Content,
    /// Of each file.
    pub stamps: Vec<Stamp>,
}

/// Tells whether a file was written between two reads, even if it has the same bytes again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    file: (u64, u64),
    changed: (i64, i64),
}

/// The parts of the files.
pub(super) struct Parsed {
    /// The certificate of the service, and the intermediate ones.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its private key.
    pub key: PrivateKeyDer<'static>,
    /// The authorities of clients.
    pub client_roots: Option<RootCertStore>,
    /// The validity period of the certificate.
    pub validity: Validity,
    /// Whether the certificate has a name that a client can verify.
    pub has_names: bool,
}

/// An error of a certificate, a key or a bundle of authorities.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read.
    #[error("{path}: {source}", path = .path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The file has more than 4 MiB.
    #[error("{path}: larger than 4 MiB, so not a certificate or a key", path = .path.display())]
    TooLarge {
        /// Its path.
        path: PathBuf,
    },
    /// The file is damaged, such as one that is still being written.
    #[error("{path}: not a whole PEM file: {error}", path = .path.display())]
    BadPem {
        /// Its path.
        path: PathBuf,
        /// The fault.
        error: &'static str,
    },
    /// There is no certificate in the file.
    #[error("{path}: no certificate found: use a PEM file with `-----BEGIN CERTIFICATE-----`", path = .path.display())]
    NoCertificate {
        /// Its path.
        path: PathBuf,
    },
    /// There is no key in the file.
    #[error("{path}: no private key found: use a PEM file with `-----BEGIN PRIVATE KEY-----`, without a passphrase", path = .path.display())]
    NoKey {
        /// Its path.
        path: PathBuf,
    },
    /// A certificate is malformed.
    #[error("{path}: certificate {number}: {error}", path = .path.display())]
    BadCertificate {
        /// Its path.
        path: PathBuf,
        /// Its place in the file, from 1.
        number: usize,
        /// The fault.
        error: String,
    },
    /// The key is malformed, or of another kind.
    #[error("{path}: the private key cannot be used: use RSA with at least 2048 bits, ECDSA with P-256 or P-384, or Ed25519", path = .path.display())]
    BadKey {
        /// Its path.
        path: PathBuf,
    },
    /// The key belongs to another certificate.
    #[error("{key}: the private key does not match the certificate in {certificate}", key = .key.display(), certificate = .certificate.display())]
    KeyMismatch {
        /// The path of the key.
        key: PathBuf,
        /// The path of the certificate.
        certificate: PathBuf,
    },
    /// The certificate has expired.
    #[error("{path}: the certificate expired {seconds} s ago, at {not_after}", path = .path.display())]
    Expired {
        /// Its path.
        path: PathBuf,
        /// How long ago.
        seconds: u64,
        /// Its last second.
        not_after: String,
    },
    /// The certificate is not valid yet.
    #[error("{path}: the certificate is not valid for another {seconds} s, until {not_before}: compare the clocks", path = .path.display())]
    NotYetValid {
        /// Its path.
        path: PathBuf,
        /// How long.
        seconds: u64,
        /// Its first second.
        not_before: String,
    },
    /// The authorities cannot be used.
    #[error("{path}: {error}", path = .path.display())]
    BadAuthorities {
        /// Their path.
        path: PathBuf,
        /// The fault.
        error: String,
    },
    /// rustls refuses the settings. This does not happen in practice.
    #[error("TLS cannot be set up: {error}")]
    Settings {
        /// The error of rustls.
        error: tokio_rustls::rustls::Error,
    },
}

impl Snapshot {
    /// Reads the files.
    pub(super) fn read(settings: &TlsSettings) -> Result<Self, TlsError> {
        let mut stamps = Vec::new();
        let mut read = |path: &Path| {
            let (bytes, stamp) = read(path)?;
            stamps.push(stamp);
            Ok(bytes)
        };
        let content = Content {
            certificate: read(&settings.certificate)?,
            key: read(&settings.key)?,
            client_ca: settings.client_ca.as_deref().map(read).transpose()?,
        };
        Ok(Self { content, stamps })
    }
}

impl Content {
    /// Parses the files, and checks the validity of the certificate.
    pub(super) fn parse(&self, settings: &TlsSettings, now: UnixTime) -> Result<Parsed, TlsError> {
        let path = &settings.certificate;
        let chain = certificates(&self.certificate, path)?;
        let certificate = chain.first().ok_or_else(|| TlsError::NoCertificate { path: path.clone() })?;
        let bad = || TlsError::BadCertificate { path: path.clone(), number: 1, error: "not valid X.509".to_owned() };
        let validity = Validity::of(certificate).ok_or_else(bad)?;
        let has_names = !Names::of(certificate).ok_or_else(bad)?.is_empty();
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| match error {
            pem::Error::NoItemsFound => TlsError::NoKey { path: settings.key.clone() },
            error => bad_pem(&settings.key, &error),
        })?;
        let client_roots = match (&self.client_ca, &settings.client_ca) {
            (Some(bytes), Some(path)) => Some(authorities(bytes, path)?),
            _ => None,
        };
        let (over, ahead) = (validity.seconds_over(now), validity.seconds_ahead(now));
        if over > 0 {
            let not_after = validity.not_after.to_string();
            return Err(TlsError::Expired { path: path.clone(), seconds: over, not_after });
        }
        if ahead > 0 {
            let not_before = validity.not_before.to_string();
            return Err(TlsError::NotYetValid { path: path.clone(), seconds: ahead, not_before });
        }
        Ok(Parsed { chain, key, client_roots, validity, has_names })
    }
}

/// Reads the authorities of a server's certificate.
pub(crate) fn read_authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    authorities(&read(path)?.0, path)
}

fn read(path: &Path) -> Result<(Vec<u8>, Stamp), TlsError> {
    let unreadable = |source| TlsError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    // Opening a FIFO waits for a writer, which may never come.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(unreadable(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
    }
    let file = File::open(path).map_err(unreadable)?;
    // Before the reading, so that a write during it changes the next stamp.
    let found = file.metadata().map_err(unreadable)?;
    let stamp = Stamp { file: (found.dev(), found.ino()), changed: (found.ctime(), found.ctime_nsec()) };
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE { Err(TlsError::TooLarge { path: path.to_owned() }) } else { Ok((bytes, stamp)) }
}

fn certificates(bytes: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    let certificates = read.map_err(|error| bad_pem(path, &error))?;
    if certificates.is_empty() { Err(TlsError::NoCertificate { path: path.to_owned() }) } else { Ok(certificates) }
}

fn authorities(bytes: &[u8], path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in certificates(bytes, path)?.into_iter().enumerate() {
        roots.add(certificate).map_err(|_| TlsError::BadCertificate {
            path: path.to_owned(),
            number: index + 1,
            error: "not valid X.509".to_owned(),
        })?;
    }
    Ok(roots)
}

/// The error without any byte of the file, which may be a key.
fn bad_pem(path: &Path, error: &pem::Error) -> TlsError {
    let error = match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no `-----END …-----`",
        pem::Error::IllegalSectionStart { .. } => "a line with `-----BEGIN` is malformed",
        pem::Error::Base64Decode(_) => "a section is not base64",
        _ => "a section is malformed",
    };
    TlsError::BadPem { path: path.to_owned(), error }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// The service hung at its start, or in a reload, which then kept SIGTERM from ending it.
    #[test]
    fn a_fifo_without_a_writer_is_an_error_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fifo");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || sender.send(read(&path).map(|_| ())).unwrap());
        let error = receiver.recv_timeout(Duration::from_secs(20)).expect("it waits for a writer").unwrap_err();
        assert!(error.to_string().ends_with("fifo: not a regular file"), "{error}");
    }
}
