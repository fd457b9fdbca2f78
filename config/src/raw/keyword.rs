//! Fields whose value is one of a few names.

use cellgate_routing::{Case, Duplicates};

/// The rule for a source that holds more than one value.
#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case", expecting = "`reject`, `first` or `last`")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Duplicates"))]
pub(in super::super) enum RawDuplicates {
    /// The reason is `key_duplicated`, even if the values are equal.
    #[default]
    Reject,
    /// The first value is the key.
    First,
    /// The last value is the key, as in most JSON parsers.
    Last,
}

/// The case of a key.
#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case", expecting = "`exact` or `lower`")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "Case"))]
pub(in super::super) enum RawCase {
    /// The case of the request.
    #[default]
    Exact,
    /// The ASCII letters of the key become lower case, so that `Acme` and `acme` are one key.
    Lower,
}

impl From<RawDuplicates> for Duplicates {
    fn from(raw: RawDuplicates) -> Self {
        match raw {
            RawDuplicates::Reject => Self::Reject,
            RawDuplicates::First => Self::First,
            RawDuplicates::Last => Self::Last,
        }
    }
}

impl From<RawCase> for Case {
    fn from(raw: RawCase) -> Self {
        match raw {
            RawCase::Exact => Self::Exact,
            RawCase::Lower => Self::Lower,
        }
    }
}
