//! A number that two texts share if they say the same.

use std::fmt::Write as _;

use crate::number::integral;
use crate::path::Step;
use crate::tree::{TreeNode, Value};
use cellgate_limiting::KeyHasher;

/// The fingerprint of the rate limits. The order of fields, the layout, and YAML or JSON make no difference: Envoy writes
/// anew the JSON that the filter reads.
pub(super) fn of_rate_limits(root: &TreeNode<'_>) -> u64 {
    let mut text = String::new();
    if let Some(limits) = root.child(Step::Field("rate_limits")) {
        write_canonical(limits.node, &mut text);
    }
    let [high, _] = KeyHasher::new([0; 16]).key("rate_limits", [text.as_bytes()]).words();
    high
}

/// Writes each value with its kind and length, and fields in the order of their names. A tree has few levels.
fn write_canonical(node: &TreeNode<'_>, out: &mut String) {
    // A `String` takes all that is written.
    let _ = match &node.value {
        Value::Null | Value::Refused => out.write_char('n'),
        Value::Bool(value) => write!(out, "b{value};"),
        Value::Unsigned(number) => write!(out, "{number};"),
        Value::Negative(number) => write!(out, "{number};"),
        // A control plane may write 3 as 3.0.
        Value::Float(number) => match integral(number) {
            Some(number) => write!(out, "{number};"),
            None => write!(out, "f{number};"),
        },
        Value::Text(text) => write!(out, "t{}:{text}", text.len()),
        Value::List(items) => {
            let begun = write!(out, "l{};", items.len());
            items.iter().for_each(|item| write_canonical(item, out));
            begun
        }
        Value::Map(entries) => {
            let begun = write!(out, "m{};", entries.len());
            let mut entries: Vec<_> = entries.iter().map(|entry| entry.child()).collect();
            entries.sort_unstable_by_key(|entry| entry.name);
            for entry in entries {
                let _ = write!(out, "{}:{}", entry.name.len(), entry.name);
                write_canonical(entry.node, out);
            }
            begun
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{parse_json, parse_yaml};

    #[test]
    fn the_order_of_fields_and_the_language_make_no_difference() {
        let yaml = "rate_limits:\n- name: a\n  key: [cell, {header: x}]\n  limit: 5/s\n  lease: true\n  cost: 3\n";
        let json = r#"{"cells": [], "rate_limits": [{"lease":true,"cost":3,"key":["cell",{"header":"x"}],"limit":"5/s","name":"a"}]}"#;
        let of_yaml = |text: &str| of_rate_limits(&parse_yaml(text).unwrap());
        assert_eq!(of_yaml(yaml), of_rate_limits(&parse_json(json).unwrap()));
        for number in ["3.0", "3e0", "30e-1"] {
            assert_eq!(
                of_rate_limits(&parse_json(&json.replace(":3,", &format!(":{number},"))).unwrap()),
                of_yaml(yaml)
            );
        }
        let others = [
            ("5/s", "6/s"),
            ("cost: 3", "cost: 30"),
            ("true", "false"),
            ("[cell, {header: x}]", "[{header: x}, cell]"),
            ("[cell, {header: x}]", "[cellheader: x]"),
            ("lease: true", "leas: true"),
        ];
        for (from, to) in others {
            assert_ne!(of_yaml(yaml), of_yaml(&yaml.replace(from, to)), "{to}");
        }
        assert_eq!(of_yaml("a: 1"), of_yaml("b: 2"));
    }
}
