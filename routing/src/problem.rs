//! Refusals: the body that both tiers send, an RFC 9457 problem document.

use std::fmt::Write;

use crate::config::Config;
use crate::reason::Reason;

/// The media type of [`problem`].
pub const CONTENT_TYPE: &str = "application/problem+json";

/// The most bytes of a request's Content-Type that a refusal repeats.
const MAX_CONTENT_TYPE: usize = 200;

/// The body of a refusal. It has the reason and, of the request, only a Content-Type that was refused: `content_type`.
/// `content_types` are then the media types that are read.
#[must_use]
pub fn problem(status: u16, reason: Reason, refused_type: Option<&RefusedType>) -> String {
    // Labels and texts need no escaping; a test checks it.
    let mut document = format!(
        "{{\"title\":\"Request not routed\",\"status\":{status},\"detail\":\"{}\",\"code\":\"{}\"",
        reason.text(),
        reason.label()
    );
    if let Some(RefusedType { found, readable }) = refused_type {
        if let Some(found) = found {
            document.push_str(",\"content_type\":\"");
            push_escaped(&mut document, found);
            document.push('"');
        }
        document.push_str(",\"content_types\":[");
        for (index, media_type) in readable.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            // A media type is a token or two, which need no escaping.
            let _ = write!(document, "{comma}\"{media_type}\"");
        }
        document.push(']');
    }
    document.push_str("}\n");
    document
}

/// The body of a refusal by rate limits: the problem type `quota-exceeded` of draft-ietf-httpapi-ratelimit-headers-10, with
/// the names of the limits. A name has no character that needs escaping.
#[must_use]
pub fn quota_problem(status: u16, reason: Reason, violated: &[String]) -> String {
    let mut document = format!(
        "{{\"type\":\"https://iana.org/assignments/http-problem-types#quota-exceeded\",\"title\":\"Request not \
         routed\",\"status\":{status},\"detail\":\"{}\",\"code\":\"{}\",\"violated-policies\":[",
        reason.text(),
        reason.label()
    );
    for (index, name) in violated.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(document, "{comma}\"{name}\"");
    }
    document.push_str("]}\n");
    document
}

/// A Content-Type that was refused, and the media types that the configuration reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedType {
    found: Option<Box<[u8]>>,
    readable: Box<[Box<str>]>,
}

impl RefusedType {
    /// For a refusal with this reason: `None` if the reason is not about the Content-Type. `found` is the request's.
    #[must_use]
    pub fn of(reason: Reason, config: &Config, found: Option<&[u8]>) -> Option<Self> {
        let is_about_type =
            matches!(reason, Reason::ContentTypeMissing | Reason::ContentTypeUnsupported | Reason::CharsetUnsupported);
        is_about_type.then(|| Self {
            found: found.map(|found| found.get(..MAX_CONTENT_TYPE).unwrap_or(found).into()),
            readable: config.readable_types().map(Into::into).collect(),
        })
    }
}

/// Adds text to a JSON string. Bytes outside printable ASCII become the replacement character.
fn push_escaped(document: &mut String, text: &[u8]) {
    for byte in text {
        match byte {
            b'"' | b'\\' => document.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => document.push(char::from(*byte)),
            _ => document.push(char::REPLACEMENT_CHARACTER),
        }
    }
}

/// The `grpc-message` of a refused gRPC call: `CODE: SENTENCE`. Envoy takes it from the body of the local reply. A program
/// finds the code, as in the `code` of a problem document.
#[must_use]
pub fn grpc_message(reason: Reason) -> String {
    [reason.label(), ": ", reason.text()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_valid_json_for_every_reason() {
        for reason in Reason::ALL {
            let document: serde_json::Value = serde_json::from_str(&problem(400, *reason, None)).unwrap();
            assert_eq!(document["code"], reason.label());
            assert_eq!(document["detail"], reason.text());
            assert_eq!(document["status"], 400);
        }
    }

    #[test]
    fn a_refusal_by_limits_names_them() {
        let document = quota_problem(429, Reason::RateLimited, &["one".into(), "two".into()]);
        let document: serde_json::Value = serde_json::from_str(&document).unwrap();
        assert_eq!(document["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
        assert_eq!(document["violated-policies"], serde_json::json!(["one", "two"]));
        assert_eq!((&document["status"], &document["code"]), (&429.into(), &"rate_limited".into()));
    }
}
