//! The fields of one event, as they stand in its line.

use std::fmt::{self, Write};

use serde_json::Value;
use tracing::field::{Field, Visit};

/// The longest value, in bytes. Only errors that list all mistakes of a file are longer.
pub(super) const MAX_VALUE: usize = 16 * 1024;

/// The end of a value that was longer.
pub(super) const CUT: &str = "… (cut)";

/// The fields of an event, in the order of the code.
#[derive(Debug, Default)]
pub(super) struct EventFields(Vec<(&'static str, Value)>);

impl EventFields {
    /// The text of a field. Empty if there is none.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| *known == name).and_then(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// Takes a field out.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        let place = self.0.iter().position(|(known, _)| *known == name)?;
        Some(self.0.remove(place).1)
    }

    /// The fields that were not taken.
    pub(super) fn rest(self) -> impl Iterator<Item = (&'static str, Value)> {
        self.0.into_iter()
    }

    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.push((field.name(), value.into()));
    }

    fn add_text(&mut self, field: &Field, text: fmt::Arguments<'_>) {
        let mut bounded = BoundedText::default();
        // It fails where the value is cut.
        let _cut = bounded.write_fmt(text);
        self.add(field, bounded.text);
    }
}

impl Visit for EventFields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add_text(field, format_args!("{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add_text(field, format_args!("{value:?}"));
    }
}

/// A text of at most [`MAX_VALUE`] bytes and [`CUT`]. Nothing beyond is formatted.
#[derive(Debug, Default)]
struct BoundedText {
    text: String,
}

impl Write for BoundedText {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let room = MAX_VALUE.saturating_sub(self.text.len());
        if part.len() <= room {
            self.text.push_str(part);
            return Ok(());
        }
        for character in part.chars() {
            if self.text.len() + character.len_utf8() > MAX_VALUE {
                break;
            }
            self.text.push(character);
        }
        self.text.push_str(CUT);
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_cut_between_two_characters() {
        let mut bounded = BoundedText::default();
        assert!(write!(bounded, "{}{}", "x".repeat(MAX_VALUE - 1), "ü".repeat(1 << 20)).is_err());
        assert_eq!(bounded.text, format!("{}{CUT}", "x".repeat(MAX_VALUE - 1)));
        let mut exact = BoundedText::default();
        assert!(write!(exact, "{}", "x".repeat(MAX_VALUE)).is_ok());
        assert_eq!(exact.text.len(), MAX_VALUE);
    }
}
