//! A part of a value: `Bearer sk_{key}_*`, `*@{key}`.

use std::fmt;
use std::str::FromStr;

use crate::reason::Reason;

/// A template for a value. `{key}` captures the key, `*` stands for any text, and other text matches itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueTemplate {
    text: Box<str>,
}

/// The text is not a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadValueTemplate {
    /// It does not have exactly one `{key}`.
    #[error("expected exactly one `{{key}}`, such as `*@{{key}}`")]
    NotOneKey,
}

impl FromStr for ValueTemplate {
    type Err = BadValueTemplate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.matches("{key}").count() != 1 {
            return Err(BadValueTemplate::NotOneKey);
        }
        Ok(Self { text: text.into() })
    }
}

impl ValueTemplate {
    /// The part of the value at `{key}`. `None` if the value does not match.
    pub(crate) fn capture<'a>(&self, value: &'a [u8]) -> Option<Result<&'a [u8], Reason>> {
        let (before, after) = self.text.split_once("{key}")?;
        value.strip_prefix(before.as_bytes())?.strip_suffix(after.as_bytes()).map(Ok)
    }
}

impl fmt::Display for ValueTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
