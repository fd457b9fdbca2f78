//! Reports and refusals of `limits`.

use super::{Transcript, answering, refusing};
use crate::limits::{LIMITS, TOKEN};
use crate::support::{CONFIG, Running};

#[test]
fn messages_about_limits() {
    let mut transcript = Transcript::new();
    transcript.file("limits.yaml", format!("{CONFIG}{LIMITS}"));
    transcript.file("token", TOKEN);
    transcript.file("other", "another-token-of-the-test");
    transcript.file("short", "short");
    transcript.file("spaces", "two words of a token");
    let path = |name: &str| transcript.directory.path().join(name).display().to_string();
    let service = Running::start(&path("limits.yaml"), &["--admin-token-file", &path("token")]);
    let without = Running::start(&path("limits.yaml"), &[]);
    transcript.replace(&service.admin, "SERVICE");
    transcript.replace(&without.admin, "WITHOUT");

    transcript.section("Reports");
    let of = |command: &str| format!("limits {command} --admin {} --token-file token", service.admin);
    transcript.run(&of("show"));
    transcript.run(&format!("{} --output json", of("show")));

    transcript.section("Leases");
    let usage = r#"{"name":"busy","digest":"00","limit":"100/s","limit_is":"default","used":9,"remaining":91,"full_in_ms":90,"outstanding":6}"#;
    let reset = r#"{"name":"busy","digest":"00","was_in_use":true,"units":9,"outstanding":6,"lease_term_ms":10000}"#;
    let list = r#"{"limits":[{"name":"busy","key":[],"limit":"100/s","plans":{},"keys_with_plan":0,"overrides":0,"plan_from":null,"limit_from":null,"at_most":null,"cost":"1","shadow":false,"when_store_fails":"local","outstanding":1}],"store":{"state":"embedded","problem":null,"keys":1,"max_keys":9,"evictions":0,"overflow_charges":0}}"#;
    for (command, document) in [("show", list), ("show busy", usage), ("reset busy", reset)] {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}", document.len());
        let address = answering(format!("{head}\r\n\r\n{document}").leak());
        transcript.replace(&address, "LEASES");
        transcript.run(&format!("limits {command} --admin {address} --token-file token"));
    }

    transcript.section("Tokens");
    transcript.run(&format!("limits show --admin {}", service.admin));
    for file in ["other", "spaces", "missing"] {
        transcript.run(&format!("limits show --admin {} --token-file {file}", service.admin));
    }
    transcript.run(&format!("limits show --admin {} --token-file token", without.admin));
    let ports = "--plain-text --listen 127.0.0.1:0 --admin 127.0.0.1:0";
    for file in ["short", "missing"] {
        transcript.run(&format!("serve --config good.yaml {ports} --admin-token-file {file}"));
    }

    transcript.section("Log level");
    let level = |rest: &str| format!("log-level --admin {} {rest}", service.admin);
    transcript.run(&level("--token-file token"));
    transcript.run(&level("debug"));
    for rest in ["loud", "debug --for 25h", "debug --reset", "--for 5m"] {
        transcript.run(&level(&format!("{rest} --token-file token")));
    }

    transcript.section("Keys");
    for rest in ["per-tenent acme", "per-tenant", "per-tenant ''", "per-tenant a -", "per-tenant acme --unusable 0"] {
        transcript.run(&format!("{} {rest}", of("show")));
    }
    transcript.run(&format!("{} per-key cell-c x", of("reset")));
    transcript.run(&of("reset"));

    transcript.section("Servers that it cannot use");
    let (_socket, refused) = refusing();
    transcript.replace(&refused, "REFUSED");
    transcript.run(&format!("limits show --admin {refused}"));
    for (word, answer) in [
        ("NOT-FOUND", "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"),
        ("PAGE", "HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n<html></html>"),
    ] {
        let address = answering(answer);
        transcript.replace(&address, word);
        transcript.run(&format!("limits show --admin {address} per-tenant acme"));
    }
    transcript.check("limits.txt");
}
