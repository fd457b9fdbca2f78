//! Reports of `inspect`, and servers that it cannot use.

use super::{Transcript, answering, refusing};

/// A service with something in every field, and fields of a later version.
const BUSY: &str = include_str!("../../fixtures/inspection.json");

/// Leaks the text, as the servers of these tests live as long as the process.
fn response(document: &str) -> &'static str {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{document}", document.len()).leak()
}

#[test]
fn messages_about_services() {
    let mut transcript = Transcript::new();
    transcript.section("Reports");
    let quiet = BUSY.replace("\"ready\": false", "\"ready\": true");
    let mut document: serde_json::Value = serde_json::from_str(&quiet).unwrap();
    for list in ["refusals", "stream_errors", "refused_connections"] {
        document[list] = serde_json::json!([]);
    }
    document["tls"] = serde_json::Value::Null;
    document["config"]["refused"] = serde_json::Value::Null;
    document["config"]["version"] = "".into();
    let (busy, quiet) = (answering(response(BUSY)), answering(response(&document.to_string())));
    transcript.replace(&busy, "BUSY");
    transcript.replace(&quiet, "QUIET");
    for arguments in
        [&*busy, &quiet, &format!("{busy} {quiet}"), &format!("{busy} --json"), &format!("{busy} {quiet} --json")]
    {
        transcript.run(&format!("inspect {arguments}"));
    }

    transcript.section("Servers that it cannot use");
    let (_socket, refused) = refusing();
    transcript.replace(&refused, "REFUSED");
    transcript.run(&format!("inspect {refused}"));
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    transcript.replace(&address, "SILENT");
    transcript.run(&format!("inspect {address} --timeout 50ms"));
    for (word, answer) in [
        ("NOT-FOUND", "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"),
        ("FORBIDDEN", "HTTP/1.1 403 Forbidden\r\ncontent-length: 19\r\n\r\nuse \u{1b}the address:\r\n"),
        ("UNAVAILABLE", "HTTP/1.1 503 Unavailable\r\ncontent-length: 0\r\n\r\n"),
        ("PAGE", "HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n<html></html>"),
        ("OTHER", "HTTP/1.1 200 OK\r\ncontent-length: 17\r\n\r\n{\"version\": \"1\"}\n"),
        ("HALF", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"),
        ("SSH", "SSH-2.0-OpenSSH\r\n"),
    ] {
        let address = answering(answer);
        transcript.replace(&address, word);
        transcript.run(&format!("inspect {address}"));
    }
    transcript.run(&format!("inspect {refused} {quiet}"));
    transcript.check("inspect.txt");
}
