//! The format of a body, from its Content-Type (RFC 9110, 8.3).

mod grpc;

use crate::ascii::{contains, is_utf8_charset, starts_with};
use crate::encoding::is_encoded;
use crate::format::{BodyFormat, Format};
use crate::head::Head;
use crate::multipart;
use crate::reason::Reason;
use crate::token::is_token;

/// The media types of each format. A subtype may start with `*+` (`application/*+json`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentTypes {
    /// By the order of [`Format::ALL`].
    lists: [Vec<MediaType>; Format::ALL.len()],
}

impl Default for ContentTypes {
    fn default() -> Self {
        let parse = |text: &&str| text.parse().unwrap_or_else(|_| MediaType((*text).into()));
        Self { lists: Format::ALL.map(|format| default_types(format).iter().map(parse).collect()) }
    }
}

/// The media types of a format if the configuration names none.
#[must_use]
pub const fn default_types(format: Format) -> &'static [&'static str] {
    match format {
        Format::Json => &["application/json", "application/*+json"],
        Format::Ndjson => &NDJSON,
        Format::Form => &[FORM_MEDIA_TYPE],
        Format::Multipart => &["multipart/form-data"],
        Format::Protobuf => &PROTOBUF,
        Format::Xml => &["application/xml", "text/xml", "application/*+xml"],
        Format::Msgpack => &["application/msgpack", "application/x-msgpack", "application/vnd.msgpack"],
        Format::Cbor => &["application/cbor", "application/*+cbor"],
    }
}

/// The names in use. None of them is registered.
const NDJSON: [&str; 5] =
    ["application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines", JSON_STREAM];

/// `application/proto` is the type of unary Connect calls.
const PROTOBUF: [&str; 3] = ["application/x-protobuf", "application/protobuf", "application/proto"];

/// Streams of messages, which no server reads as one document: gRPC and gRPC-Web with protobuf messages, whose prefixes are
/// binary or in base64, and two types of many JSON documents.
const UNREAD_STREAMS: [&str; 8] = [
    "application/grpc",
    "application/grpc+proto",
    "application/grpc-web",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "application/grpc-web-text+proto",
    CONNECT_STREAM,
    JSON_STREAM,
];

/// A stream of the Connect protocol: each JSON document has a binary prefix.
const CONNECT_STREAM: &str = "application/connect+json";

/// JSON documents one after the other, one on each line in Spring.
pub const JSON_STREAM: &str = "application/stream+json";

/// The entry of a list of media types that stands for requests without a Content-Type.
pub const MISSING: &str = "missing";

/// The media type of HTML forms (WHATWG URL, 5).
pub const FORM_MEDIA_TYPE: &str = "application/x-www-form-urlencoded";

/// A media type without parameters, lower case: `type/subtype` or `type/*+suffix`. `missing` stands for no type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaType(Box<str>);

/// The text is not `type/subtype` or `type/*+suffix`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a media type such as `application/json` or `application/*+json`, without parameters, or `missing` for \
     requests without a type"
)]
pub struct BadMediaType;

impl std::str::FromStr for MediaType {
    type Err = BadMediaType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == MISSING {
            return Ok(Self(text.into()));
        }
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
    /// The type or pattern. `None` for the entry that stands for no type.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        (!self.is_missing()).then_some(&*self.0)
    }

    /// Whether a field has this type, spelled the same. A client that sends the text `missing` has sent a type.
    fn is(&self, value: &[u8]) -> bool {
        self.0.as_bytes() == value && !self.is_missing()
    }

    fn is_missing(&self) -> bool {
        *self.0 == *MISSING
    }

    fn matches(&self, essence: &[u8]) -> bool {
        let pattern = self.0.as_bytes();
        if let Some(star) = pattern.iter().position(|byte| *byte == b'*') {
            let (kind, suffix) = (pattern.get(..star).unwrap_or_default(), pattern.get(star + 1..).unwrap_or_default());
            // A gRPC body is a sequence of length-prefixed messages of any format (`application/grpc+json`). Servers that
            // compare only the beginning read `application/x-www-form-urlencoded+json` as a form.
            return !is_grpc(essence)
                && ![CONNECT_STREAM, JSON_STREAM].iter().any(|stream| essence.eq_ignore_ascii_case(stream.as_bytes()))
                && !starts_with(essence, FORM_MEDIA_TYPE.as_bytes())
                && essence.len() > kind.len() + suffix.len()
                && starts_with(essence, kind)
                && essence.get(essence.len() - suffix.len()..).is_some_and(|end| end.eq_ignore_ascii_case(suffix));
        }
        essence.eq_ignore_ascii_case(pattern)
    }
}

impl ContentTypes {
    /// The media types of a format.
    #[must_use]
    pub fn of(&self, format: Format) -> &[MediaType] {
        self.lists.get(format as usize).map_or(&[], Vec::as_slice)
    }

    /// Replaces the media types of a format.
    pub fn set(&mut self, format: Format, types: Vec<MediaType>) {
        if let Some(list) = self.lists.get_mut(format as usize) {
            *list = types;
        }
    }

    /// The format of a request's body, among those that `is_read`.
    ///
    /// # Errors
    /// There is no type or more than one, the type is of no such format, or its charset is not UTF-8.
    pub fn format_of<H: Head + ?Sized>(
        &self,
        head: &H,
        is_read: impl Fn(Format) -> bool,
    ) -> Result<BodyFormat, Reason> {
        let mut types = head.values("content-type");
        let Some(value) = types.next() else { return self.format_of_missing(is_read) };
        let is_only = types.next().is_none();
        // A shortcut for most requests. A configured type passes every check below, where JSON also comes first.
        if is_only && is_read(Format::Json) && self.of(Format::Json).iter().any(|wanted| wanted.is(value)) {
            return Ok(BodyFormat::of(Format::Json));
        }
        // Servers differ on which of two types counts.
        if !is_only {
            return Err(Reason::ContentTypeUnsupported);
        }
        if value.trim_ascii().is_empty() {
            return self.format_of_missing(is_read);
        }
        let (essence, parameters) = split_parameters(value);
        if essence.is_empty() {
            return Err(Reason::ContentTypeMissing);
        }
        let body = self.body_format(head, essence).filter(|body| is_read(body.format));
        let body = body.ok_or(Reason::ContentTypeUnsupported)?;
        if self.names_another_format(head, value, body.format) {
            return Err(Reason::ContentTypeUnsupported);
        }
        for parameter in parameters {
            let (name, value) = parameter.ok_or(Reason::ContentTypeUnsupported)?;
            // RFC 2231 also spells it `charset*`.
            let is_charset = name.len() == b"charset".len() && is_utf8_charset(unquoted(value));
            if (starts_with(name, b"charset") && !is_charset) || may_hide_a_charset(value) {
                return Err(Reason::CharsetUnsupported);
            }
        }
        let boundary = if body.format == Format::Multipart { multipart::boundary(value) } else { None };
        Ok(BodyFormat { boundary, ..body })
    }

    /// The format of a body without a type.
    fn format_of_missing(&self, is_read: impl Fn(Format) -> bool) -> Result<BodyFormat, Reason> {
        let is_listed = |format: &Format| is_read(*format) && self.of(*format).iter().any(MediaType::is_missing);
        Format::ALL.into_iter().find(is_listed).map(BodyFormat::of).ok_or(Reason::ContentTypeMissing)
    }

    /// Whether a part between commas is a media type of another format. Envoy joins two fields with a comma, and a quote
    /// that is open in the first one hides the second one from a parser of quoted text, but not from other servers.
    fn names_another_format<H: Head + ?Sized>(&self, head: &H, value: &[u8], format: Format) -> bool {
        value.split(|byte| *byte == b',').skip(1).any(|part| {
            let essence = part.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            self.body_format(head, essence).is_some_and(|other| other.format != format)
        })
    }

    /// Whether the body is a stream of messages that no server reads as one document, and no source reads.
    ///
    /// The check is strict: servers that read `application/*+json` as JSON read `application/grpc+json` as JSON too, and
    /// servers differ on parameters and on a second type.
    pub(crate) fn is_unread_stream<H: Head + ?Sized>(&self, head: &H, is_read: impl Fn(Format) -> bool) -> bool {
        let mut types = head.values("content-type");
        let (Some(value), None) = (types.next(), types.next()) else { return false };
        UNREAD_STREAMS.iter().any(|name| name.as_bytes() == value)
            && head.first(":method") == Some(b"POST")
            && !is_encoded(head)
            && self.format_of_essence(value).is_none_or(|format| format == Format::Ndjson && !is_read(format))
    }

    /// The listed format of a media type, or protobuf with framing.
    fn body_format<H: Head + ?Sized>(&self, head: &H, essence: &[u8]) -> Option<BodyFormat> {
        let listed = self.format_of_essence(essence);
        let framing = match listed {
            None | Some(Format::Protobuf) => grpc::framing(head, essence, listed.is_some()),
            Some(_) => None,
        };
        match (listed, framing) {
            (_, Some(framing)) => Some(BodyFormat { framing, ..BodyFormat::of(Format::Protobuf) }),
            (listed, None) => listed.map(BodyFormat::of),
        }
    }

    fn format_of_essence(&self, essence: &[u8]) -> Option<Format> {
        let slash = essence.iter().position(|byte| *byte == b'/')?;
        let (kind, subtype) = (essence.get(..slash)?, essence.get(slash + 1..)?);
        if !is_token(kind) || !is_token(subtype) {
            return None;
        }
        Format::ALL.into_iter().find(|format| self.of(*format).iter().any(|wanted| wanted.matches(essence)))
    }
}

/// A parameter's name and value. `None`: it is not a valid parameter.
type MediaParameter<'a> = Option<(&'a [u8], &'a [u8])>;

/// The media type, and its parameters (RFC 9110, 5.6.6). A quoted value keeps its quotes.
fn split_parameters(value: &[u8]) -> (&[u8], impl Iterator<Item = MediaParameter<'_>>) {
    let mut parts = split_unquoted(value);
    let essence = parts.next().unwrap_or_default().trim_ascii();
    let parameters = parts.map(<[u8]>::trim_ascii).filter(|parameter| !parameter.is_empty()).map(|parameter| {
        let equals = parameter.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (parameter.get(..equals)?.trim_ascii(), parameter.get(equals + 1..)?.trim_ascii());
        (is_token(name) && is_parameter_value(value)).then_some((name, value))
    });
    (essence, parameters)
}

/// Splits at each `;` outside quotes.
fn split_unquoted(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    value.split(move |byte| {
        let escapes = is_quoted && !is_escaped && *byte == b'\\';
        is_quoted ^= *byte == b'"' && !is_escaped;
        is_escaped = escapes;
        *byte == b';' && !is_quoted
    })
}

/// Whether a parameter's value is a closed quoted string, or has no quote, comma or space. Two fields that Envoy has joined
/// to one value have a comma.
fn is_parameter_value(value: &[u8]) -> bool {
    match value.split_first() {
        Some((b'"', rest)) => {
            let mut is_escaped = false;
            let end = rest.iter().position(|byte| {
                let ends = *byte == b'"' && !is_escaped;
                is_escaped = *byte == b'\\' && !is_escaped;
                ends
            });
            end.is_some_and(|end| end + 1 == rest.len())
        }
        _ => !value.iter().any(|byte| matches!(byte, b'"' | b',' | b' ' | b'\t')),
    }
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

/// Whether a server that splits at each `;`, also between quotes, may find a charset inside a parameter's value. In GBK, for
/// one, a character hides the backslash behind it, and a quote after it ends a string.
fn may_hide_a_charset(value: &[u8]) -> bool {
    [&b"charset="[..], b"charset*"].iter().any(|text| contains(value, text))
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\"")).unwrap_or(value)
}

/// Whether a media type is one of gRPC or gRPC-Web: `application/grpc…` (gRPC over HTTP/2, Content-Type).
fn is_grpc(essence: &[u8]) -> bool {
    starts_with(essence, b"application/grpc")
}

/// Whether Envoy refuses the request with a gRPC status: its type is `application/grpc`, or `application/grpc+` and a format.
/// For gRPC-Web it does not.
#[must_use]
pub fn is_grpc_call<H: Head + ?Sized>(head: &H) -> bool {
    let format = head.first("content-type").and_then(|value| value.strip_prefix(b"application/grpc"));
    format.is_some_and(|format| format.is_empty() || format.starts_with(b"+"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(content_type: &str) -> Result<Format, Reason> {
        ContentTypes::default().format_of(&[("content-type", content_type)][..], |_| true).map(|body| body.format)
    }

    #[test]
    fn common_types_have_a_format() {
        assert_eq!(format("application/json"), Ok(Format::Json));
        assert_eq!(format("Application/JSON ; charset=\"UTF-8\""), Ok(Format::Json));
        assert_eq!(format("application/problem+json"), Ok(Format::Json));
        assert_eq!(format("application/vnd.api+json;version=1"), Ok(Format::Json));
        assert_eq!(format("application/x-www-form-urlencoded"), Ok(Format::Form));
    }

    #[test]
    fn a_quoted_parameter_may_have_any_text() {
        for quoted in ["https://a/b;c", "a,b", r#"\"; x=\"y"#, r"\\", "", "a b=c", "charsets"] {
            assert_eq!(format(&format!("application/json; profile=\"{quoted}\"")), Ok(Format::Json), "{quoted}");
        }
        let after = r#"application/json; profile="a;b"; charset=utf-16"#;
        assert_eq!(format(after), Err(Reason::CharsetUnsupported));
    }

    /// Servers that split at each `;` (Rack, Tornado) read the second charset.
    #[test]
    fn a_charset_between_quotes_is_refused() {
        for hidden in ["; charset=gbk", r#"\"; charset=\"utf-16"#, ", application/json; Charset*=utf-8''utf-7"] {
            let value = format!("application/json; profile=\"{hidden}\"");
            assert_eq!(format(&value), Err(Reason::CharsetUnsupported), "{value}");
        }
    }

    #[test]
    fn a_stream_of_documents_is_not_one_document() {
        assert_eq!(format("application/connect+json"), Err(Reason::ContentTypeUnsupported));
        for stream in ["application/stream+json", "Application/Stream+JSON", "application/x-jsonlines"] {
            assert_eq!(format(stream), Ok(Format::Ndjson), "{stream}");
        }
        let head = [(":method", "POST"), ("content-type", "application/stream+json")];
        for (reads_ndjson, is_unread) in [(true, false), (false, true)] {
            let is_read = |format| format == Format::Json || reads_ndjson;
            assert_eq!(ContentTypes::default().is_unread_stream(&head[..], is_read), is_unread);
            let unsupported = ContentTypes::default().format_of(&head[..], is_read).is_err();
            assert_eq!(unsupported, is_unread);
        }
        let mut types = ContentTypes::default();
        types.set(Format::Json, vec!["application/stream+json".parse().unwrap()]);
        let listed = types.format_of(&[("content-type", "application/stream+json; charset=utf-8")][..], |_| true);
        assert_eq!(listed, Ok(BodyFormat::of(Format::Json)));
    }

    #[test]
    fn a_missing_type_has_a_format_if_a_list_says_so() {
        let mut types = ContentTypes::default();
        types.set(Format::Form, vec!["missing".parse().unwrap()]);
        assert_eq!(types.format_of::<[(&str, &str)]>(&[], |_| true), Ok(BodyFormat::of(Format::Form)));
        assert_eq!(types.format_of(&[("content-type", " ")][..], |_| true), Ok(BodyFormat::of(Format::Form)));
        assert_eq!(types.format_of(&[("content-type", "missing")][..], |_| true), Err(Reason::ContentTypeUnsupported));
        // The shortcut for JSON compared the client's text with the list's keyword.
        types.set(Format::Json, vec!["missing".parse().unwrap()]);
        assert_eq!(types.format_of(&[("content-type", "missing")][..], |_| true), Err(Reason::ContentTypeUnsupported));
        assert_eq!(types.format_of::<[(&str, &str)]>(&[], |_| true), Ok(BodyFormat::of(Format::Json)));
        assert_eq!(types.format_of(&[("content-type", ";a=b")][..], |_| true), Err(Reason::ContentTypeMissing));
    }

    #[test]
    fn other_types_have_a_reason() {
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
        assert_eq!(ContentTypes::default().format_of(&two[..], |_| true), Err(Reason::ContentTypeUnsupported));
        assert_eq!(ContentTypes::default().format_of::<[(&str, &str)]>(&[], |_| true), Err(Reason::ContentTypeMissing));
    }

    #[test]
    fn the_shortcut_applies_to_a_single_type() {
        let two = [("content-type", "application/json"), ("content-type", "application/json")];
        assert_eq!(ContentTypes::default().format_of(&two[..], |_| true), Err(Reason::ContentTypeUnsupported));
        // Both lists match: JSON comes first in every spelling.
        let mut types = ContentTypes::default();
        types.set(Format::Form, vec!["application/x+json".parse().unwrap()]);
        for spelling in ["application/x+json", "Application/x+JSON", "application/x+json; a=b"] {
            let format = types.format_of(&[("content-type", spelling)][..], |_| true);
            assert_eq!(format, Ok(BodyFormat::of(Format::Json)), "{spelling}");
        }
    }

    /// Envoy joins two Content-Type fields to one value, and a server may read either type.
    #[test]
    fn two_joined_types_are_unsupported() {
        for joined in [
            "application/json,application/x-www-form-urlencoded",
            "application/x-www-form-urlencoded,application/a+json",
            "application/json;x,application/x-www-form-urlencoded",
            "application/json;x=\",application/x-www-form-urlencoded;y=\"",
            "application/json;x=\",\";y=\",application/x-www-form-urlencoded;z=\"",
            "application/json;x=a,b",
            "application/json;x=\"a\"b",
            "application/json;x=\"a",
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
    fn grpc_calls_are_those_that_envoy_recognizes() {
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
    fn a_configured_media_type_has_a_type_and_a_subtype() {
        assert!("text/plain".parse::<MediaType>().is_ok());
        for bad in ["", "json", "a/", "/b", "*/*", "a/*", "a/b;c=d", "a/*+", "a/b/c", "a b/c"] {
            assert_eq!(bad.parse::<MediaType>(), Err(BadMediaType), "{bad}");
        }
    }

    #[test]
    fn content_encoding_and_content_length_are_parsed() {
        assert!(!is_encoded(&[("content-encoding", "identity")][..]));
        assert!(!is_encoded(&[("content-encoding", "")][..]));
        assert!(is_encoded(&[("content-encoding", "identity, gzip")][..]));
        assert_eq!(content_length(&[("content-length", "12")][..]), Some(12));
        for bad in ["", "-1", "+1", "1e3", "99999999999999999999"] {
            assert_eq!(content_length(&[("content-length", bad)][..]), None, "{bad}");
        }
    }
}
