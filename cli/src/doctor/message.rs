//! Protobuf messages in their JSON form: `snake_case` from Envoy, `lowerCamelCase` from istiod, defaults left out.

use std::time::Duration;

use serde_json::Value;

const NOTHING: Value = Value::Null;

/// The value at a path of field names such as `common_http_protocol_options.idle_timeout`, or null.
pub(super) fn at<'a>(message: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(message, field)
}

fn field<'a>(message: &'a Value, name: &str) -> &'a Value {
    message.get(name).or_else(|| message.get(camel_case(name))).unwrap_or(&NOTHING)
}

/// Whether there is a value at a path.
pub(super) fn has(message: &Value, path: &str) -> bool {
    !at(message, path).is_null()
}

/// A string, an enumeration's name or bytes; empty if there is none.
pub(super) fn text<'a>(message: &'a Value, path: &str) -> &'a str {
    at(message, path).as_str().unwrap_or_default()
}

/// A repeated field.
pub(super) fn list<'a>(message: &'a Value, path: &str) -> &'a [Value] {
    at(message, path).as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A flag; false if it is not set.
pub(super) fn flag(message: &Value, path: &str) -> bool {
    at(message, path).as_bool().unwrap_or_default()
}

/// An integer. Protobuf's JSON writes 64-bit integers as strings.
pub(super) fn number(message: &Value, path: &str) -> Option<u64> {
    let value = at(message, path);
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// A duration, as `0.050s`.
pub(super) fn duration(message: &Value, path: &str) -> Option<Duration> {
    let seconds: f64 = text(message, path).strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// Whether a message in an `Any` has a type, by the type's last part: `HttpConnectionManager`.
pub(super) fn is_a(message: &Value, name: &str) -> bool {
    message.get("@type").and_then(Value::as_str).and_then(|kind| kind.rsplit(['.', '/']).next()) == Some(name)
}

/// Strings of a repeated field.
pub(super) fn texts<'a>(message: &'a Value, path: &str) -> impl Iterator<Item = &'a str> {
    list(message, path).iter().filter_map(Value::as_str)
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(word.len().min(1));
        camel.push_str(&first.to_ascii_uppercase());
        camel.push_str(rest);
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_spellings_are_read() {
        for message in [
            json!({"filter_chains": [{"name": "a"}], "per_connection_buffer_limit_bytes": 7}),
            json!({"filterChains": [{"name": "a"}], "perConnectionBufferLimitBytes": "7"}),
        ] {
            assert_eq!(list(&message, "filter_chains").len(), 1);
            assert_eq!(number(&message, "per_connection_buffer_limit_bytes"), Some(7));
        }
        let nested = json!({"http2ProtocolOptions": {"connection_keepalive": {"interval": "0.5s"}}});
        assert_eq!(
            duration(&nested, "http2_protocol_options.connection_keepalive.interval"),
            Some(Duration::from_millis(500))
        );
    }

    #[test]
    fn missing_fields_have_defaults() {
        let message = json!({"a": null, "b": 1});
        assert!(!has(&message, "a") && !has(&message, "a.b.c") && has(&message, "b"));
        assert_eq!((text(&message, "b"), number(&message, "a"), duration(&message, "b")), ("", None, None));
        assert!(list(&message, "b").is_empty() && !flag(&message, "b"));
    }

    #[test]
    fn types_are_compared_by_their_last_part() {
        let message = json!({"@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"});
        assert!(is_a(&message, "Wasm") && !is_a(&message, "asm") && !is_a(&json!({}), "Wasm"));
    }
}
