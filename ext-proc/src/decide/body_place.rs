//! The element, line, part or message of a body that has a byte.

mod items;

use std::fmt;

use cellgate_routing::cbor::Cbor;
use cellgate_routing::document::{Pointer, PointerToken};
use cellgate_routing::msgpack::Msgpack;
use cellgate_routing::source::Place;
use cellgate_routing::{BodyFormat, Framing};

/// The place of a value in a body. Numbers of lines, parts and messages begin with 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyPlace {
    /// The pointer of the source, with the numbers of the elements.
    Element(String),
    /// A line of NDJSON, and the pointer in it if the source's has `*` or a selector.
    Line(usize, Option<String>),
    /// A part of a multipart body.
    Part(usize),
    /// A message of a gRPC call.
    Message(usize),
}

impl BodyPlace {
    /// The place of the value that was known after this many bytes. `None` if the body has only one place for it, or if
    /// its format does not show the place without being decoded.
    pub(super) fn find(place: &Place, format: &BodyFormat, body: &[u8], bytes: usize) -> Option<Self> {
        // The last byte may already be the delimiter behind the value.
        let before = body.get(..bytes.checked_sub(1)?)?;
        match (place, format.framing) {
            (Place::Json(pointer), _) => element(pointer, before, open_elements).map(BodyPlace::Element),
            (Place::Msgpack(pointer), _) => {
                element(pointer, before, items::open_elements::<Msgpack>).map(BodyPlace::Element)
            }
            (Place::Cbor(pointer), _) => element(pointer, before, items::open_elements::<Cbor>).map(BodyPlace::Element),
            (Place::Ndjson(pointer), _) => {
                let ends = before.iter().filter(|byte| **byte == b'\n').count();
                let line = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
                Some(BodyPlace::Line(ends + 1, element(pointer, line, open_elements)))
            }
            (Place::Multipart(_), _) => Some(BodyPlace::Part(parts(format.boundary.as_deref()?, before))),
            (Place::Protobuf(_), Framing::Grpc(_) | Framing::GrpcWeb(_)) => {
                Some(BodyPlace::Message(messages(body, bytes)))
            }
            _ => None,
        }
    }

    /// The members of a JSON object.
    pub fn json(&self) -> Vec<(&'static str, serde_json::Value)> {
        match self {
            BodyPlace::Element(pointer) => vec![("element", pointer.as_str().into())],
            BodyPlace::Line(line, None) => vec![("line", (*line).into())],
            BodyPlace::Line(line, Some(pointer)) => {
                vec![("line", (*line).into()), ("element", pointer.as_str().into())]
            }
            BodyPlace::Part(part) => vec![("part", (*part).into())],
            BodyPlace::Message(message) => vec![("message", (*message).into())],
        }
    }
}

impl fmt::Display for BodyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyPlace::Element(pointer) => f.write_str(pointer),
            BodyPlace::Line(line, None) => write!(f, "line {line}"),
            BodyPlace::Line(line, Some(pointer)) => write!(f, "line {line}, {pointer}"),
            BodyPlace::Part(part) => write!(f, "part {part}"),
            BodyPlace::Message(message) => write!(f, "message {message}"),
        }
    }
}

/// The pointer with the numbers of the elements that are open at the end of a beginning of a document. `None` if it names
/// one value.
fn element(pointer: &Pointer, document: &[u8], open: impl Fn(&[u8]) -> Vec<Option<usize>>) -> Option<String> {
    let is_each = |token: &PointerToken| !matches!(token, PointerToken::Name(_));
    pointer.tokens().iter().any(is_each).then(|| {
        let numbers = open(document);
        let number = |depth: usize| numbers.get(depth).copied().flatten();
        let names = pointer.tokens().iter().enumerate().map(|(depth, token)| match number(depth) {
            Some(number) if is_each(token) => format!("/{number}"),
            _ => format!("/{token}"),
        });
        names.collect()
    })
}

/// For each container that is open at the end of a JSON text, the number of its last element if it is an array.
fn open_elements(text: &[u8]) -> Vec<Option<usize>> {
    let (mut open, mut is_string, mut is_escaped) = (Vec::new(), false, false);
    for byte in text {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_string => is_escaped = true,
            b'"' => is_string = !is_string,
            _ if is_string => {}
            b'{' => open.push(None),
            b'[' => open.push(Some(0)),
            b'}' | b']' => {
                open.pop();
            }
            b',' => {
                if let Some(Some(number)) = open.last_mut() {
                    *number += 1;
                }
            }
            _ => {}
        }
    }
    open
}

/// The number of delimiters that begin a part.
fn parts(boundary: &[u8], text: &[u8]) -> usize {
    let delimiter = [b"\r\n--", boundary].concat();
    let is_first = delimiter.get(2..).is_some_and(|first| text.starts_with(first));
    usize::from(is_first) + text.windows(delimiter.len()).filter(|window| *window == delimiter).count()
}

/// The number of the gRPC message that has the last of these bytes.
fn messages(body: &[u8], bytes: usize) -> usize {
    let (mut start, mut number) = (0, 0);
    while start < bytes {
        number += 1;
        let length = body.get(start + 1..start + 5).and_then(|length| length.try_into().ok());
        let length = length.map_or(u32::MAX, u32::from_be_bytes);
        start = start.saturating_add(5).saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_numbered_outside_strings() {
        let text = br#"{"a":[1,2],"orders":[{"x":"[,\",{"},[0,0],{"tenant":"b"#;
        assert_eq!(open_elements(text), [None, Some(2), None]);
        let pointer = "/orders/[kind=k]/tenant".parse().unwrap();
        assert_eq!(element(&pointer, text, open_elements).as_deref(), Some("/orders/2/tenant"));
        assert_eq!(element(&"/orders/2/tenant".parse().unwrap(), text, open_elements), None);
    }

    #[test]
    fn parts_begin_with_a_delimiter() {
        assert_eq!(parts(b"b", b"--b\r\n\r\na --b\r\n--b\r\n\r\n"), 2);
        assert_eq!(parts(b"b", b"preamble\r\n--b\r\n"), 1);
    }

    #[test]
    fn a_length_beyond_the_body_ends_the_count() {
        let body = b"\0\0\0\0\x01x\0\xff\xff\xff\xffyy";
        assert_eq!((messages(body, 6), messages(body, 7), messages(body, body.len())), (1, 2, 2));
    }
}
