//! Bodies with a value at the place of a source.

use cellgate_routing::document::{Pointer, PointerToken};
use cellgate_routing::source::Place;
use serde_json::Value;

/// Fills parts of a request that may have any value. It is also the boundary of a multipart form.
pub(super) const FILLER: &str = "cellgate-probe";

/// A body with a value behind this many bytes of padding. `None` for places in the head, and if the value or the padding has
/// no place in such a body.
pub(super) fn body(place: &Place, value: &str, padding: usize) -> Option<Vec<u8>> {
    match place {
        Place::Json(pointer) | Place::Ndjson(pointer) => json(pointer, value, padding).map(String::into_bytes),
        Place::Form(name) => {
            let field = format!("{}={}", percent(name), percent(value));
            let text = if padding == 0 { field } else { format!("{FILLER}={}&{field}", "p".repeat(padding)) };
            Some(text.into_bytes())
        }
        Place::Multipart(name) => {
            let part = |name: &str, value: &str| {
                format!("--{FILLER}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
            };
            let before = if padding == 0 { String::new() } else { part(FILLER, &"p".repeat(padding)) };
            Some(format!("{before}{}--{FILLER}--\r\n", part(name, value)).into_bytes())
        }
        Place::Xml(path) => {
            let before = if padding == 0 { String::new() } else { format!("<!--{}-->", "p".repeat(padding)) };
            Some(format!("{before}{}", xml(&path.to_string(), value)).into_bytes())
        }
        Place::Msgpack(pointer) if padding == 0 => {
            let mut out = Vec::new();
            msgpack(&document(pointer, value), &mut out)?;
            Some(out)
        }
        Place::Cbor(pointer) if padding == 0 => {
            let mut out = Vec::new();
            cbor(&document(pointer, value), &mut out)?;
            Some(out)
        }
        Place::Protobuf(path) if padding == 0 => protobuf(&path.to_string(), value),
        _ => None,
    }
}

/// Percent-encodes all but the unreserved characters (RFC 3986, 2.3).
pub(super) fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

fn json(pointer: &Pointer, value: &str, padding: usize) -> Option<String> {
    let text = document(pointer, value).to_string();
    match (padding, text.strip_prefix('{')) {
        (0, _) => Some(text),
        // Only an object has room for padding.
        (_, rest) => Some(format!("{{\"{FILLER}\":\"{}\",{}", "p".repeat(padding), rest?)),
    }
}

/// A document with a text at the pointer.
fn document(pointer: &Pointer, value: &str) -> Value {
    let mut value = Value::from(value);
    for token in pointer.tokens().iter().rev() {
        value = match (token, value) {
            (PointerToken::Name(name), value) => Value::Object([(name.to_string(), value)].into_iter().collect()),
            (PointerToken::Selector { name, text }, Value::Object(mut members)) => {
                members.insert(name.to_string(), Value::from(&**text));
                Value::Array(vec![Value::Object(members)])
            }
            (PointerToken::Each | PointerToken::Selector { .. }, value) => Value::Array(vec![value]),
        };
    }
    value
}

/// A document in XML, from the path as written: `/{urn:a}order/*/@tenant`.
fn xml(path: &str, value: &str) -> String {
    let value = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let (mut open, mut close, mut text) = (String::new(), String::new(), &*value);
    // A namespace may have slashes.
    let mut is_namespace = false;
    let steps = path.split(|next: char| {
        is_namespace = next == '{' || is_namespace && next != '}';
        next == '/' && !is_namespace
    });
    for step in steps.filter(|step| !step.is_empty()) {
        let (is_attribute, name) = step.strip_prefix('@').map_or((false, step), |name| (true, name));
        let (namespace, local) = name.strip_prefix('{').and_then(|name| name.split_once('}')).unwrap_or(("", name));
        let namespace = if namespace == "*" { "" } else { namespace };
        let local = if local == "*" { FILLER } else { local };
        if is_attribute {
            // An attribute is in a namespace only by its prefix.
            let (declared, prefix) = match namespace {
                "" => (String::new(), ""),
                name => (format!(" xmlns:p=\"{name}\""), "p:"),
            };
            open.pop();
            open.push_str(&format!("{declared} {prefix}{local}=\"{value}\">"));
            text = "";
        } else {
            open.push_str(&format!("<{local} xmlns=\"{namespace}\">"));
            close.insert_str(0, &format!("</{local}>"));
        }
    }
    format!("{open}{text}{close}")
}

/// Writes a document of objects, arrays and texts in MessagePack. `None` if one of them is longer than 65,535.
fn msgpack(value: &Value, out: &mut Vec<u8>) -> Option<()> {
    let mut head = |kind: u8, length: usize| {
        out.push(kind);
        out.extend(u16::try_from(length).ok()?.to_be_bytes());
        Some(())
    };
    match value {
        Value::Object(members) => {
            head(0xde, members.len())?;
            for (name, value) in members {
                msgpack(&Value::from(&**name), out)?;
                msgpack(value, out)?;
            }
        }
        Value::Array(elements) => {
            head(0xdc, elements.len())?;
            elements.iter().try_for_each(|element| msgpack(element, out))?;
        }
        other => {
            let text = other.as_str()?;
            head(0xda, text.len())?;
            out.extend(text.as_bytes());
        }
    }
    Some(())
}

/// As [`msgpack`], in CBOR.
fn cbor(value: &Value, out: &mut Vec<u8>) -> Option<()> {
    let mut head = |major: u8, length: usize| {
        out.push(major << 5 | 25);
        out.extend(u16::try_from(length).ok()?.to_be_bytes());
        Some(())
    };
    match value {
        Value::Object(members) => {
            head(5, members.len())?;
            for (name, value) in members {
                cbor(&Value::from(&**name), out)?;
                cbor(value, out)?;
            }
        }
        Value::Array(elements) => {
            head(4, elements.len())?;
            elements.iter().try_for_each(|element| cbor(element, out))?;
        }
        other => {
            let text = other.as_str()?;
            head(3, text.len())?;
            out.extend(text.as_bytes());
        }
    }
    Some(())
}

/// A message with a text at the path, or with an integer if the path has a type. The path is as written: `1.2*.3:int64`.
fn protobuf(path: &str, value: &str) -> Option<Vec<u8>> {
    let (numbers, kind) = path.split_once(':').unwrap_or((path, "string"));
    let mut fields = numbers.rsplit('.').map(|number| number.trim_end_matches('*').parse::<u64>());
    let last = fields.next()?.ok()?;
    let integer = value.parse::<i128>().ok();
    let mut message = Vec::new();
    let (wire_type, content) = match kind {
        "string" => (2, [varint(value.len() as u64), value.as_bytes().to_vec()].concat()),
        "sint32" | "sint64" => {
            let number = i64::try_from(integer?).ok()?;
            (0, varint((number << 1 ^ number >> 63).cast_unsigned()))
        }
        "fixed32" | "sfixed32" => (5, (integer? as u32).to_le_bytes().to_vec()),
        "fixed64" | "sfixed64" => (1, (integer? as u64).to_le_bytes().to_vec()),
        _ => (0, varint(integer? as u64)),
    };
    message.extend(varint(last << 3 | wire_type));
    message.extend(content);
    for number in fields {
        let mut outer = varint(number.ok()? << 3 | 2);
        outer.extend(varint(message.len() as u64));
        outer.extend(message);
        message = outer;
    }
    Some(message)
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
    out
}
