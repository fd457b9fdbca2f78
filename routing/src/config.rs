//! The configuration: one schema for both tiers.
//!
//! The text becomes a tree with positions (`tree`), the tree becomes structs of the schema (`raw`), and these become a
//! [`Config`] in which every rule between the parts holds (`build`). Each step notes its problems and goes on, so that an
//! error names all of them, each with file, line, column and field ([`ConfigError`]).

mod bounds;
mod build;
mod error;
mod fault;
mod number;
mod path;
mod problems;
mod raw;
mod report;
#[cfg(feature = "schema")]
mod schema;
mod suggest;
mod text;
mod tree;

pub use error::{ConfigError, Problem};
#[cfg(feature = "schema")]
pub use schema::schema;

use std::cell::RefCell;
use std::time::Duration;

use crate::decided_by::DecidedBy;
use crate::encoding::ContentCodings;
use crate::format::Format;
use crate::key::Duplicates;
use crate::media::{ContentTypes, MediaType};
use crate::placement::Placement;
use crate::policy::Policy;
use crate::scope::Scope;
use crate::sorted::sorted;
use crate::source::Source;
use bounds::MAX_TEXT;
use fault::Fault;
use report::Report;
use tree::{Findings, TreeNode};

/// A valid configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The operator's label for logs and reports, or empty.
    pub version: Box<str>,
    /// The header that carries the cell, in lower case.
    pub routing_header: Box<str>,
    /// The cells, by [`crate::CellId`].
    pub cells: Vec<Box<str>>,
    /// The requests that are decided.
    pub scope: Scope,
    /// The media types of each body format.
    pub content_types: ContentTypes,
    /// The content codings that are decoded.
    pub content_encodings: ContentCodings,
    /// The sources of the key. The first one that yields a value wins.
    pub sources: Vec<Source>,
    /// The place of verified claims.
    pub claims: ClaimsPlace,
    /// The rule for a source with more than one value.
    pub duplicates: Duplicates,
    /// The cell of each key.
    pub placement: Placement,
    /// The action for each reason.
    pub policy: Policy,
    /// The peers whose decisions are accepted, if any.
    pub decided_by: Option<DecidedBy>,
    /// Whether decisions are only counted and logged.
    pub shadow: bool,
    /// The limits.
    pub limits: Limits,
}

/// The place of verified claims in the dynamic metadata of Envoy's jwt_authn filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimsPlace {
    /// The `payload_in_metadata` of jwt_authn's providers.
    pub metadata_key: Box<str>,
}

/// Limits on bodies and keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest body that the filter holds, in bytes. At most Envoy's buffer limit, which the filter cannot read.
    pub inspect_bytes: u64,
    /// The most body bytes of one request that the service buffers to find the key.
    pub stream_bytes: u64,
    /// The longest key, in bytes.
    pub key_bytes: usize,
    /// The deepest nesting of a body.
    pub depth: usize,
    /// The most bytes that an encoded body decodes to.
    pub decoded_bytes: u64,
    /// The most bytes that an encoded body decodes to, for each of its bytes.
    pub decoded_ratio: u64,
    /// The longest time that one body is decoded and scanned.
    pub decode_time: Duration,
}

impl Config {
    /// Reads a JSON configuration. Errors show `file` as its name.
    ///
    /// # Errors
    /// All its problems, of which the error lists the first. If the text is not JSON, only where that begins.
    pub fn from_json(text: &str, file: &str) -> Result<Self, ConfigError> {
        let text = without_byte_order_mark(text);
        let mut root = parse(text, file, tree::parse_json)?;
        read(&mut root, text, file)
    }

    /// Reads a YAML configuration. Errors show `file` as its name.
    ///
    /// # Errors
    /// As for [`Config::from_json`].
    #[cfg(feature = "yaml")]
    pub fn from_yaml(text: &str, file: &str) -> Result<Self, ConfigError> {
        let text = without_byte_order_mark(text);
        let mut root = parse(text, file, tree::parse_yaml)?;
        read(&mut root, text, file)
    }

    /// Reads a JSON configuration if the file's name ends in `.json`, and a YAML configuration otherwise.
    ///
    /// # Errors
    /// As for [`Config::from_json`].
    #[cfg(feature = "yaml")]
    pub fn from_file_name(text: &str, file: &str) -> Result<Self, ConfigError> {
        if is_json(file) { Self::from_json(text, file) } else { Self::from_yaml(text, file) }
    }

    /// A cell's name.
    #[must_use]
    pub fn cell_name(&self, cell: crate::CellId) -> &str {
        self.cells.get(usize::from(cell.0)).map_or("", |name| name)
    }

    /// The media types that a source reads, in the order of the formats.
    pub fn readable_types(&self) -> impl Iterator<Item = &str> {
        let is_read = |format: &Format| self.sources.iter().any(|source| source.format() == Some(*format));
        let types = Format::ALL.into_iter().filter(is_read).flat_map(|format| self.content_types.of(format));
        types.filter_map(MediaType::name)
    }

    /// The cell with a name, such as the value of a routing header.
    #[must_use]
    pub fn cell_named(&self, name: &[u8]) -> Option<crate::CellId> {
        let index = self.cells.iter().position(|cell| cell.as_bytes() == name)?;
        u16::try_from(index).ok().map(crate::CellId)
    }
}

/// Checks a configuration and returns it as compact JSON, the form that the filter reads.
///
/// # Errors
/// As for [`Config::from_json`].
#[cfg(feature = "yaml")]
pub fn to_json(text: &str, file: &str) -> Result<String, ConfigError> {
    with_json(text, file).map(|(_, json)| json)
}

/// As [`to_json`], and returns the configuration too.
///
/// # Errors
/// As for [`Config::from_json`].
#[cfg(feature = "yaml")]
pub fn with_json(text: &str, file: &str) -> Result<(Config, String), ConfigError> {
    let text = without_byte_order_mark(text);
    let mut root = parse(text, file, if is_json(file) { tree::parse_json } else { tree::parse_yaml })?;
    let config = read(&mut root, text, file)?;
    let json = serde_json::to_string(&root);
    let json = json.map_err(|error| ConfigError::from_fault(Fault::new(error.to_string()), text, file))?;
    Ok((config, json))
}

#[cfg(feature = "yaml")]
fn is_json(file: &str) -> bool {
    std::path::Path::new(file).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

/// The text without a byte order mark, which editors do not show. Positions do not count it.
fn without_byte_order_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn parse(text: &str, file: &str, parser: fn(&str) -> Result<TreeNode, Fault>) -> Result<TreeNode, ConfigError> {
    let root =
        if text.len() > MAX_TEXT { Err(Fault::new("the configuration is longer than 256MiB")) } else { parser(text) };
    root.map_err(|fault| ConfigError::from_fault(fault, text, file))
}

/// Reads a tree. Each step goes on after a problem, and a later step does not report what only follows from one.
fn read(root: &mut TreeNode, text: &str, file: &str) -> Result<Config, ConfigError> {
    let mut findings = Findings::default();
    tree::refuse_duplicates(root, &mut findings.problems);
    let findings = RefCell::new(findings);
    let raw: Option<raw::RawConfig> = tree::read(root, &findings);
    let Findings { problems, unknown } = findings.into_inner();
    let incomplete = tree::take_out(root, &sorted(unknown));
    let Some(raw) = raw else { return Err(problems.into_error(text, file)) };
    let mut report = Report::new(root, problems, incomplete);
    let config = build::build(&raw, &mut report);
    report.into_problems().finish(config, text, file)
}
