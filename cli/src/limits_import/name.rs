//! Names for limits: legal, and each only once.

use std::collections::BTreeSet;

/// The longest name, in bytes.
const MAX_NAME: usize = 64;

/// The names in use.
#[derive(Debug, Default)]
pub(super) struct LimitNames(BTreeSet<String>);

impl LimitNames {
    /// A name like this text that no limit has yet.
    pub(super) fn unique(&mut self, text: &str) -> String {
        let base = legal(text);
        let mut name = base.clone();
        let mut number = 1;
        while !self.0.insert(name.clone()) {
            number += 1;
            let ending = format!("-{number}");
            name = base.chars().take(MAX_NAME - ending.len()).collect::<String>() + &ending;
        }
        name
    }
}

/// The text with `-` for each run of characters that a name cannot have.
fn legal(text: &str) -> String {
    let mut name = String::new();
    for character in text.chars().map(|character| character.to_ascii_lowercase()) {
        let is_legal = character.is_ascii_lowercase() || character.is_ascii_digit() || character == '_';
        if is_legal {
            name.push(character);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    name.truncate(MAX_NAME);
    let name = name.trim_end_matches('-');
    if name.is_empty() { "limit".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_legal_and_unique() {
        let mut names = LimitNames::default();
        let long = "x".repeat(100);
        for (text, expected) in [
            ("Per User", "per-user".to_owned()),
            ("per-user", "per-user-2".to_owned()),
            ("*/*", "limit".to_owned()),
            ("ключ", "limit-2".to_owned()),
            (&*long, "x".repeat(64)),
            (&*long, format!("{}-2", "x".repeat(62))),
        ] {
            assert_eq!(names.unique(text), expected);
        }
    }
}
