//! The log as the program has it: its lines, its level, its repeats, and panics.
//!
//! It has a process of its own, because a process has one log. Its tests run one after the other.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may fail")]

#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "it/limits.rs"]
mod limits;
#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "it/otlp.rs"]
mod otlp;
#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "it/peer.rs"]
mod peer;
#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "it/pki.rs"]
mod pki;
#[allow(dead_code, reason = "the other tests use the rest")]
#[path = "it/support.rs"]
mod support;
#[path = "logging/traced.rs"]
mod traced;

use std::io;
use std::sync::{Arc, Mutex};

use cellgate_ext_proc::logging::{self, Format, LogWriter, Logging};
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use serde_json::Value;
use tokio::sync::{MutexGuard, OnceCell};

use crate::limits::{LimitedService, TOKEN};
use crate::peer::{Peer, head};
use crate::support::until;

/// The log of this process.
struct ProcessLog {
    text: Arc<Mutex<Vec<u8>>>,
    logging: Logging,
    _writer: LogWriter,
    turn: tokio::sync::Mutex<()>,
}

struct Text(Arc<Mutex<Vec<u8>>>);

static LOG: OnceCell<ProcessLog> = OnceCell::const_new();

impl io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ProcessLog {
    async fn start() -> (&'static Self, MutexGuard<'static, ()>) {
        let start = || async {
            let text = Arc::<Mutex<Vec<u8>>>::default();
            let writer = Text(Arc::clone(&text));
            let (logging, writer) = logging::start_to(writer, false, Format::Json, &"info".parse().unwrap());
            Self { text, logging, _writer: writer, turn: tokio::sync::Mutex::default() }
        };
        let log = LOG.get_or_init(start).await;
        let turn = log.turn.lock().await;
        log.text.lock().unwrap().clear();
        (log, turn)
    }

    fn lines(&self) -> Vec<Value> {
        let text = String::from_utf8(self.text.lock().unwrap().clone()).unwrap();
        // The last line may be on its way.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
    }

    fn of(&self, event: &str) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line["event"] == event).collect()
    }

    /// Waits for a line.
    async fn line(&self, event: &str) -> Value {
        until(event, || async { !self.of(event).is_empty() }).await;
        self.of(event).remove(0)
    }

    /// A service with rate limits, a token, and this log.
    async fn service(&self) -> LimitedService {
        let logging = self.logging.clone();
        LimitedService::start_with(limits::LIMITS, |settings| settings.logging = Some(logging)).await
    }
}

#[tokio::test]
async fn a_line_has_its_fields_in_a_stable_order() {
    let (log, _turn) = ProcessLog::start().await;
    let limited = log.service().await;
    limited.send("acme", "k").await;
    limited.document("POST", "/limits/per-tenant/reset?value=acme").await;
    log.line("limit_reset").await;
    let text = String::from_utf8(log.text.lock().unwrap().clone()).unwrap();
    let line = text.lines().find(|line| line.contains("\"limit_reset\"")).unwrap();
    let names = [
        "{\"timestamp\":\"20",
        "\",\"level\":\"INFO\",\"event\":\"limit_reset\",\"message\":\"rate limit of a key reset\",\"limit\":\"per-tenant\",\"key\":\"",
        "\",\"client\":\"127.0.0.1:",
        "\",\"units\":1,\"target\":\"cellgate_ext_proc::admin::limits\"}",
    ];
    let mut rest = line;
    for name in names {
        rest = rest.split_once(name).unwrap_or_else(|| panic!("no {name} in {line}")).1;
    }
    assert_eq!(rest, "");
}

#[tokio::test]
async fn the_level_changes_for_a_time_and_who_did_it_is_logged_at_any_level() {
    let (log, _turn) = ProcessLog::start().await;
    let limited = log.service().await;
    limited.send("acme", "k").await;
    assert!(log.of("request_decided").is_empty());
    let changed = limited.document("PUT", "/log-level?level=debug&seconds=600").await;
    assert_eq!((&changed["level"], &changed["start_level"]), (&"debug".into(), &"info".into()));
    assert!(changed["returns_in_seconds"].as_u64().unwrap() >= 590, "{changed}");
    let line = log.line("log_level_changed").await;
    assert_eq!((&line["before"], &line["log_level"], &line["seconds"]), (&"info".into(), &"debug".into(), &600.into()));
    assert!(line["client"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");

    limited.send("acme", "k").await;
    assert_eq!(log.line("request_decided").await["outcome"], "cell");
    let inspected: Value = serde_json::from_str(&limited.service.get("/inspect").await.1).unwrap();
    assert_eq!((&inspected["log"]["level"], &inspected["log"]["dropped_lines"]), (&"debug".into(), &0.into()));

    limited.document("PUT", "/log-level?level=off").await;
    until("logged", || async { log.of("log_level_changed").len() == 2 }).await;
    let decided = log.of("request_decided").len();
    limited.send("acme", "k").await;
    let back = limited.document("DELETE", "/log-level").await;
    assert_eq!((&back["level"], &back["returns_at"]), (&"info".into(), &Value::Null));
    until("logged", || async { log.of("log_level_changed").len() == 3 }).await;
    assert_eq!(log.of("request_decided").len(), decided);
}

/// A directive with a field is more specific than the one that keeps these lines, so it would win.
#[tokio::test]
async fn no_directive_silences_who_changed_the_level() {
    let (log, _turn) = ProcessLog::start().await;
    let limited = log.service().await;
    for directive in ["cellgate_ext_proc::logging::level[{client}]=off", "[{client}]=off", "[span]=off"] {
        let silent = format!("off,{directive}").replace('[', "%5B").replace(']', "%5D").replace('{', "%7B");
        let path = format!("/log-level?level={}", silent.replace('}', "%7D").replace('=', "%3D"));
        let (status, why) = limited.ask("PUT", &path, TOKEN).await;
        assert!(status == 400 && why.contains("who changed the level"), "{status} {why}");
    }
    // The most specific ones that are left.
    for directive in ["cellgate_ext_proc::logging::level=off", "cellgate_ext_proc::logging=off"] {
        let level = format!("off,{directive}");
        limited.document("PUT", &format!("/log-level?level={}", level.replace('=', "%3D"))).await;
        let is_told = |line: &Value| line["log_level"] == level;
        until("told", || async { log.of("log_level_changed").iter().any(is_told) }).await;
    }
    limited.document("DELETE", "/log-level").await;
}

#[tokio::test]
async fn the_level_of_the_start_comes_back_by_itself() {
    let (log, _turn) = ProcessLog::start().await;
    let limited = log.service().await;
    limited.document("PUT", "/log-level?level=trace&seconds=1").await;
    let line = log.line("log_level_returned").await;
    assert_eq!((&line["before"], &line["log_level"]), (&"trace".into(), &"info".into()));
    assert_eq!(limited.document("GET", "/log-level").await["level"], "info");
}

#[tokio::test]
async fn junk_changes_nothing_and_only_the_token_may_ask() {
    let (log, _turn) = ProcessLog::start().await;
    let limited = log.service().await;
    let long = format!("level={}", "x".repeat(60_000));
    for query in
        ["", "level=loud", "level=%1b%5b2J", "level=debug&seconds=0", "level=debug&seconds=1000000", "x=y", &long]
    {
        let (status, why) = limited.ask("PUT", &format!("/log-level?{query}"), TOKEN).await;
        assert_eq!(status, 400, "{why}");
        assert!(why.len() < 300 && !why.trim_end().chars().any(char::is_control), "{why:?}");
    }
    for method in ["GET", "PUT", "DELETE"] {
        assert_eq!(limited.ask(method, "/log-level?level=trace", "another-token-of-nobody").await.0, 401, "{method}");
    }
    assert_eq!(limited.ask("POST", "/log-level?level=trace", TOKEN).await.0, 405);
    // More than any server needs for a head: hyper answers it, or closes the connection.
    let huge = format!("level={}", "x".repeat(1 << 20));
    assert!(matches!(limited.ask("PUT", &format!("/log-level?{huge}"), TOKEN).await.0, 0 | 400 | 414 | 431));
    assert_eq!(limited.document("GET", "/log-level").await["level"], "info");
    assert!(log.of("log_level_changed").is_empty());
}

#[tokio::test]
async fn repeats_are_left_out_and_counted() {
    let (log, _turn) = ProcessLog::start().await;
    let limited = log.service().await;
    let before = log.logging.counts().suppressed();
    // Streams that fail, of one kind.
    for _ in 0..40 {
        let mut peer = Peer::open(&limited.service).await;
        peer.send(head(BodySendMode::Streamed, &[("x-request-id", "one")], false)).await;
        peer.status().await;
    }
    let failures = || log.of("stream_failed").len();
    // Another test may have written some of the ten lines of this window.
    until("lines", || async { failures() >= 5 }).await;
    assert!(failures() <= 20, "{} lines: at most two windows", failures());
    let left_out = log.logging.counts().suppressed() - before;
    assert!(left_out >= 20, "{left_out}");
    assert!(limited.service.metric("cellgate_log_lines_suppressed_total").await >= left_out);
    assert!(limited.service.metric(r#"cellgate_log_lines_total{level="warn"}"#).await >= 5);
    // A line of its own tells how many, when no other comes.
    let summary = log.line("lines_suppressed").await;
    assert_eq!((&summary["of"], &summary["reason"]), (&"stream_failed".into(), &"FailedPrecondition".into()));
    assert!(summary["suppressed"].as_u64().unwrap() > 0, "{summary}");
}

#[tokio::test]
async fn a_request_id_full_of_control_characters_is_bounded_and_harmless() {
    let (log, _turn) = ProcessLog::start().await;
    let limited = log.service().await;
    let hostile =
        format!("\u{1b}]0;owned\u{7}\u{1b}[2J\r\n{{\"event\":\"forged\"}}\u{9b}31m\u{202e}{}", "x".repeat(65_536));
    let mut peer = Peer::open(&limited.service).await;
    peer.send(head(BodySendMode::Streamed, &[("x-request-id", &hostile)], false)).await;
    peer.status().await;
    until("the line", || async { log.of("stream_failed").iter().any(|line| line["request_id"] != "one") }).await;
    let text = String::from_utf8(log.text.lock().unwrap().clone()).unwrap();
    assert!(text.len() < 10_000, "{} bytes", text.len());
    assert!(!text.chars().any(|character| character.is_control() && character != '\n'), "{text:?}");
    assert!(!text.contains('\u{202e}') && log.of("forged").is_empty(), "{text:?}");
    let (_, inspected) = limited.service.get("/inspect").await;
    assert!(!inspected.chars().any(|character| character.is_control() && character != '\n'), "{inspected:?}");
}

/// A message of a panic may have a part of a request.
#[tokio::test]
async fn a_panic_is_logged_without_the_values_in_its_message() {
    let (log, _turn) = ProcessLog::start().await;
    let hook = std::panic::take_hook();
    logging::log_panics();
    let key = "marker-7f3a-ü";
    let cut = std::thread::Builder::new().name("cut".to_owned());
    // The message of this panic has the whole string.
    cut.spawn(move || key.split_at(key.len() - 1).0.len()).unwrap().join().unwrap_err();
    std::thread::spawn(|| panic!("a message of the code")).join().unwrap_err();
    std::panic::set_hook(hook);
    let line = log.line("panicked").await;
    assert!(line["location"].as_str().unwrap().contains(".rs:"), "{line}");
    assert_eq!((&line["level"], &line["thread"]), (&"ERROR".into(), &"cut".into()));
    until("the other", || async { log.of("panicked").iter().any(|line| line["cause"] == "a message of the code") })
        .await;
    let text = String::from_utf8(log.text.lock().unwrap().clone()).unwrap();
    assert!(!text.contains("marker-7f3a"), "{text}");
}
