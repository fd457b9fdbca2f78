//! The place of an error in a configuration, without any value of the file.
//!
//! The full text of an error may quote a routing key of `placement`. The log has it, but the admin port must not.

use super::LoadError;

/// The errors that are named.
const SHOWN: usize = 3;

/// The fields at the top of a configuration. The name of an unknown field may be a misplaced key.
const FIELDS: [&str; 19] = [
    "$schema",
    "version",
    "routing_header",
    "cells",
    "applies_to",
    "content_types",
    "content_encodings",
    "key",
    "claims",
    "duplicates",
    "placement",
    "policy",
    "decided_by",
    "rate_limits",
    "concurrency_limits",
    "descriptor_limits",
    "sync",
    "shadow",
    "limits",
];

/// Where the errors are: file, line, column, and the field at the top of the configuration.
pub(super) fn without_values(error: &LoadError) -> String {
    let LoadError::Invalid(error) = error else {
        // The others name only the file.
        return error.to_string();
    };
    let problems = error.problems();
    let places = problems.iter().take(SHOWN).map(|problem| {
        let field = problem.path.split(['.', '[']).next().filter(|field| FIELDS.contains(field));
        let what = field.map_or_else(|| "not valid".to_owned(), |field| format!("{field} is not valid"));
        format!("{}:{}:{}: {what}", error.file(), problem.line, problem.column)
    });
    let places = places.collect::<Vec<_>>().join("; ");
    match problems.len().saturating_sub(SHOWN) {
        0 => places,
        more => format!("{places}; and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = include_str!("../../../schema/cellgate.schema.json");

    fn errors_of(text: &str) -> String {
        without_values(&cellgate_config::from_yaml(text, "a.yaml").unwrap_err().into())
    }

    #[test]
    fn the_fields_are_those_of_the_schema() {
        let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
        let fields: std::collections::BTreeSet<_> =
            schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, FIELDS.into());
    }

    #[test]
    fn no_key_of_the_file_is_shown() {
        let head = "routing_header: x-cell\ncells: [a]\nkey: [{ header: t }]\n";
        let text = format!("{head}placement: {{ exact: {{ acme: nowhere }}, default: a }}\nacme: 1\n");
        assert!(cellgate_config::from_yaml(&text, "a.yaml").unwrap_err().to_string().contains("acme"));
        assert_eq!(errors_of(&text), "a.yaml:4:29: placement is not valid; a.yaml:5:1: not valid");
        assert!(!errors_of("acme: [\n").contains("acme"));
    }

    #[test]
    fn the_rest_is_counted() {
        let text = "version: 1\nrouting_header: 1\ncells: 1\nkey: 1\nplacement: 1\n";
        assert!(errors_of(text).ends_with("; and 2 more"), "{}", errors_of(text));
    }
}
