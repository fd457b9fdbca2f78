//! One line for each event.

use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::Value;
use std::sync::Arc;
use tokio::time::Instant;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_appender::non_blocking::NonBlocking;
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::Context;

use super::Format;
use super::counts::LineCounts;
use super::fields::EventFields;
use super::repeats::{Kind, Repeats};

/// The `event` of lines of libraries, such as that of HTTP/2.
pub(super) const OF_LIBRARY: &str = "library";

/// The fields behind `event` and `message`, in this order. The others follow as the code has them.
const FIRST_FIELDS: [&str; 3] = ["request_id", "trace_id", "span_id"];

/// The fields by which the lines of one place in the code are of different kinds.
const DETAILS: [&str; 2] = ["reason", "code"];

/// Writes lines.
#[derive(Debug)]
pub(super) struct LineLayer {
    lines: NonBlocking,
    format: Format,
    ansi: bool,
    repeats: Arc<Repeats>,
    counts: LineCounts,
}

/// A line before it has a format.
struct Line<'a> {
    metadata: &'a Metadata<'a>,
    event: String,
    message: String,
    fields: Vec<(&'static str, Value)>,
}

impl LineLayer {
    pub(super) fn new(
        lines: NonBlocking,
        format: Format,
        ansi: bool,
        repeats: Arc<Repeats>,
        counts: LineCounts,
    ) -> Self {
        Self { lines, format, ansi, repeats, counts }
    }

    /// How many lines of this kind were left out before. `None`: this one is left out too. Who asks for `debug` or `trace` gets
    /// every line.
    fn left_out_before(&self, metadata: &Metadata<'_>, event: &str, fields: &EventFields) -> Option<u64> {
        if *metadata.level() > Level::INFO || event == super::SUMMARY {
            return Some(0);
        }
        let detail = DETAILS.iter().map(|name| fields.text(name)).find(|text| !text.is_empty()).unwrap_or_default();
        let before = self.repeats.next(&Kind { callsite: metadata.callsite(), event, detail }, Instant::now());
        if before.is_none() {
            self.counts.suppressed_one();
        }
        before
    }
}

impl<S: Subscriber> Layer<S> for LineLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut fields = EventFields::default();
        event.record(&mut fields);
        let name = text(fields.take("event")).unwrap_or_else(|| OF_LIBRARY.to_owned());
        let Some(suppressed) = self.left_out_before(metadata, &name, &fields) else { return };
        let message = text(fields.take("message")).unwrap_or_default();
        let mut all: Vec<_> = FIRST_FIELDS.iter().filter_map(|name| Some((*name, fields.take(name)?))).collect();
        all.extend(fields.rest());
        if suppressed > 0 {
            all.push(("suppressed", suppressed.into()));
        }
        let line = Line { metadata, event: name, message, fields: all };
        let line = match self.format {
            Format::Json => line.json(),
            Format::Human => line.human(self.ansi),
        };
        self.counts.wrote(*metadata.level());
        // It goes into the queue, or is dropped and counted.
        let _dropped = self.lines.clone().write_all(line.as_bytes());
    }
}

impl Line<'_> {
    fn json(self) -> String {
        let mut line = format!("{{\"timestamp\":\"{}\",\"level\":\"{}\",\"event\":", now(), self.metadata.level());
        push_text(&mut line, &self.event);
        line.push_str(",\"message\":");
        push_text(&mut line, &self.message);
        for (name, value) in &self.fields {
            line.push(',');
            push_text(&mut line, name);
            line.push(':');
            push_value(&mut line, value);
        }
        line.push_str(",\"target\":");
        push_text(&mut line, self.metadata.target());
        line.push_str("}\n");
        line
    }

    fn human(self, ansi: bool) -> String {
        let level = self.metadata.level();
        let (start, end) = match (ansi, *level) {
            (false, _) => ("", ""),
            (true, Level::ERROR) => ("\x1b[31m", "\x1b[0m"),
            (true, Level::WARN) => ("\x1b[33m", "\x1b[0m"),
            (true, Level::INFO) => ("\x1b[32m", "\x1b[0m"),
            (true, _) => ("\x1b[2m", "\x1b[0m"),
        };
        let mut line = format!("{} {start}{level:>5}{end} ", now());
        push_escaped(&mut line, &self.message);
        line.push_str(" event=");
        push_text(&mut line, &self.event);
        for (name, value) in &self.fields {
            line.push(' ');
            line.push_str(name);
            line.push('=');
            push_value(&mut line, value);
        }
        line.push('\n');
        line
    }
}

/// The time of day, UTC, in microseconds.
fn now() -> String {
    let mut text = String::new();
    // Writing into a string cannot fail.
    let _ok = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}

fn text(value: Option<Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

fn push_value(line: &mut String, value: &Value) {
    match value {
        Value::String(text) => push_text(line, text),
        other => _ = write!(line, "{other}"),
    }
}

/// A text in quotes, as JSON has it.
fn push_text(line: &mut String, text: &str) {
    line.push('"');
    push_escaped(line, text);
    line.push('"');
}

/// A text without a character that ends a line, moves a cursor or turns the direction of writing, also of C1 and Unicode.
fn push_escaped(line: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => push_code(line, character),
            control if control.is_control() => push_code(line, control),
            other => line.push(other),
        }
    }
}

fn push_code(line: &mut String, character: char) {
    let _ok = write!(line, "\\u{:04x}", u32::from(character));
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use opentelemetry::trace::{SpanId, TraceId};
    use tracing::field::display;
    use tracing_appender::non_blocking::NonBlockingBuilder;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Text(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Text {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What a program writes that logs in this format.
    fn written(format: Format, log: impl FnOnce()) -> String {
        let text = Text::default();
        let (lines, guard) = NonBlockingBuilder::default().finish(text.clone());
        let counts = LineCounts::new(lines.error_counter());
        let layer = LineLayer::new(lines, format, false, Arc::default(), counts);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        // It writes the lines that wait.
        drop(guard);
        String::from_utf8(text.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn the_ids_of_the_trace_follow_that_of_the_request_in_both_formats() {
        let log = || {
            let (trace, span) = (TraceId::from(0x4bf9_u128), SpanId::from(0xf067_u64));
            let (trace_id, span_id) = (Some(display(trace)), Some(display(span)));
            tracing::warn!(code = "x", trace_id, event = "stream_failed", span_id, request_id = "r-1", "failed");
            let (trace_id, span_id) = (None::<&str>, None::<&str>);
            tracing::warn!(event = "stream_failed", request_id = "r-2", trace_id, span_id, "failed");
        };
        let ids = ("0000000000000000000000000000".to_owned() + "4bf9", "000000000000f067");
        let json = written(Format::Json, log);
        let first = format!(r#","request_id":"r-1","trace_id":"{}","span_id":"{}","code":"x","#, ids.0, ids.1);
        assert!(json.contains(&first), "{json}");
        let human = written(Format::Human, log);
        let first = format!(r#" request_id="r-1" trace_id="{}" span_id="{}" code="x""#, ids.0, ids.1);
        assert!(human.contains(&first), "{human}");
        for text in [json, human] {
            let last = text.lines().last().unwrap();
            assert!(last.contains("r-2") && !last.contains("trace_id") && !last.contains("span_id"), "{last}");
        }
    }

    #[test]
    fn any_text_stays_in_its_line_and_leaves_the_terminal_alone() {
        let all: String = (0..=0x2fff_u32).filter_map(char::from_u32).collect();
        let mut line = String::new();
        push_text(&mut line, &all);
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), all);
        assert!(!line.chars().any(char::is_control));
        assert!(!line.contains('\u{202e}') && !line.contains('\u{2028}'), "it turns the text around");
    }
}
