//! A snapshot of all messages of the service that an operator, a client or Envoy can see. `UPDATE=1` writes it again.
//!
//! It has a process of its own, because log lines of the worker threads need a global subscriber.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may fail")]

#[path = "it/every_metric.rs"]
mod every_metric;
#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "it/limits.rs"]
mod limits;
#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "it/peer.rs"]
mod peer;
#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "it/pki.rs"]
mod pki;
#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "it/support.rs"]
mod support;
#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "it/tls_cases.rs"]
mod tls_cases;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cellgate_routing::{Decider, Outcome, Reason, Tier, grpc_message, problem};
use envoy_types::pb::envoy::config::core::v3::HeaderValue;
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
use envoy_types::pb::envoy::service::ext_proc::v3::{HttpBody, HttpHeaders, ProcessingRequest};
use envoy_types::pb::google::protobuf::Struct;

use crate::every_metric::every_metric;
use crate::limits::LimitedService;
use crate::peer::{Peer, head, message};
use crate::pki::{Pki, replace};
use crate::support::{CONFIG, Service, request, until};

const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/messages/service.txt");
/// The cases that need other settings.
const OVER_BUDGET: &str = "message beyond the budget";
const NO_HEADERS: &str = "no headers in time";

const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// The log lines so far, as JSON.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    async fn contains(&self, text: &str) {
        until(text, || async { self.text().contains(text) }).await;
    }

    /// Takes the lines about TLS. A service that the test has dropped may still log the end of its drain.
    fn take_tls(&self, service_addresses: &[(String, &str)]) -> String {
        let text = self.take(service_addresses);
        let lines = text.lines().filter(|line| TLS_EVENTS.iter().any(|event| line.contains(event)));
        lines.map(|line| format!("{line}\n")).collect()
    }

    /// Takes the lines of a service, without its addresses and paths.
    fn take(&self, service_addresses: &[(String, &str)]) -> String {
        let mut text = self.text();
        self.0.lock().unwrap().clear();
        for (address, name) in service_addresses {
            text = text.replace(address, name);
        }
        text
    }
}

const TLS_EVENTS: [&str; 5] =
    ["connection_refused", "tls_reloaded", "tls_files_refused", "tls_certificate_without_san", "tls_any_client"];

fn names(service: &Service) -> [(String, &'static str); 3] {
    let directory = service.config.parent().map(Path::display).unwrap().to_string();
    [(service.grpc.to_string(), "GRPC"), (service.admin.to_string(), "ADMIN"), (directory, "DIRECTORY")]
}

#[tokio::test]
async fn the_messages_are_those_of_the_snapshot() {
    let log = Log::default();
    let writer = log.clone();
    let format = tracing_subscriber::fmt().json().flatten_event(true).without_time().with_target(false);
    format
        .with_max_level(tracing::Level::INFO)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(move || writer.clone())
        .init();

    let actual = [
        section("log: start, reload, drain", &lifecycle(&log).await),
        section("log: drain timeout", &drain_timeout(&log).await),
        section("log: refused TLS connections", &refused_connections(&log).await),
        section("log: TLS files", &tls_files(&log).await),
        section("admin port: rate limits", &rate_limits(&log).await),
        section("statuses that end a stream, and their log lines", &statuses(&log).await),
        section("refusals: status, problem document, grpc-message", &refusals()),
        section("help texts of metrics", &metric_helps()),
    ]
    .join("\n");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(Path::new(SNAPSHOT).parent().unwrap()).unwrap();
        std::fs::write(SNAPSHOT, &actual).unwrap();
    }
    let expected = std::fs::read_to_string(SNAPSHOT).unwrap_or_default();
    for (line, (actual, expected)) in actual.lines().zip(expected.lines()).enumerate() {
        assert_eq!(actual, expected, "line {} of {SNAPSHOT} differs; UPDATE=1 writes the file", line + 1);
    }
    assert_eq!(actual.lines().count(), expected.lines().count(), "UPDATE=1 writes {SNAPSHOT}");
}

fn section(title: &str, text: &str) -> String {
    format!("## {title}\n\n{text}")
}

async fn lifecycle(log: &Log) -> String {
    let service = Service::start().await;
    let names = names(&service);
    replace(&service.config, &CONFIG.replace("version: one", "version: two"));
    log.contains("config_reloaded").await;
    replace(&service.config, "cells: []\n");
    log.contains("config_refused").await;
    service.stop();
    service.ended().await.unwrap();
    log.take(&names)
}

async fn drain_timeout(log: &Log) -> String {
    let service = Service::start_with(|settings| settings.drain_timeout = Duration::from_millis(100)).await;
    let names = names(&service);
    let mut peer = Peer::post(&service, BodySendMode::FullDuplexStreamed).await;
    peer.body(b"{", false).await;
    until("held", || async { service.metric("cellgate_held_bytes").await > 0 }).await;
    service.stop();
    let status = peer.status().await;
    service.ended().await.unwrap();
    format!("{}{:?}: {}\n", log.take(&names), status.code(), status.message())
}

async fn refused_connections(log: &Log) -> String {
    let pki = Pki::new();
    let mut text = String::new();
    for case in tls_cases::cases(&pki) {
        // Some cases have the same reason, and a service logs each reason once a second.
        let service = pki.service().await;
        let _started = log.take(&[]);
        case.run(&service).await;
        log.contains("connection_refused").await;
        text += &format!("{}:\n    {}", case.name, without_numbers(&log.take_tls(&[])));
    }
    let plain = Service::start().await;
    let _started = log.take(&[]);
    assert!(pki.client().connect(&plain).await.is_err());
    log.contains("connection_refused").await;
    text += &format!("TLS on a plain-text port:\n    {}", without_numbers(&log.take_tls(&[])));
    let impatient = Service::start_with(|settings| {
        settings.tls = Some(pki.settings());
        settings.preface_timeout = Duration::from_millis(50);
    })
    .await;
    let _silent = tokio::net::TcpStream::connect(impatient.grpc).await.unwrap();
    log.contains("connection_refused").await;
    let lines = log.take_tls(&[]);
    let refused = lines.lines().find(|line| line.contains("connection_refused")).unwrap();
    text += &format!("silent:\n    {}\n", without_numbers(refused));
    let mut any_client = pki.settings();
    (any_client.client_ca, any_client.client_names) = (None, Vec::new());
    let _open = Service::start_with(|settings| settings.tls = Some(any_client)).await;
    log.contains("tls_any_client").await;
    text + &format!("without --tls-client-ca:\n    {}", log.take_tls(&[]))
}

/// A line without the client's port, times and ages.
fn without_numbers(line: &str) -> String {
    let mut text = String::new();
    for part in line.split_inclusive(|character: char| !character.is_ascii_digit()) {
        let digits = part.trim_end_matches(|character: char| !character.is_ascii_digit());
        let rest = &part[digits.len()..];
        let is_age = (text.ends_with('(') || text.ends_with("expired ") || text.ends_with("another ")) && rest == " ";
        let is_port = text.ends_with(':') && rest == "\"";
        text += if !digits.is_empty() && (digits.len() >= 9 || is_age || is_port) { "N" } else { digits };
        text += rest;
    }
    text
}

async fn tls_files(log: &Log) -> String {
    let pki = Pki::new();
    let service = pki.service().await;
    let mut names = vec![(pki.directory.path().display().to_string(), "DIRECTORY")];
    names.extend(self::names(&service));
    let _started = log.take(&names);
    let good = std::fs::read_to_string(pki.path("tls.crt")).unwrap();
    let other = pki.authority.issue("localhost");
    let with =
        |change: &dyn Fn(&mut rcgen::CertificateParams)| pki.authority.issue_with(|params| change(params)).certificate;
    let expired = with(&|params| params.not_after = pki::seconds_from_now(-1).into());
    let early = with(&|params| params.not_before = pki::seconds_from_now(3600).into());
    let cases: [(&str, &str, &str); 13] = [
        ("expired a second ago", "tls.crt", &expired),
        ("not yet valid", "tls.crt", &early),
        ("another key", "tls.crt", &other.certificate),
        ("empty", "tls.crt", ""),
        ("half of it", "tls.crt", &good[..good.len() / 2]),
        ("no certificate in it", "tls.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ("no key in it", "tls.key", &good),
        ("not base64", "tls.key", "-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n"),
        (
            "a key with a passphrase",
            "tls.key",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        ),
        ("no key that can be used", "tls.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        ("a bad line", "ca.pem", "-----BEGIN CERTIFICATE\n"),
        ("no authority in it", "ca.pem", "text"),
        ("a bad authority", "ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ];
    let mut text = String::new();
    for (name, file, content) in cases {
        let before = std::fs::read_to_string(pki.path(file)).unwrap();
        replace(&pki.path(file), content);
        log.contains("tls_files_refused").await;
        text += &format!("{name}:\n    {}", without_times(&log.take_tls(&names)));
        replace(&pki.path(file), &before);
        log.contains("tls_reloaded").await;
        let _reloaded = log.take(&names);
    }
    std::fs::write(pki.path("ca.new"), vec![b'-'; 5 << 20]).unwrap();
    std::fs::rename(pki.path("ca.new"), pki.path("ca.pem")).unwrap();
    log.contains("tls_files_refused").await;
    text += &format!("too large:\n    {}", log.take_tls(&names));
    std::fs::remove_file(pki.path("ca.pem")).unwrap();
    log.contains("tls_files_refused").await;
    text += &format!("missing:\n    {}", log.take_tls(&names));
    replace(&pki.path("ca.pem"), &pki.authority.pem());
    log.contains("tls_reloaded").await;
    text += &format!("good again:\n    {}", log.take_tls(&names));
    pki.write_identity(&pki.authority.issue_with(|_| {}));
    log.contains("tls_certificate_without_san").await;
    log.contains("tls_reloaded").await;
    text + &format!("without a name:\n    {}", log.take_tls(&names).trim_end().replace('\n', "\n    ")) + "\n"
}

/// The answers of `/limits`, and the log lines about it.
async fn rate_limits(log: &Log) -> String {
    let limited = LimitedService::start().await;
    let mut names = names(&limited.service).to_vec();
    let _started = log.take(&names);
    let mut text = String::new();
    for (method, path) in [
        ("GET", "/limits/nothing"),
        ("GET", "/limits/per-tenant"),
        ("GET", "/limits/per-tenant?value=a&value=b"),
        ("GET", "/limits/per-key?value=cell-a"),
        ("POST", "/limits/carried/reset?value=a"),
        ("GET", "/limits/per-tenant?key=a"),
        ("GET", "/limits/per-tenant?value=%a"),
        ("GET", "/limits/per-tenant?value=%ff"),
        ("GET", "/limits/per-tenant?value="),
        ("GET", "/limits/per-tenant?value=LONG"),
        ("GET", "/limits/per-tenant?unusable=true"),
        ("GET", "/limits/per-key?value=cell-c&value=a"),
        ("GET", "/limits/per-key?value=cell-b&value=%00"),
    ] {
        let (status, answer) = limited.ask(method, &path.replace("LONG", &"x".repeat(2000)), limits::TOKEN).await;
        text += &format!("{method} {path}\n    {status} {}\n", answer.trim_end().replace('\n', "\n    "));
    }
    limited.send("acme", limits::API_KEY).await;
    limited.document("POST", "/limits/per-tenant/reset?value=acme").await;
    text += &format!("with a wrong token\n    {}", limited.ask("GET", "/limits", limits::API_KEY).await.1);
    let (_, _, missing) = request(limited.service.admin, "GET", "/limits", &[]).await;
    let other = Service::start().await;
    let (_, _, off) = request(other.admin, "GET", "/limits", &[]).await;
    text += &format!("without a token\n    {missing}without --admin-token-file\n    {off}");
    replace(&limited.token_file, "short");
    log.contains("admin_token_file_refused").await;
    replace(&limited.token_file, "another-token-of-the-test");
    log.contains("admin_token_reloaded").await;
    let lines = log.take(&[]);
    for secret in [limits::TOKEN, limits::API_KEY, "another-token", "acme"] {
        assert!(!lines.contains(secret), "{lines}");
    }
    names.retain(|(_, name)| *name == "DIRECTORY");
    let lines = lines.lines().filter(|line| line.contains("\"admin_token") || line.contains("limit_reset"));
    let lines: Vec<_> = lines.map(|line| without_clients(&line.replace(&names[0].0, names[0].1))).collect();
    text + &format!("the log\n    {}\n", lines.join("\n    "))
}

/// A line without the port of a client and the digest of a key.
fn without_clients(line: &str) -> String {
    let parts = line.split('"').map(|part| match part.strip_prefix("127.0.0.1:") {
        Some(_) => "CLIENT",
        None if part.len() == 32 && part.bytes().all(|byte| byte.is_ascii_hexdigit()) => "DIGEST",
        None => part,
    });
    parts.collect::<Vec<_>>().join("\"")
}

/// A line without ages and dates.
fn without_times(line: &str) -> String {
    let words = line.split(' ').scan("", |last, word| {
        let is_time = matches!(*last, "expired" | "another" | "at" | "until")
            && word.starts_with(|first: char| first.is_ascii_digit());
        let word = if is_time {
            word.trim_start_matches(|character: char| character.is_ascii_digit() || "-:TZ".contains(character))
        } else {
            word
        };
        *last = if is_time { "" } else { word };
        Some(if is_time { format!("N{word}") } else { word.to_owned() })
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The messages of one stream that ends with an error, and the name of the error.
type Case = (&'static str, Vec<ProcessingRequest>);

fn cases() -> Vec<Case> {
    const DUPLEX: BodySendMode = BodySendMode::FullDuplexStreamed;
    let first = |mode| head(mode, &JSON, false);
    let whole = |mode| head(mode, &[("x-tenant-id", "acme"), (":method", "GET")], true);
    let body = |size: usize, end_of_stream| {
        message(Request::RequestBody(HttpBody { body: vec![b' '; size], end_of_stream, ..Default::default() }))
    };
    let mut with_response_bodies = first(DUPLEX);
    with_response_bodies.protocol_config.as_mut().unwrap().response_body_mode = BodySendMode::Buffered as i32;
    let empty = ProcessingRequest { protocol_config: first(DUPLEX).protocol_config, ..Default::default() };
    let mut body_first = body(1, true);
    body_first.protocol_config = first(DUPLEX).protocol_config;
    let mut many_headers = first(DUPLEX);
    if let Some(Request::RequestHeaders(HttpHeaders { headers: Some(map), .. })) = &mut many_headers.request {
        let header = HeaderValue { key: "x".to_owned(), ..Default::default() };
        map.headers.resize(10_001, header);
    }
    let mut much_overhead = first(DUPLEX);
    much_overhead.attributes = (0..200_000).map(|number| (number.to_string(), Struct::default())).collect();
    vec![
        ("body mode", vec![first(BodySendMode::Streamed)]),
        ("response bodies", vec![with_response_bodies]),
        ("observability mode", vec![ProcessingRequest { observability_mode: true, ..first(DUPLEX) }]),
        ("no protocol_config", vec![ProcessingRequest { protocol_config: None, ..first(DUPLEX) }]),
        ("empty message", vec![empty]),
        ("body first", vec![body_first]),
        ("headers twice", vec![first(DUPLEX), first(DUPLEX)]),
        ("body in mode NONE", vec![decided_head(BodySendMode::None), body(1, true)]),
        ("body after the end", vec![whole(DUPLEX), body(1, true)]),
        ("too many headers", vec![many_headers]),
        ("too much beside the body", vec![much_overhead]),
        ("message beyond the limit", vec![first(DUPLEX), body(5_000_000, true)]),
        (OVER_BUDGET, vec![decided_head(DUPLEX), body(100_000, true)]),
        (NO_HEADERS, vec![]),
    ]
}

/// Headers that decide although a body follows.
fn decided_head(mode: BodySendMode) -> ProcessingRequest {
    head(mode, &[("content-type", "application/grpc"), ("x-tenant-id", "acme")], false)
}

async fn statuses(log: &Log) -> String {
    let mut text = String::new();
    for (name, messages) in cases() {
        let service = Service::start_with(|settings| {
            settings.max_message_bytes = 4_000_000;
            match name {
                OVER_BUDGET => settings.max_held_bytes = 50_000,
                NO_HEADERS => settings.decision_timeout = Duration::from_millis(50),
                _ => {}
            }
        })
        .await;
        log.contains("\"listening\"").await;
        let names = names(&service);
        let _started = log.take(&names);
        let mut peer = Peer::open(&service).await;
        for message in messages {
            peer.send(message).await;
        }
        let status = loop {
            match peer.next().await {
                Ok(reply) => assert!(reply.is_some(), "{name}: the stream ended with OK"),
                Err(status) => break status,
            }
        };
        // A service that the test has dropped may still log the end of its drain.
        let lines = log.take(&names);
        let lines: Vec<_> = lines.lines().filter(|line| line.contains("\"stream_failed\"")).collect();
        text += &format!("{name}: {:?}: {}\n    {}\n", status.code(), status.message(), lines.join("\n    "));
    }
    let service = Service::start().await;
    let names = names(&service);
    let mut peer = Peer::post(&service, BodySendMode::FullDuplexStreamed).await;
    peer.close();
    let status = peer.status().await;
    let _started = log.take(&names);
    text + &format!("stream ended early: {:?}: {}\n", status.code(), status.message())
}

/// The default action of each reason in the service.
fn refusals() -> String {
    let decider = Decider::new(cellgate_config::from_file_name(CONFIG, "test.yaml").unwrap(), Tier::Service);
    let mut text = String::new();
    for reason in Reason::ALL.iter().filter(|reason| reason.has_policy()) {
        text += &match decider.answer(*reason).outcome {
            Outcome::Reject(status) => {
                format!("{status} {}    {}\n", problem(status, *reason, None), grpc_message(*reason))
            }
            outcome => format!("{} {}\n", outcome.label(), reason.label()),
        };
    }
    text
}

fn metric_helps() -> String {
    let text = every_metric();
    text.lines().filter(|line| line.starts_with("# HELP")).map(|line| format!("{line}\n")).collect()
}
