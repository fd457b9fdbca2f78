//! What keeps the service from starting.

use std::net::TcpListener;

use super::Transcript;
use crate::support::CONFIG;

#[test]
fn messages_about_the_start() {
    let mut transcript = Transcript::new();
    transcript.file("bad.yaml", "cells: []\n");
    transcript.file("bytes.yaml", b"cells: [\xff]\n");
    transcript.file("shadow.yaml", format!("{CONFIG}shadow: true\n"));
    let ports = "--listen 127.0.0.1:0 --admin 127.0.0.1:0";
    transcript.section("Configuration");
    for file in ["missing.yaml", ".", "bad.yaml", "bytes.yaml", "shadow.yaml"] {
        transcript.run(&format!("serve --config {file} {ports}"));
        transcript.run(&format!("serve --config {file} {ports} --log-format human"));
    }
    transcript.section("Ports");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    transcript.replace(address, "TAKEN");
    transcript.run(&format!("serve --config good.yaml --admin 127.0.0.1:0 --listen {address}"));
    transcript.run(&format!("serve --config good.yaml --listen 127.0.0.1:0 --admin {address}"));
    transcript.run("serve --config good.yaml --admin 127.0.0.1:0 --listen 192.0.2.1:50051");
    transcript.check("serve.txt");
}
