//! The error of the deserializer, and the messages of serde's own errors.

use std::fmt;

use serde::de::{Error, Expected, Unexpected};

use super::super::super::suggest::nearest;
use super::super::super::text::{float, quote};

/// There is no value, because the configuration has a problem here or below.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// Nobody has noted the problem yet.
    #[error("{0}")]
    New(String),
    /// The problem is noted, or follows from one that is.
    #[error("the value is refused")]
    Noted,
}

impl Error for Refusal {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::New(message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match unexpected {
            Unexpected::Bool(value) => value.to_string(),
            Unexpected::Unsigned(value) => value.to_string(),
            Unexpected::Signed(value) => value.to_string(),
            Unexpected::Float(value) => float(value),
            Unexpected::Str(text) => quote(text),
            Unexpected::Seq => "a list".into(),
            Unexpected::Map => "a map".into(),
            _ => "something else".into(),
        };
        Self::New(format!("expected {expected}, found {found}"))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(unexpected, expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::New(unknown("value", variant, nearest(variant, expected.iter().copied()), expected))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::New(format!("the required field `{field}` is missing"))
    }
}

/// The message for a name that is none of the expected ones.
pub(super) fn unknown(kind: &str, found: &str, nearest: Option<&str>, expected: &[&str]) -> String {
    match nearest {
        Some(near) => format!("unknown {kind} {}; did you mean `{near}`?", quote(found)),
        None => {
            let expected: Vec<_> = expected.iter().filter(|name| !name.starts_with('$')).copied().collect();
            format!("unknown {kind} {}, expected one of `{}`", quote(found), expected.join("`, `"))
        }
    }
}
