//! The path to a field: field numbers, such as `1.3.2`.

use std::fmt;
use std::str::FromStr;

/// A path of field numbers, from the message inwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath {
    text: Box<str>,
}

/// The text is not a path of field numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected field numbers from 1 to 536870911 with dots between them, such as `1.3.2`")]
pub struct BadFieldPath;

impl FromStr for FieldPath {
    type Err = BadFieldPath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() { Err(BadFieldPath) } else { Ok(Self { text: text.into() }) }
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
