//! Which parser reads a body, from its Content-Type (RFC 9110, 8.3).

use crate::head::Head;
use crate::reason::Reason;
use crate::source::Format;
use crate::token::is_token;

/// The media types of each format. A subtype may start with `*+` (`application/*+json`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentTypes {
    /// Read as JSON.
    pub json: Vec<MediaType>,
    /// Read as `application/x-www-form-urlencoded`.
    pub form: Vec<MediaType>,
}

impl Default for ContentTypes {
    fn default() -> Self {
        let parse = |text: &str| text.parse().unwrap_or_else(|_| MediaType(text.into()));
        Self { json: vec![parse("application/json"), parse("application/*+json")], form: vec![parse(FORM_MEDIA_TYPE)] }
    }
}

/// What gRPC and gRPC-Web clients send: messages in protobuf, each with a binary prefix, or base64 of these.
const UNREAD_GRPC: [&str; 6] = [
    "application/grpc",
    "application/grpc+proto",
    "application/grpc-web",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "application/grpc-web-text+proto",
];

/// The media type of HTML forms (WHATWG URL, 5).
pub const FORM_MEDIA_TYPE: &str = "application/x-www-form-urlencoded";

/// A media type without parameters, lower case: `type/subtype` or `type/*+suffix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaType(Box<str>);

/// The text is not `type/subtype` or `type/*+suffix`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a media type such as `application/json` or `application/*+json`, without parameters")]
pub struct BadMediaType;

impl std::str::FromStr for MediaType {
    type Err = BadMediaType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, subtype) = text.split_once('/').ok_or(BadMediaType)?;
        let subtype_name = subtype.strip_prefix("*+").unwrap_or(subtype);
        if is_token(kind.as_bytes()) && is_token(subtype_name.as_bytes()) && !subtype_name.contains('*') {
            Ok(Self(text.to_ascii_lowercase().into()))
        } else {
            Err(BadMediaType)
        }
    }
}

impl MediaType {
    fn matches(&self, essence: &[u8]) -> bool {
        let pattern = self.0.as_bytes();
        if let Some(star) = pattern.iter().position(|byte| *byte == b'*') {
            let (kind, suffix) = (pattern.get(..star).unwrap_or_default(), pattern.get(star + 1..).unwrap_or_default());
            // A gRPC body is a sequence of length-prefixed messages, whatever the format of each (`application/grpc+json`).
            // And what starts like a form (`application/x-www-form-urlencoded+json`) is one to servers that compare the start.
            return !is_grpc(essence)
                && !starts_with(essence, FORM_MEDIA_TYPE.as_bytes())
                && essence.len() > kind.len() + suffix.len()
                && starts_with(essence, kind)
                && essence.get(essence.len() - suffix.len()..).is_some_and(|end| end.eq_ignore_ascii_case(suffix));
        }
        essence.eq_ignore_ascii_case(pattern)
    }
}

impl ContentTypes {
    /// The format of a request's body.
    ///
    /// # Errors
    /// The type is missing, stated more than once, unknown, or in a charset that is not UTF-8.
    pub fn format_of<H: Head + ?Sized>(&self, head: &H) -> Result<Format, Reason> {
        let mut types = head.values("content-type");
        let value = types.next().ok_or(Reason::ContentTypeMissing)?;
        let is_only = types.next().is_none();
        // Most requests: spelled as configured. What is configured passes every check below, and JSON comes first there too.
        if is_only && self.json.iter().any(|wanted| wanted.0.as_bytes() == value) {
            return Ok(Format::Json);
        }
        // Servers differ on which of two types counts. Envoy joins two fields with a comma before filters see them, so a
        // comma is two types; the rare quoted one is not worth telling apart.
        if !is_only || value.contains(&b',') {
            return Err(Reason::ContentTypeUnsupported);
        }
        let mut parts = value.split(|byte| *byte == b';');
        let essence = parts.next().unwrap_or_default().trim_ascii();
        if essence.is_empty() {
            return Err(Reason::ContentTypeMissing);
        }
        let format = self.format_of_essence(essence).ok_or(Reason::ContentTypeUnsupported)?;
        for parameter in parts.map(<[u8]>::trim_ascii).filter(|parameter| !parameter.is_empty()) {
            let mut halves = parameter.splitn(2, |byte| *byte == b'=');
            let name = halves.next().unwrap_or_default().trim_ascii();
            let value = halves.next().map(<[u8]>::trim_ascii).filter(|_| is_token(name));
            let value = value.ok_or(Reason::ContentTypeUnsupported)?;
            // `charset*` is another spelling of it (RFC 2231).
            if starts_with(name, b"charset") && !(name.len() == b"charset".len() && is_utf8_charset(value)) {
                return Err(Reason::CharsetUnsupported);
            }
        }
        Ok(format)
    }

    /// Whether the body is a stream of gRPC messages that no configured parser reads, nor one that goes by the end of a type.
    ///
    /// Strict on purpose: `application/grpc+json` is JSON to servers that read `application/*+json`, and parameters or a
    /// second type are what servers differ on.
    pub(crate) fn is_unread_grpc<H: Head + ?Sized>(&self, head: &H) -> bool {
        let mut types = head.values("content-type");
        let (Some(value), None) = (types.next(), types.next()) else { return false };
        UNREAD_GRPC.iter().any(|name| name.as_bytes() == value)
            && head.first(":method") == Some(b"POST")
            && !is_encoded(head)
            && self.format_of(head).is_err()
    }

    fn format_of_essence(&self, essence: &[u8]) -> Option<Format> {
        let slash = essence.iter().position(|byte| *byte == b'/')?;
        let (kind, subtype) = (essence.get(..slash)?, essence.get(slash + 1..)?);
        if !is_token(kind) || !is_token(subtype) {
            return None;
        }
        let matches = |wanted: &[MediaType]| wanted.iter().any(|wanted| wanted.matches(essence));
        if matches(&self.json) {
            Some(Format::Json)
        } else if matches(&self.form) {
            Some(Format::Form)
        } else {
            None
        }
    }
}

/// Whether a body is sent in a coding other than `identity` (RFC 9110, 8.4).
pub(crate) fn is_encoded<H: Head + ?Sized>(head: &H) -> bool {
    head.values("content-encoding").any(|value| {
        value
            .split(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii)
            .any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
    })
}

/// The Content-Length in bytes, if there is exactly one and it is a number (RFC 9110, 8.6).
#[must_use]
pub fn content_length<H: Head + ?Sized>(head: &H) -> Option<u64> {
    let mut values = head.values("content-length");
    let value = values.next()?;
    if values.next().is_some() || value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn starts_with(text: &[u8], start: &[u8]) -> bool {
    text.get(..start.len()).is_some_and(|actual| actual.eq_ignore_ascii_case(start))
}

fn is_utf8_charset(value: &[u8]) -> bool {
    let value = value.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\"")).unwrap_or(value);
    [&b"utf-8"[..], b"utf8", b"us-ascii"].iter().any(|name| value.eq_ignore_ascii_case(name))
}

/// Whether this is gRPC or gRPC-Web: `application/grpc…`, as in the gRPC over HTTP/2 protocol's Content-Type.
fn is_grpc(essence: &[u8]) -> bool {
    const START: &[u8] = b"application/grpc";
    essence.get(..START.len()).is_some_and(|start| start.eq_ignore_ascii_case(START))
}

/// Whether Envoy answers such a request with a gRPC status: `application/grpc`, or `application/grpc+` and a format. gRPC-Web
/// it does not.
#[must_use]
pub fn is_grpc_call<H: Head + ?Sized>(head: &H) -> bool {
    let format = head.first("content-type").and_then(|value| value.strip_prefix(b"application/grpc"));
    format.is_some_and(|format| format.is_empty() || format.starts_with(b"+"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(content_type: &str) -> Result<Format, Reason> {
        ContentTypes::default().format_of(&[("content-type", content_type)][..])
    }

    #[test]
    fn common_types() {
        assert_eq!(format("application/json"), Ok(Format::Json));
        assert_eq!(format("Application/JSON ; charset=\"UTF-8\""), Ok(Format::Json));
        assert_eq!(format("application/problem+json"), Ok(Format::Json));
        assert_eq!(format("application/vnd.api+json;version=1"), Ok(Format::Json));
        assert_eq!(format("application/x-www-form-urlencoded"), Ok(Format::Form));
    }

    #[test]
    fn everything_else_has_a_reason() {
        assert_eq!(format(""), Err(Reason::ContentTypeMissing));
        assert_eq!(format("text/plain"), Err(Reason::ContentTypeUnsupported));
        assert_eq!(format("application/+json"), Err(Reason::ContentTypeUnsupported));
        assert_eq!(format("application/jsonp"), Err(Reason::ContentTypeUnsupported));
        assert_eq!(format("application/grpc+json"), Err(Reason::ContentTypeUnsupported));
        assert_eq!(format("application/gRPC-Web+json"), Err(Reason::ContentTypeUnsupported));
        assert_eq!(format("application/json, text/plain"), Err(Reason::ContentTypeUnsupported));
        assert_eq!(format("application/json; charset=utf-16"), Err(Reason::CharsetUnsupported));
        assert_eq!(format("application/json; charset*=utf-8''utf-16"), Err(Reason::CharsetUnsupported));
        let two = [("content-type", "application/json"), ("content-type", "text/plain")];
        assert_eq!(ContentTypes::default().format_of(&two[..]), Err(Reason::ContentTypeUnsupported));
        assert_eq!(ContentTypes::default().format_of::<[(&str, &str)]>(&[]), Err(Reason::ContentTypeMissing));
    }

    #[test]
    fn the_short_way_is_taken_by_one_type_only() {
        let two = [("content-type", "application/json"), ("content-type", "application/json")];
        assert_eq!(ContentTypes::default().format_of(&two[..]), Err(Reason::ContentTypeUnsupported));
        // A form by its own list, JSON by the other: JSON is asked first, however the type is spelled.
        let mut types = ContentTypes::default();
        types.form.push("application/x+json".parse().unwrap());
        for spelling in ["application/x+json", "Application/x+JSON", "application/x+json; a=b"] {
            assert_eq!(types.format_of(&[("content-type", spelling)][..]), Ok(Format::Json), "{spelling}");
        }
    }

    /// Envoy joins two Content-Type fields, so the filter sees one value where a server may read either type.
    #[test]
    fn two_joined_types_are_none() {
        for joined in [
            "application/json,application/x-www-form-urlencoded",
            "application/x-www-form-urlencoded,application/a+json",
            "application/json;x,application/x-www-form-urlencoded",
            "application/json;x=\",\"",
            "application/json;x",
            "application/x-www-form-urlencoded +json",
            "application/x-www-form-urlencoded+json",
            "application/ +json",
            "application/a/b+json",
            "application/\"+json",
            "application/x=y+json",
        ] {
            assert_eq!(format(joined), Err(Reason::ContentTypeUnsupported), "{joined}");
        }
    }

    #[test]
    fn grpc_calls_are_what_envoy_takes_for_them() {
        for (value, is_call) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc-web", false),
            ("application/json", false),
        ] {
            assert_eq!(is_grpc_call(&[("content-type", value)][..]), is_call, "{value}");
        }
        assert!(!is_grpc_call::<[(&str, &str)]>(&[]));
    }

    #[test]
    fn media_types_in_configuration_are_checked() {
        assert!("text/plain".parse::<MediaType>().is_ok());
        for bad in ["", "json", "a/", "/b", "*/*", "a/*", "a/b;c=d", "a/*+", "a/b/c", "a b/c"] {
            assert_eq!(bad.parse::<MediaType>(), Err(BadMediaType), "{bad}");
        }
    }

    #[test]
    fn encodings_and_lengths() {
        assert!(!is_encoded(&[("content-encoding", "identity")][..]));
        assert!(!is_encoded(&[("content-encoding", "")][..]));
        assert!(is_encoded(&[("content-encoding", "identity, gzip")][..]));
        assert_eq!(content_length(&[("content-length", "12")][..]), Some(12));
        for bad in ["", "-1", "+1", "1e3", "99999999999999999999"] {
            assert_eq!(content_length(&[("content-length", bad)][..]), None, "{bad}");
        }
    }
}
