//! Host templates: `{key}.example.com`.

use std::fmt;
use std::str::FromStr;

/// A template for the host of a request. `{key}` captures a label or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostTemplate {
    text: Box<str>,
}

/// The text is not a host template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a host with one `{{key}}`, such as `{{key}}.example.com`")]
pub struct BadHostTemplate;

impl FromStr for HostTemplate {
    type Err = BadHostTemplate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.matches("{key}").count() == 1 { Ok(Self { text: text.into() }) } else { Err(BadHostTemplate) }
    }
}

impl fmt::Display for HostTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
