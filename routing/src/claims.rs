//! Claims of a verified JSON Web Token (RFC 7519), as Envoy's jwt_authn filter leaves them in the request's dynamic metadata.
//!
//! The input is a serialised `envoy.config.core.v3.Metadata`. jwt_authn writes the payload of a token into it after it has
//! verified the token, and never otherwise. A payload is a `google.protobuf.Struct`: its numbers are doubles. Other forms in
//! which Envoy shows metadata to a filter lose the types, so that eight bytes may be a number or a string.
//!
//! The search reads the bytes once for each level of the pointer, and allocates nothing but the key.

mod wire;

use std::borrow::Cow;

use crate::document::{Pointer, PointerToken};
use crate::reason::Reason;
use crate::source::Found;
use crate::value::KeyRule;
use wire::{Malformed, MetadataField, fields, map_value};

/// The namespace that jwt_authn writes: its canonical filter name.
pub const JWT_AUTHN: &str = "envoy.filters.http.jwt_authn";

/// The metadata key of the payload if the configuration names none. Istio's control plane uses the same one.
pub const DEFAULT_METADATA_KEY: &str = "payload";

/// The integers that a double holds without loss lie between this and its negative. 2^53 itself may have been rounded.
const SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

/// Field numbers of `envoy.config.core.v3.Metadata` and `google.protobuf.Struct`: each is its message's only field here.
const FILTER_METADATA: u32 = 1;
const STRUCT_FIELDS: u32 = 1;
const LIST_VALUES: u32 = 1;

/// A `google.protobuf.Value`. Structs and lists are still encoded.
#[derive(Clone, Copy, Debug, PartialEq)]
enum ClaimValue<'a> {
    Null,
    Number(f64),
    String(&'a [u8]),
    Boolean,
    Struct(&'a [u8]),
    List(&'a [u8]),
}

/// The claim at a pointer. `None`: there is no verified payload, or it has no such claim.
///
/// `metadata` is a serialised `Metadata`. Bytes that are not one are `key_malformed`; Envoy never writes such bytes.
pub(crate) fn find(metadata: &[u8], metadata_key: &str, pointer: &Pointer, rule: &KeyRule) -> Option<Found> {
    let text = match value_at(metadata, metadata_key, pointer) {
        Ok(value) => value?.text(),
        Err(Malformed) => Err(Reason::KeyMalformed),
    };
    match text {
        Ok(text) => rule.read(&text).map(|key| key.map(Cow::into_owned)),
        Err(reason) => Some(Err(reason)),
    }
}

fn value_at<'a>(
    metadata: &'a [u8],
    metadata_key: &str,
    pointer: &Pointer,
) -> Result<Option<ClaimValue<'a>>, Malformed> {
    let Some(namespace) = map_value(metadata, FILTER_METADATA, JWT_AUTHN.as_bytes())? else { return Ok(None) };
    let mut value = ClaimValue::Struct(namespace);
    for token in std::iter::once(metadata_key).chain(pointer.tokens().iter().map(PointerToken::name)) {
        let member = match value {
            ClaimValue::Struct(fields) => map_value(fields, STRUCT_FIELDS, token.as_bytes())?,
            ClaimValue::List(values) => match index(token) {
                Some(index) => item(values, index)?,
                None => None,
            },
            ClaimValue::Null | ClaimValue::Number(_) | ClaimValue::String(_) | ClaimValue::Boolean => None,
        };
        let Some(member) = member else { return Ok(None) };
        value = ClaimValue::decode(member)?;
    }
    Ok(Some(value))
}

/// The item of an encoded `ListValue`.
fn item(list: &[u8], index: usize) -> Result<Option<&[u8]>, Malformed> {
    let mut at = 0;
    for field in fields(list) {
        if let (LIST_VALUES, MetadataField::Bytes(value)) = field? {
            if at == index {
                return Ok(Some(value));
            }
            at += 1;
        }
    }
    Ok(None)
}

/// An array index of RFC 6901, 4: digits without leading zeros.
fn index(token: &str) -> Option<usize> {
    let is_index = token.bytes().all(|byte| byte.is_ascii_digit()) && (token == "0" || !token.starts_with('0'));
    if is_index { token.parse().ok() } else { None }
}

impl<'a> ClaimValue<'a> {
    /// Decodes a `Value`. It is a oneof: the last field counts. Without a field it is null.
    fn decode(value: &'a [u8]) -> Result<Self, Malformed> {
        let mut decoded = ClaimValue::Null;
        for field in fields(value) {
            decoded = match field? {
                (1, MetadataField::Varint(_)) => ClaimValue::Null,
                (2, MetadataField::Fixed64(bits)) => ClaimValue::Number(f64::from_bits(bits)),
                (3, MetadataField::Bytes(text)) => ClaimValue::String(text),
                (4, MetadataField::Varint(_)) => ClaimValue::Boolean,
                (5, MetadataField::Bytes(fields)) => ClaimValue::Struct(fields),
                (6, MetadataField::Bytes(values)) => ClaimValue::List(values),
                (1..=6, _) => return Err(Malformed),
                _ => decoded,
            };
        }
        Ok(decoded)
    }

    /// The text of a string or an integer.
    fn text(self) -> Result<Cow<'a, [u8]>, Reason> {
        match self {
            ClaimValue::Null => Err(Reason::KeyNull),
            ClaimValue::Boolean => Err(Reason::KeyBoolean),
            ClaimValue::Struct(_) => Err(Reason::KeyObject),
            ClaimValue::List(_) => Err(Reason::KeyArray),
            ClaimValue::String(text) => Ok(Cow::Borrowed(text)),
            ClaimValue::Number(number) => Ok(Cow::Owned(integer(number).ok_or(Reason::KeyFloat)?.into_bytes())),
        }
    }
}

/// The decimal digits of an integer that a double holds without loss. `-0` is none, as in JSON bodies.
fn integer(number: f64) -> Option<String> {
    let is_exact = number.trunc() == number && number.abs() <= SAFE_INTEGER;
    let is_negative_zero = number == 0.0 && number.is_sign_negative();
    // As an integer: the text of a float would add 18 KB to the filter's module.
    #[expect(clippy::cast_possible_truncation, reason = "an integer of at most 53 bits")]
    (is_exact && !is_negative_zero).then(|| (number as i64).to_string())
}

#[cfg(test)]
mod tests;
