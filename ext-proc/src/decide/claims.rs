//! Verified claims for `cellgate decide`: a JSON object in the form in which Envoy's jwt_authn leaves a token's payload.

use cellgate_routing::claims::JWT_AUTHN;
use envoy_types::pb::envoy::config::core::v3::Metadata;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{ListValue, Struct, Value};
use prost::Message;

/// The file of `--claims` is not a payload.
#[derive(Debug, thiserror::Error)]
pub enum BadClaims {
    /// It is not JSON.
    #[error("expected the claims of a verified token as a JSON object: {0}")]
    NotJson(serde_json::Error),
    /// It is another JSON value. A payload is always an object (RFC 7519, 7.2).
    #[error("expected the claims of a verified token as a JSON object, found {0}")]
    NotObject(&'static str),
}

/// The serialised dynamic metadata of a request whose verified token has this payload. `metadata_key` is the one of the
/// configuration.
///
/// # Errors
/// The text is not a JSON object.
pub fn metadata(payload: &[u8], metadata_key: &str) -> Result<Vec<u8>, BadClaims> {
    let found = match serde_json::from_slice(payload).map_err(BadClaims::NotJson)? {
        serde_json::Value::Object(payload) => {
            let payload = serde_json::Map::from_iter([(metadata_key.to_owned(), payload.into())]);
            let metadata = Metadata {
                filter_metadata: [(JWT_AUTHN.to_owned(), structure(payload))].into(),
                ..Metadata::default()
            };
            return Ok(metadata.encode_to_vec());
        }
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "a boolean",
        serde_json::Value::Number(_) => "a number",
        serde_json::Value::String(_) => "a string",
        serde_json::Value::Array(_) => "an array",
    };
    Err(BadClaims::NotObject(found))
}

fn structure(members: serde_json::Map<String, serde_json::Value>) -> Struct {
    Struct { fields: members.into_iter().map(|(name, member)| (name, value(member))).collect() }
}

/// Numbers are doubles, as in Envoy.
fn value(json: serde_json::Value) -> Value {
    let kind = match json {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(value) => Kind::BoolValue(value),
        serde_json::Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(text) => Kind::StringValue(text),
        serde_json::Value::Object(members) => Kind::StructValue(structure(members)),
        serde_json::Value::Array(items) => {
            Kind::ListValue(ListValue { values: items.into_iter().map(value).collect() })
        }
    };
    Value { kind: Some(kind) }
}
