//! One line of an access log: a request as one proxy saw it.

use serde_json::{Map, Value};

/// The mark of the format, in the field `log_format`.
pub(super) const LOG_FORMAT: &str = "cellgate/1";

/// A request as one proxy saw it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AccessEntry {
    /// The text in brackets before the line, by which `kubectl logs --prefix` names the container.
    container: Option<String>,
    fields: Map<String, Value>,
}

impl AccessEntry {
    pub(super) fn new(container: Option<&str>, fields: Map<String, Value>) -> Self {
        Self { container: container.map(str::to_owned), fields }
    }

    /// A field as text. `None` if the proxy had no value, which is a null, `-` or empty.
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).and_then(Value::as_str).filter(|text| !text.is_empty() && *text != "-")
    }

    /// A field as a number. Envoy writes some numbers as text, and Envoy before 1.40 large ones as `200000.0`.
    pub(super) fn number(&self, field: &str) -> Option<u64> {
        match self.fields.get(field)? {
            Value::Number(number) => number.as_u64().or_else(|| number.to_string().strip_suffix(".0")?.parse().ok()),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The proxy: its pod, as far as the log names it.
    pub(super) fn proxy(&self) -> Option<&str> {
        self.container.as_deref().or_else(|| self.text("pod"))
    }

    /// When the request began, as the log has it. Times in UTC of one length are in the order of their texts.
    pub(super) fn time(&self) -> &str {
        self.text("time").unwrap_or_default()
    }

    /// All fields, for a program.
    pub(super) fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Regression: a body of 200,000 bytes was shown as one of 0 bytes before Envoy 1.40.
    #[test]
    fn a_number_may_be_text_or_have_a_fraction_of_zero() {
        let Value::Object(fields) = json!({"a": 7, "b": "7", "c": 200_000.0, "d": 0.5, "e": null}) else { panic!() };
        let entry = AccessEntry::new(None, fields);
        let numbers = ["a", "b", "c", "d", "e", "f"].map(|field| entry.number(field));
        assert_eq!(numbers, [Some(7), Some(7), Some(200_000), None, None, None]);
    }
}
