//! The limits as YAML. Texts are JSON strings, which YAML reads alike.

use std::fmt::Write;

use super::descriptor::{ImportedEntry, ImportedLimit, ImportedRule};

/// The section `descriptor_limits`.
pub(super) fn yaml(domain: &str, limits: &[ImportedLimit]) -> String {
    if limits.is_empty() {
        return "descriptor_limits: []\n".to_owned();
    }
    let mut text = "descriptor_limits:\n".to_owned();
    for limit in limits {
        let entries: Vec<_> = limit.entries.iter().map(entry).collect();
        let rule = match &limit.rule {
            ImportedRule::Limit(limit) => format!("limit: {limit}"),
            ImportedRule::Allow => "always: allow".to_owned(),
            ImportedRule::Deny => "always: deny".to_owned(),
        };
        // Writing to a `String` does not fail.
        let _ = write!(
            text,
            "  - name: {}\n    domain: {}\n    descriptor: [{}]\n    {rule}\n",
            quoted(&limit.name),
            quoted(domain),
            entries.join(", ")
        );
        if limit.shadow {
            text.push_str("    shadow: true\n");
        }
    }
    text
}

fn entry(entry: &ImportedEntry) -> String {
    let mut text = format!("{{ key: {}", quoted(&entry.key));
    if let Some(value) = &entry.value {
        let _ = write!(text, ", value: {}", quoted(value));
    }
    if entry.shared {
        text.push_str(", shared: true");
    }
    text + " }"
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
