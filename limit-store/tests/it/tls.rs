//! TLS. Valkey's package has none, so this needs a Redis server with TLS on `$PATH`.

use std::path::{Path, PathBuf};

use cellgate_limit_store::WhenStoreFails::Deny;
use cellgate_limit_store::{Judge, RedisAddress, RedisSettings, TlsFiles};
use cellgate_tests::valkey::{ServerOptions, Valkey, redis_with_tls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

use crate::support::{ask, available, charge, connected, open, settings, unavailable};

/// Writes an authority, and a certificate with its key, into a directory.
fn write_pki(directory: &Path, name: &str) -> (PathBuf, (PathBuf, PathBuf)) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let write = |part: &str, content: String| {
        let path = directory.join(format!("{name}-{part}.pem"));
        std::fs::write(&path, content).unwrap();
        path
    };
    let files = (write("certificate", certificate.pem()), write("key", key.serialize_pem()));
    (write("ca", authority.pem()), files)
}

fn with_tls(server: &Valkey, tls: TlsFiles) -> RedisSettings {
    let address = server.address().unwrap();
    let name = RedisAddress { host: "localhost".to_owned(), port: address.port() };
    RedisSettings { addresses: vec![name], tls: Some(tls), ..settings(address) }
}

#[tokio::test]
async fn certificates_are_checked_on_both_sides_and_read_again() {
    let Some(program) = redis_with_tls() else {
        eprintln!("skipped: no redis-server with TLS is on PATH (Debian, Ubuntu: apt-get install redis-server)");
        return;
    };
    let directory = TempDir::new().unwrap();
    let (ca, (certificate, key)) = write_pki(directory.path(), "good");
    let (other_ca, other) = write_pki(directory.path(), "other");
    let options = ServerOptions::new().program(program).tls(&certificate, &key, &ca);
    let server = Valkey::start(options).await.unwrap();
    let good = TlsFiles { ca: Some(ca), client: Some((certificate, key)) };

    let wrong_authority = TlsFiles { ca: Some(other_ca), ..good.clone() };
    let no_certificate = TlsFiles { client: None, ..good.clone() };
    let wrong_certificate = TlsFiles { client: Some(other), ..good.clone() };
    for (tls, part) in [(wrong_authority, "UnknownIssuer"), (no_certificate, ""), (wrong_certificate, "")] {
        let reason = unavailable(&open(with_tls(&server, tls))).await;
        assert!(reason.contains(part) && reason.contains("TLS"), "{reason}");
    }
    // Its certificate is for another name.
    let mut by_address = with_tls(&server, good.clone());
    by_address.addresses = settings(server.address().unwrap()).addresses;
    let reason = unavailable(&open(by_address)).await;
    assert!(reason.contains("not valid for name"), "{reason}");
    // Without TLS.
    let reason = unavailable(&open(settings(server.address().unwrap()))).await;
    assert!(reason.contains("whether it wants TLS") || reason.contains("only with TLS"), "{reason}");

    let client = good.client.clone().unwrap();
    let content = std::fs::read(&client.0).unwrap();
    std::fs::remove_file(&client.0).unwrap();
    let store = open(with_tls(&server, good.clone()));
    assert!(unavailable(&store).await.contains("good-certificate.pem"));
    std::fs::write(&client.0, content).unwrap();
    available(&store).await;
    for left in [9, 8, 7] {
        assert_eq!(ask(&store, charge("a", "10/h", Deny)).await, (true, Judge::Store, Some(left)));
    }
    assert_eq!(ask(&connected(with_tls(&server, good)).await, charge("a", "10/h", Deny)).await.2, Some(6));
}
