//! What keeps the service from starting.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use super::Transcript;
use crate::support::CONFIG;

#[test]
fn messages_about_the_start() {
    let mut transcript = Transcript::new();
    transcript.file("bad.yaml", "cells: []\n");
    transcript.file("bytes.yaml", b"cells: [\xff]\n");
    transcript.file("shadow.yaml", format!("{CONFIG}shadow: true\n"));
    let ports = "--plain-text --listen 127.0.0.1:0 --admin 127.0.0.1:0";
    transcript.section("Configuration");
    for file in ["missing.yaml", ".", "bad.yaml", "bytes.yaml", "shadow.yaml"] {
        transcript.run(&format!("serve --config {file} {ports}"));
        transcript.run(&format!("serve --config {file} {ports} --log-format human"));
    }
    transcript.section("Ports");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    transcript.replace(address, "TAKEN");
    transcript.run(&format!("serve --plain-text --config good.yaml --admin 127.0.0.1:0 --listen {address}"));
    transcript.run(&format!("serve --plain-text --config good.yaml --listen 127.0.0.1:0 --admin {address}"));
    transcript.run("serve --plain-text --config good.yaml --admin 127.0.0.1:0 --listen 192.0.2.1:50051");
    transcript.section("Unix sockets");
    let serve = "serve --config good.yaml --admin 127.0.0.1:0 --listen unix:";
    transcript.file("file", "");
    let folder = transcript.directory.path().to_owned();
    transcript.replace(folder.display(), "FOLDER");
    let _other = UnixListener::bind(folder.join("taken.sock")).unwrap();
    for path in ["file", "taken.sock", "nowhere/a.sock"] {
        transcript.run(&format!("{serve}{}", folder.join(path).display()));
    }
    transcript.run(&format!("{serve}/{}", "long".repeat(30)));
    std::fs::create_dir(folder.join("locked")).unwrap();
    let lock = std::fs::File::open(folder.join("locked")).unwrap();
    lock.lock().unwrap();
    transcript.run(&format!("{serve}{}", folder.join("locked/a.sock").display()));
    drop(lock);
    transcript.section("TLS");
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    transcript.file("tls.crt", identity.cert.pem());
    transcript.file("tls.key", identity.signing_key.serialize_pem());
    transcript.file("other.key", other.signing_key.serialize_pem());
    transcript.file("empty.pem", "");
    let serve = "serve --config good.yaml --admin 127.0.0.1:0 --listen 127.0.0.1:0";
    for options in [
        "",
        "--plain-text --tls-cert tls.crt --tls-key tls.key",
        "--plain-text --socket-mode 0600",
        "--tls-cert tls.crt",
        "--tls-key tls.key",
        "--tls-client-ca ca.pem",
        "--tls-cert tls.crt --tls-key tls.key --tls-client-san gateway.example.com",
        "--tls-cert missing.crt --tls-key tls.key",
        "--tls-cert tls.crt --tls-key other.key",
        "--tls-cert empty.pem --tls-key tls.key",
        "--tls-cert tls.crt --tls-key empty.pem",
        "--tls-cert tls.crt --tls-key tls.key --tls-client-ca empty.pem",
    ] {
        transcript.run(format!("{serve} {options}").trim_end());
    }
    transcript.section("Traces");
    transcript.file("headers", "authorization Bearer secret\n");
    let serve = "serve --config good.yaml --plain-text --admin 127.0.0.1:0 --listen 127.0.0.1:0";
    for options in
        ["--otlp-ca missing.pem", "--otlp-ca empty.pem", "--otlp-headers-file missing", "--otlp-headers-file headers"]
    {
        transcript.run(&format!("{serve} --otlp-endpoint https://collector {options}"));
    }
    for (name, text) in [
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization Bearer secret"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "missing.pem"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
    ] {
        transcript.run_in(&[(name, text)], &format!("{serve} --otlp-endpoint https://collector"));
    }
    // Other programs share these variables: an empty one counts as unset, and without an endpoint none is used.
    let [protocol, ca] = ["OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_CERTIFICATE"];
    let serve = serve.replace("good.yaml", "missing.yaml");
    transcript.run_in(&[("OTEL_EXPORTER_OTLP_ENDPOINT", ""), (protocol, "http/json"), (ca, "missing.pem")], &serve);
    let serve = format!("{serve} --otlp-endpoint https://collector");
    transcript.run_in(&[(protocol, ""), (ca, "")], &format!("{serve} --otlp-headers-file missing"));
    transcript.check("serve.txt");
}
