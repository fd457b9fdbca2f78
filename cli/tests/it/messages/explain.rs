//! Reports of `explain`, and logs that it cannot use.

use super::Transcript;

/// An access log as real Envoys wrote it, and lines of other formats.
const LOG: &str = include_str!("../../fixtures/access.log");

#[test]
fn messages_about_requests() {
    let mut transcript = Transcript::new();
    transcript.file("access.log", LOG);
    transcript.section("Stories");
    for id in LOG.lines().filter_map(request_id).fold(Vec::new(), |mut ids: Vec<&str>, id| {
        if !ids.contains(&id) {
            ids.push(id);
        }
        ids
    }) {
        transcript.run(&format!("explain {id} access.log"));
    }
    transcript.run("explain two-proxies access.log --output json");

    transcript.section("Requests without an entry");
    transcript.run("explain two-proxie access.log");
    transcript.run("explain nobody access.log access.log");
    transcript.run("explain nobody access.log --output json");

    transcript.section("Logs that it cannot use");
    transcript.file("other.log", "2026-11-30T10:00:00Z info Envoy proxy is ready\n{\"time\":\"x\"}\n");
    transcript.file("cut.log", "{\"log_format\":\"cellgate/1\",\"request_id\":\"two-pro");
    transcript.file("empty.log", "");
    for log in ["other.log", "cut.log", "empty.log", "nothing.log", "."] {
        transcript.run(&format!("explain two-proxies {log}"));
    }
    transcript.run("explain two-proxies");

    transcript.section("Command lines");
    transcript.run("explain");
    transcript.run("explain '' access.log");
    transcript.run("explain 'a\tb' access.log");
    transcript.run_to_full_device("explain two-proxies access.log");
    transcript.check("explain.txt");
}

fn request_id(line: &str) -> Option<&str> {
    line.split_once("\"request_id\":\"").and_then(|(_, rest)| rest.split_once('"')).map(|(id, _)| id)
}
