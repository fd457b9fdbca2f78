//! The part of a JSON document on which something depends.

use serde_json::Value;

/// Removes each field and element without which `is_same` stays true, from the outside in.
pub(crate) fn reduced(mut document: Value, is_same: &mut impl FnMut(&Value) -> bool) -> Value {
    shrink(&mut document, "", is_same);
    document
}

fn shrink(document: &mut Value, pointer: &str, is_same: &mut impl FnMut(&Value) -> bool) {
    let children: Vec<String> = match document.pointer(pointer) {
        Some(Value::Object(fields)) => fields.keys().cloned().collect(),
        // From the end, so that the numbers of the others stay.
        Some(Value::Array(items)) => (0..items.len()).rev().map(|index| index.to_string()).collect(),
        _ => return,
    };
    for child in children {
        let before = document.pointer(pointer).cloned().unwrap_or_default();
        match document.pointer_mut(pointer) {
            Some(Value::Object(fields)) => drop(fields.remove(&child)),
            Some(Value::Array(items)) => drop(items.remove(child.parse().unwrap_or_default())),
            _ => return,
        }
        if is_same(document) {
            continue;
        }
        if let Some(parent) = document.pointer_mut(pointer) {
            *parent = before;
        }
        shrink(document, &format!("{pointer}/{}", child.replace('~', "~0").replace('/', "~1")), is_same);
    }
}

/// Whether a document has everything of `part`: each field, and the elements of lists in their order.
pub(crate) fn contains(document: &Value, part: &Value) -> bool {
    match (document, part) {
        (Value::Object(fields), Value::Object(wanted)) => {
            wanted.iter().all(|(name, value)| fields.get(name).is_some_and(|field| contains(field, value)))
        }
        (Value::Array(items), Value::Array(wanted)) => {
            let mut items = items.iter();
            wanted.iter().all(|value| items.any(|item| contains(item, value)))
        }
        _ => document == part,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_needed_part_is_left() {
        let document = json!({"a": [1, {"b/c": 2, "d": 3}, 4], "e": {"f": {}}});
        let left = reduced(document.clone(), &mut |changed| {
            changed["a"].as_array().is_some_and(|items| items.iter().any(|item| item["b/c"] == 2))
        });
        assert_eq!(left, json!({"a": [{"b/c": 2}]}));
        assert!(contains(&document, &left));
    }

    #[test]
    fn a_missing_field_and_another_value_are_not_contained() {
        let document = json!({"a": [{"b": 1}, {"b": 2}]});
        assert!(contains(&document, &json!({"a": [{"b": 2}]})));
        for part in [json!({"a": [{"b": 2}, {"b": 1}]}), json!({"a": [{"c": 1}]}), json!({"b": 1})] {
            assert!(!contains(&document, &part), "{part}");
        }
    }
}
