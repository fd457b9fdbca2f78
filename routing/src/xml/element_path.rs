//! The path to an element's text or to an attribute.

use std::fmt;
use std::str::FromStr;

/// A path of elements from the root inwards, and an attribute at its end if `@` says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElementPath {
    text: Box<str>,
}

/// The text is not a path of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a path of elements such as `/order/tenant` or `/order/@tenant`")]
pub struct BadElementPath;

impl FromStr for ElementPath {
    type Err = BadElementPath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('/') { Ok(Self { text: text.into() }) } else { Err(BadElementPath) }
    }
}

impl fmt::Display for ElementPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
