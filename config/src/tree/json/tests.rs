use proptest::prelude::*;
use serde_json::{Map, Value as Json};

use super::super::{MapEntry, TreeNode, Value};
use super::parse;

/// A tree as serde_json has it. Of equal names the last counts, and all numbers of over 64 bits are alike.
fn json(node: &TreeNode<'_>) -> Json {
    match &node.value {
        Value::Null | Value::Refused => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Unsigned(number) => (*number).into(),
        Value::Float(_) => (-0.0).into(),
        Value::Negative(number) => (*number).into(),
        Value::Text(text) => (**text).into(),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => {
            let entry = |MapEntry { name, node, .. }: &MapEntry<'_>| (name.to_string(), json(node));
            Json::Object(entries.iter().map(entry).collect::<Map<_, _>>())
        }
    }
}

fn without_floats(json: Json) -> Json {
    match json {
        Json::Number(number) if number.is_f64() => (-0.0).into(),
        Json::Array(items) => items.into_iter().map(without_floats).collect(),
        Json::Object(entries) => {
            entries.into_iter().map(|(name, value)| (name, without_floats(value))).collect::<Map<_, _>>().into()
        }
        other => other,
    }
}

/// Compares the parser with serde_json. The limits on nesting and on numbers differ.
fn compare(text: &str) -> Result<(), TestCaseError> {
    let expected = serde_json::from_str::<Json>(text);
    match parse(text) {
        Ok(node) if text.trim_ascii().is_empty() => prop_assert_eq!(json(&node), Json::Null),
        Ok(node) => match expected {
            Ok(expected) => prop_assert_eq!(json(&node), without_floats(expected)),
            Err(error) => prop_assert!(error.to_string().starts_with("number out of range"), "{}: {}", text, error),
        },
        Err(fault) if fault.message.starts_with("nested") => {}
        Err(fault) => prop_assert!(expected.is_err(), "{}: {}", text, fault.message),
    }
    Ok(())
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any::<String>().prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            prop::collection::vec((".{0,3}", inner), 0..4).prop_map(|entries| entries.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn serde_json_agrees_on_documents(document in any_json(), pretty: bool) {
        let text = if pretty { format!("{document:#}") } else { document.to_string() };
        prop_assert!(parse(&text).is_ok(), "{}", text);
        compare(&text)?;
    }

    #[test]
    fn serde_json_agrees_on_tokens(text in "(\\[|\\]|\\{|\\}|,|:|\"a\"|\"|null|true|fals|e|-|0|1|9|\\.|E|\\+| |\n|x){0,12}") {
        compare(&text)?;
    }

    #[test]
    fn serde_json_agrees_on_strings(string in "(\\\\|\\\\u|u|[dD][89abcdefABCDEF][0-9a-f]{2}|00[0-9a-f]{2}|\"|/|n|\t|\u{0}|é|😀|.){0,8}") {
        compare(&format!("\"{string}\""))?;
        compare(&format!("{{\"{string}\":1}}"))?;
    }

    #[test]
    fn serde_json_agrees_on_numbers(number in "-?[0-9]{0,22}(\\.[0-9]{0,3})?([eE][+-]?[0-9]{0,4})?") {
        compare(&number)?;
        compare(&format!("[{number}]"))?;
    }
}

#[test]
fn each_value_has_the_offset_of_its_first_byte() {
    let text = "{ \"é\": [1, \"\\n\"] }";
    let root = parse(text).unwrap();
    let Value::Map(entries) = &root.value else { panic!("{root:?}") };
    let Value::List(items) = &entries[0].node.value else { panic!("{root:?}") };
    let offsets = [root.at, entries[0].at, entries[0].node.at, items[0].at, items[1].at];
    assert_eq!(offsets, [0, 2, 8, 9, 12]);
}
