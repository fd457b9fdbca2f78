//! Dynamic metadata as Envoy serialises it.

use serde_json::{Value, json};

pub(crate) fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length > 0x7f {
        field.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    field.push(u8::try_from(length).unwrap());
    [&field, bytes].concat()
}

pub(crate) fn entry(key: &str, value: &[u8]) -> Vec<u8> {
    field(1, &[field(1, key.as_bytes()), field(2, value)].concat())
}

/// A serialised `google.protobuf.Value`.
pub(crate) fn value(json: &Value) -> Vec<u8> {
    match json {
        Value::Null => vec![1 << 3, 0],
        Value::Bool(value) => vec![4 << 3, u8::from(*value)],
        Value::Number(number) => [&[2 << 3 | 1][..], &number.as_f64().unwrap().to_le_bytes()].concat(),
        Value::String(text) => field(3, text.as_bytes()),
        Value::Object(members) => {
            field(5, &members.iter().flat_map(|(name, member)| entry(name, &value(member))).collect::<Vec<_>>())
        }
        Value::Array(items) => field(6, &items.iter().flat_map(|item| field(1, &value(item))).collect::<Vec<_>>()),
    }
}

/// Dynamic metadata in which a namespace has this payload.
pub(crate) fn metadata(namespace: &str, metadata_key: &str, payload: &Value) -> Vec<u8> {
    let other = entry("com.example.other", &entry("payload", &value(&json!({"org": {"id": "mallory"}}))));
    let typed = field(2, &field(1, namespace.as_bytes()));
    [other, entry(namespace, &entry(metadata_key, &value(payload))), typed].concat()
}
