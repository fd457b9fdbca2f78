//! Structured logs on stderr, as JSON lines or for a terminal.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// The format of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line.
    Json,
    /// Text for a terminal.
    Human,
}

/// Starts to log to stderr. Only the first call has an effect.
pub fn start(format: Format, filter: EnvFilter) {
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        Format::Json => builder.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init(),
        Format::Human => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init(),
    };
    if started.is_err() {
        tracing::debug!("logging is already started");
    }
}
