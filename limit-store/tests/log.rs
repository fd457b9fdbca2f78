//! The log: one line for each switch, and for each new reason. It is a program of its own: while another thread first meets a line
//! of the log, `tracing` may conclude that nobody wants it.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may fail")]

#[expect(dead_code, reason = "the tests in `it` use the rest")]
#[path = "it/support.rs"]
mod support;

use std::io::Write;
use std::sync::{Arc, Mutex};

use cellgate_limit_store::WhenStoreFails::Allow;
use cellgate_tests::valkey::{ServerOptions, Valkey};

use support::{ask, available, charge, open, settings, unavailable};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[tokio::test]
async fn switches_are_logged_once_and_requests_never() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .with_writer(move || writer.clone());
    // The runtime has one thread: this one.
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let mut server = Valkey::start(ServerOptions::new()).await.unwrap();
    let address = server.address().unwrap();
    server.kill();
    let store = open(settings(address));
    unavailable(&store).await;
    // Several attempts fail for the same reason.
    for _ in 0..100 {
        assert!(ask(&store, charge("a", "1/h", Allow)).await.0);
    }
    server.restart().await.unwrap();
    available(&store).await;
    server.kill();
    unavailable(&store).await;
    server.restart().await.unwrap();
    available(&store).await;
    let text = lines.text();
    let count = |part: &str| text.lines().filter(|line| line.contains(part)).count();
    assert_eq!(count("INFO the store of rate limits answers again"), 2, "{text}");
    // Refused; ended, then refused.
    assert!((2..=3).contains(&count("WARN the store of rate limits is unavailable")), "{text}");
    assert_eq!(count("store="), text.lines().count(), "{text}");
    assert!(text.lines().count() <= 5, "{text}");
}
