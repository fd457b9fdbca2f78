//! YAML 1.2 to tree: one document, no anchors or aliases, no merge keys, no tags beyond the core schema's.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::options::NonFiniteFloatPolicy;
use serde_saphyr::{DuplicateKeyPolicy, Error, MergeKeyPolicy, Spanned};

use super::super::bounds::MAX_DEPTH;
use super::super::fault::Fault;
use super::super::text::{Position, float};
use super::twins::{NameOffsets, restore_twins};
use super::{MapEntry, TreeNode, Value, too_deep};

const SECOND_DOCUMENT: &str = "expected one document, found a second one";

/// Parses one YAML document. Names that occur twice in a map are in the tree twice.
pub(in super::super) fn parse(text: &str) -> Result<TreeNode<'static>, Fault> {
    match parse_with(text, DuplicateKeyPolicy::Error) {
        Err(Error::DuplicateMappingKey { .. }) => parse_with_duplicates(text),
        result => result,
    }
    .map_err(|error| syntax_error(&error))
}

/// Parses a document with names that occur twice, which the parser either refuses at the first or does not show.
fn parse_with_duplicates(text: &str) -> Result<TreeNode<'static>, Error> {
    let mut root = parse_with(text, DuplicateKeyPolicy::LastWins)?;
    let first = NameOffsets::of(&parse_with(text, DuplicateKeyPolicy::FirstWins)?);
    restore_twins(&mut root, &first);
    Ok(root)
}

fn parse_with(text: &str, duplicate_keys: DuplicateKeyPolicy) -> Result<TreeNode<'static>, Error> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            // Without aliases a configuration cannot expand into more than its text.
            max_anchors: 0,
            max_aliases: 0,
            max_depth: MAX_DEPTH,
            // One level more, so that the limit above is found first, with its message.
            flow_nesting_limit: MAX_DEPTH + 1,
            max_documents: 1,
            // Large tables are legitimate. The length of the text bounds these.
            max_events: usize::MAX,
            max_nodes: usize::MAX,
            max_total_scalar_bytes: usize::MAX,
        },
        duplicate_keys: duplicate_keys,
        merge_keys: MergeKeyPolicy::Error,
        // In the tree, so that the message has a path. No field accepts them.
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        reject_unsupported_tags: true,
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options::<Spanned<Untyped>>(text, options).map(Untyped::into_node)
}

fn syntax_error(error: &Error) -> Fault {
    let location = error.location().unwrap_or(serde_saphyr::Location::UNKNOWN);
    let position = Position::Line(usize_of(location.line()), usize_of(location.column()));
    let message = match error {
        Error::MultipleDocuments { .. } => SECOND_DOCUMENT.into(),
        Error::Budget { breach: BudgetBreach::Documents { .. }, .. } => SECOND_DOCUMENT.into(),
        Error::Budget { breach: BudgetBreach::Anchors { .. } | BudgetBreach::Aliases { .. }, .. } => {
            "anchors and aliases are not supported: write the value in each place".into()
        }
        Error::MergeKeyNotAllowed { .. } => "merge keys are not supported: write the fields into this map".into(),
        Error::NullIntoString { .. } => "expected a name, found nothing (null) (write it in quotes)".into(),
        // Only names are read as strings.
        Error::Unexpected { expected: "string scalar", .. } => "expected a name, found a list or a map".into(),
        Error::TaggedScalarCannotDeserializeIntoString { .. } => "expected a name without a tag".into(),
        Error::InvalidScalar { .. } | Error::InvalidBooleanStrict { .. } | Error::InvalidBinaryBase64 { .. } => {
            "the value does not match its tag".into()
        }
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => too_deep(),
        other => format!("invalid YAML: {}", one_line(&other.to_string())),
    };
    Fault { position, message }
}

/// The parser's message without the position, which the error shows already.
fn one_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    line.rfind(" at line ").and_then(|end| line.get(..end)).unwrap_or(line).to_owned()
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A value without its own position. Its children have theirs.
struct Untyped(Value<'static>);

impl Untyped {
    fn into_node(spanned: Spanned<Self>) -> TreeNode<'static> {
        TreeNode { at: offset(&spanned), value: spanned.value.0 }
    }
}

fn offset<T>(spanned: &Spanned<T>) -> usize {
    spanned.referenced.span().byte_offset().map_or(0, usize_of)
}

struct UntypedVisitor;

impl<'de> Visitor<'de> for UntypedVisitor {
    type Value = Untyped;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Untyped, E> {
        Ok(Untyped(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Untyped, E> {
        Ok(Untyped(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Untyped, E> {
        Ok(Untyped(Value::Bool(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Untyped, E> {
        Ok(Untyped(Value::Unsigned(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Untyped, E> {
        Ok(Untyped(u64::try_from(value).map_or(Value::Negative(value), Value::Unsigned)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Untyped, E> {
        Ok(Untyped(Value::Float(float(value).into())))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Untyped, E> {
        Ok(Untyped(Value::Text(value.to_owned().into())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Untyped, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(Untyped::into_node(item));
        }
        Ok(Untyped(Value::List(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Untyped, A::Error> {
        let mut entries = Vec::new();
        while let Some(name) = map.next_key::<Spanned<Box<str>>>()? {
            let node = Untyped::into_node(map.next_value()?);
            entries.push(MapEntry { at: offset(&name), name: name.value.into_string().into(), node });
        }
        Ok(Untyped(Value::Map(entries)))
    }
}

impl<'de> Deserialize<'de> for Untyped {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UntypedVisitor)
    }
}
