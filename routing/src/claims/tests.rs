#[path = "../../tests/support/metadata.rs"]
mod metadata;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::key;
use metadata::{entry, field, metadata, value};

fn claim(payload: &Value, pointer: &str) -> Option<Found> {
    find(&metadata(JWT_AUTHN, "payload", payload), "payload", &pointer.parse().unwrap(), &KeyRule::whole(32))
}

fn ok(key: &str) -> Option<Found> {
    Some(Ok(key.to_owned()))
}

#[test]
fn a_pointer_finds_members_and_items() {
    let payload = json!({"org": {"id": "acme", "": "nameless"}, "a/b": {"~": "x"}, "aud": ["one", {"id": "two"}]});
    assert_eq!(claim(&payload, "/org/id"), ok("acme"));
    assert_eq!(claim(&payload, "/org/"), ok("nameless"));
    assert_eq!(claim(&payload, "/a~1b/~0"), ok("x"));
    assert_eq!(claim(&payload, "/aud/0"), ok("one"));
    assert_eq!(claim(&payload, "/aud/1/id"), ok("two"));
    for absent in ["/org/name", "/Org/id", "/org/id/x", "/aud/2", "/aud/00", "/aud/-", "/aud/+1", "/aud/", "/0"] {
        assert_eq!(claim(&payload, absent), None, "{absent}");
    }
}

#[test]
fn each_type_is_a_key_or_has_its_reason() {
    for (value, expected) in [
        (json!("acme"), Ok("acme")),
        (json!("å"), Ok("å")),
        (json!("12345678"), Ok("12345678")),
        (json!(0), Ok("0")),
        (json!(42), Ok("42")),
        (json!(-7), Ok("-7")),
        // A Struct does not tell 1.0 from 1.
        (json!(1.0), Ok("1")),
        (json!(9_007_199_254_740_991_u64), Ok("9007199254740991")),
        (json!(-9_007_199_254_740_991_i64), Ok("-9007199254740991")),
        // 2^53 may have been 2^53 + 1 in the token.
        (json!(9_007_199_254_740_992_u64), Err(Reason::KeyFloat)),
        (json!(9_007_199_254_740_993_u64), Err(Reason::KeyFloat)),
        (json!(1e300), Err(Reason::KeyFloat)),
        (json!(1.5), Err(Reason::KeyFloat)),
        (json!(-0.0), Err(Reason::KeyFloat)),
        (json!(null), Err(Reason::KeyNull)),
        (json!(true), Err(Reason::KeyBoolean)),
        (json!({}), Err(Reason::KeyObject)),
        (json!([]), Err(Reason::KeyArray)),
        (json!(""), Err(Reason::KeyEmpty)),
        (json!("a\n"), Err(Reason::KeyControlCharacter)),
        (json!("x".repeat(33)), Err(Reason::KeyTooLong)),
    ] {
        assert_eq!(claim(&json!({"org": value}), "/org"), Some(expected.map(str::to_owned)), "{value}");
    }
    for bits in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let number = [&[2 << 3 | 1][..], &bits.to_le_bytes()].concat();
        let payload = field(5, &entry("org", &number));
        let metadata = entry(JWT_AUTHN, &entry("payload", &payload));
        assert_eq!(
            find(&metadata, "payload", &"/org".parse().unwrap(), &KeyRule::whole(32)),
            Some(Err(Reason::KeyFloat))
        );
    }
}

/// Another filter's namespace, and another key of jwt_authn's, are not a verified payload.
#[test]
fn only_the_namespace_and_key_of_the_verified_payload_count() {
    let payload = json!({"org": {"id": "acme"}});
    let pointer = "/org/id".parse().unwrap();
    let found = |namespace, key| find(&metadata(namespace, key, &payload), "payload", &pointer, &KeyRule::whole(32));
    assert_eq!(found(JWT_AUTHN, "payload"), ok("acme"));
    assert_eq!(found(JWT_AUTHN, "header"), None);
    assert_eq!(found("envoy.filters.http.ext_authz", "payload"), None);
    assert_eq!(found("envoy.filters.http.jwt_authn.", "payload"), None);
    assert_eq!(find(&[], "payload", &pointer, &KeyRule::whole(32)), None);
}

/// The last entry counts, as in protobuf: Envoy's own reading and this one cannot differ.
#[test]
fn the_last_entry_of_a_map_counts() {
    let of = |id| entry("payload", &value(&json!({"id": id})));
    let metadata = [entry(JWT_AUTHN, &of("first")), entry(JWT_AUTHN, &[of("second"), of("third")].concat())].concat();
    assert_eq!(find(&metadata, "payload", &"/id".parse().unwrap(), &KeyRule::whole(32)), ok("third"));
}

#[test]
fn bytes_that_are_no_message_are_malformed() {
    let pointer = "/org".parse().unwrap();
    for bytes in [&b"\xff"[..], b"\x0a", b"\x0a\x05ab", b"\x0b", b"\x00\x00", b"\x09\x01"] {
        assert_eq!(find(bytes, "payload", &pointer, &KeyRule::whole(32)), Some(Err(Reason::KeyMalformed)), "{bytes:?}");
    }
    // A `Value` whose string is a varint.
    let payload = field(5, &entry("org", &[3 << 3, 1]));
    let metadata = entry(JWT_AUTHN, &entry("payload", &payload));
    assert_eq!(find(&metadata, "payload", &pointer, &KeyRule::whole(32)), Some(Err(Reason::KeyMalformed)));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]{0,2}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    /// What `serde_json` finds at a pointer, the search finds, with the same type.
    #[test]
    fn the_search_agrees_with_serde_json(payload in any_json(), pointer in "(/([a-c]{0,2}|[0-3])){0,4}") {
        let expected = payload.pointer(&pointer).map(|value| match value {
            Value::Null => Err(Reason::KeyNull),
            Value::Bool(_) => Err(Reason::KeyBoolean),
            Value::Object(_) => Err(Reason::KeyObject),
            Value::Array(_) => Err(Reason::KeyArray),
            Value::String(text) => key::check(text.as_bytes(), 32).map(str::to_owned),
            Value::Number(number) => number.as_i64().map(|number| number.to_string()).ok_or(Reason::KeyFloat),
        });
        let is_float = |value: &Value| value.is_f64();
        // A float without a fraction is an integer in a Struct.
        prop_assume!(!payload.pointer(&pointer).is_some_and(is_float));
        prop_assert_eq!(claim(&payload, &pointer), expected);
    }

    #[test]
    fn no_bytes_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), cut in any::<prop::sample::Index>()) {
        let pointer = "/a/0".parse().unwrap();
        let _ = find(&bytes, "payload", &pointer, &KeyRule::whole(32));
        let whole = metadata(JWT_AUTHN, "payload", &json!({"a": ["x"]}));
        let _ = find(&whole[..cut.index(whole.len())], "payload", &pointer, &KeyRule::whole(32));
    }
}
