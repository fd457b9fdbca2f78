//! A plan or a limit that comes from the request, as written. Only a claim may hold one.

use super::super::{RawField, RawSource};
use crate::tree::{FromNode, NodeReader};

/// The claim that names a plan. It is read as a source of any place, so that another place can be refused with the reason.
#[derive(Debug)]
pub(crate) struct RawClaim<'a>(pub(crate) RawSource<'a>);

/// The claim that holds a limit.
#[derive(Debug)]
pub(crate) struct RawCarriedLimit<'a> {
    /// As in [`RawClaim`].
    pub(crate) source: RawSource<'a>,
    /// The highest rate and burst.
    pub(crate) at_most: RawField<&'a str>,
}

impl<'a> FromNode<'a> for RawClaim<'a> {
    fn from_node(node: NodeReader<'_, 'a>) -> Option<Self> {
        RawSource::read_with(node, "a claim such as `claim: /plan`", &[], &mut |_, _| {}).map(Self)
    }
}

impl<'a> FromNode<'a> for RawCarriedLimit<'a> {
    fn from_node(node: NodeReader<'_, 'a>) -> Option<Self> {
        let mut at_most = RawField::Absent;
        let expected = "a claim and its bound, such as `{ claim: /limit, at_most: 100/s }`";
        let source = RawSource::read_with(node, expected, &["at_most"], &mut |_, value| {
            at_most = RawField::read(value);
        })?;
        Some(Self { source, at_most })
    }
}

#[cfg(feature = "schema")]
mod schema {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator};

    use super::{RawCarriedLimit, RawClaim};
    use crate::bounds::MAX_SOURCE_NAME;
    use crate::raw::RawCase;
    use crate::raw::source::RawNested;

    /// A claim of the JWT that Envoy has verified.
    #[derive(JsonSchema)]
    #[schemars(rename = "ClaimSource", deny_unknown_fields)]
    #[expect(dead_code, reason = "the fields are documentation")]
    struct ClaimSchema {
        /// A pointer such as `/plan`.
        #[schemars(regex(pattern = "^/"), length(max = MAX_SOURCE_NAME))]
        claim: Box<str>,
        /// The place in the document that the claim holds.
        then: Option<RawNested<'static>>,
        /// The part of the claim that counts: a template such as `plan:{key}`. The whole claim by default.
        #[schemars(regex(pattern = crate::raw::source::PART), length(max = MAX_SOURCE_NAME))]
        value: Option<Box<str>>,
        /// The case of the value: as in the claim, or ASCII letters in lower case.
        #[schemars(extend("default" = "exact"))]
        case: Option<RawCase>,
    }

    /// A claim of the JWT that Envoy has verified, which holds a limit such as `100/min`.
    #[derive(JsonSchema)]
    #[schemars(rename = "CarriedLimit", deny_unknown_fields)]
    #[expect(dead_code, reason = "the fields are documentation")]
    struct CarriedLimitSchema {
        /// A pointer such as `/limit`.
        #[schemars(regex(pattern = "^/"), length(max = MAX_SOURCE_NAME))]
        claim: Box<str>,
        /// The highest rate and burst. A limit in a claim is lowered to them.
        #[schemars(schema_with = "crate::raw::rate_limit::schema::limit")]
        at_most: Box<str>,
        /// The place in the document that the claim holds.
        then: Option<RawNested<'static>>,
        /// The part of the claim that counts: a template. The whole claim by default.
        #[schemars(regex(pattern = crate::raw::source::PART), length(max = MAX_SOURCE_NAME))]
        value: Option<Box<str>>,
        /// The case of the value: as in the claim, or ASCII letters in lower case.
        #[schemars(extend("default" = "exact"))]
        case: Option<RawCase>,
    }

    impl JsonSchema for RawClaim<'_> {
        fn schema_name() -> Cow<'static, str> {
            ClaimSchema::schema_name()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            ClaimSchema::json_schema(generator)
        }
    }

    impl JsonSchema for RawCarriedLimit<'_> {
        fn schema_name() -> Cow<'static, str> {
            CarriedLimitSchema::schema_name()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            CarriedLimitSchema::json_schema(generator)
        }
    }
}
