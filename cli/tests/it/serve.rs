//! `cellgate serve` as a process.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use crate::support::{CONFIG, cellgate, file, run, status};

#[test]
fn the_service_logs_its_addresses_and_shuts_down_on_sigterm() {
    let directory = tempfile::tempdir().unwrap();
    let config = file(directory.path(), "a.yaml", CONFIG);
    // Twice, as with the chart's own option and one in `extProc.extraArgs`.
    let mut command = cellgate(&["serve", "--listen", "127.0.0.1:0", "--plain-text", "--plain-text"]);
    // An option wins over its variable, and a variable over the default.
    command.env("CELLGATE_LISTEN", "192.0.2.1:1").env("CELLGATE_ADMIN", "127.0.0.1:0").env("CELLGATE_CONFIG", &config);
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(line["event"], "listening");
    assert!(line["grpc"].as_str().unwrap().starts_with("127.0.0.1:"));
    let admin = line["admin"].as_str().unwrap().parse().unwrap();
    assert_eq!(status(admin, "/readyz"), 200);

    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let events: Vec<Value> = lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(events.last().unwrap()["event"], "drained");
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert_eq!(out, "");
}

#[test]
fn a_failed_start_has_its_exit_code() {
    let directory = tempfile::tempdir().unwrap();
    let bad = file(directory.path(), "bad.yaml", "cells: []\n");
    let ports = ["--plain-text", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let serve = |config: &str| run(&[&["serve", "--config", config], &ports[..]].concat());
    let (code, out, err) = serve(&bad);
    assert_eq!((code, out.as_str()), (78, ""));
    assert!(err.contains(&format!("{bad}:1:")), "{err}");
    assert_eq!(serve("/nowhere/at-all.yaml").0, 66);

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let good = file(directory.path(), "good.yaml", CONFIG);
    let (code, _, err) =
        run(&["serve", "--plain-text", "--config", &good, "--listen", &address, "--admin", "127.0.0.1:0"]);
    assert_eq!(code, 71);
    assert!(err.contains(&address), "{err}");
}

/// `[::]` accepts connections of both families on one port. Without IPv6 in the kernel, it accepts IPv4 only.
#[test]
fn one_listener_serves_ipv6_and_ipv4() {
    let directory = tempfile::tempdir().unwrap();
    let config = file(directory.path(), "a.yaml", CONFIG);
    let any = "[::]:0";
    let mut child =
        cellgate(&["serve", "--plain-text", "--config", &config, "--listen", any, "--admin", any]).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut line = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    let mut listening = line();
    while listening["event"] == "no_ipv6" {
        assert!(!has_ipv6, "{listening}");
        listening = line();
    }
    assert_eq!(listening["event"], "listening");
    let port = |name: &str| listening[name].as_str().unwrap().parse::<std::net::SocketAddr>().unwrap().port();
    let hosts: &[&str] = if has_ipv6 { &["[::1]", "127.0.0.1"] } else { &["127.0.0.1"] };
    for host in hosts {
        let address = |name| format!("{host}:{}", port(name)).parse::<std::net::SocketAddr>().unwrap();
        assert_eq!(status(address("admin"), "/readyz"), 200, "{host}");
        assert!(std::net::TcpStream::connect(address("grpc")).is_ok(), "{host}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_unix_socket_needs_no_option_and_is_removed_on_sigterm() {
    let directory = tempfile::tempdir().unwrap();
    let config = file(directory.path(), "a.yaml", CONFIG);
    let path = directory.path().join("ext-proc.sock");
    let listen = format!("unix:{}", path.display());
    let mut child =
        cellgate(&["serve", "--config", &config, "--listen", &listen, "--admin", "127.0.0.1:0"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!((&line["event"], &line["grpc"], &line["tls"]), (&"listening".into(), &listen.into(), &false.into()));
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o660);
    assert!(std::os::unix::net::UnixStream::connect(&path).is_ok());
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!path.exists());
}

#[test]
fn tls_options_can_be_variables() {
    let directory = tempfile::tempdir().unwrap();
    let config = file(directory.path(), "a.yaml", CONFIG);
    let identity = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = file(directory.path(), "tls.crt", &identity.cert.pem());
    let key = file(directory.path(), "tls.key", &identity.signing_key.serialize_pem());
    let mut command = cellgate(&["serve", "--config", &config, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    command.env("CELLGATE_TLS_CERT", &certificate).env("CELLGATE_TLS_KEY", &key);
    command.env("CELLGATE_TLS_CLIENT_CA", &certificate).env("CELLGATE_TLS_MIN_VERSION", "1.2");
    command.env("CELLGATE_TLS_CLIENT_SAN", "gateway.example.com,spiffe://example.com/ns/ingress/*");
    command.env("CELLGATE_PLAIN_TEXT", "false");
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!((&line["event"], &line["tls"]), (&"listening".into(), &true.into()), "{line}");
    child.kill().unwrap();
    child.wait().unwrap();
}
