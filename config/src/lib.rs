//! The reader of Cellgate's configuration, which is the same for both tiers.
//!
//! The text becomes a tree with positions (`tree`), the tree becomes structs of the schema (`raw`), and these become a
//! [`Config`] in which every rule between the parts holds (`build`). Each step notes its problems and goes on, so that an
//! error names all of them, each with file, line, column and field ([`ConfigError`]).
//!
//! The reader is pure, like the core: no I/O, no clock, no threads. No text causes a panic. It is a crate of its own because
//! the filter's module has it compiled for size: it runs once for each worker, and never while a request waits.
#![forbid(unsafe_code)]

mod bounds;
mod build;
mod bytes;
mod error;
mod fault;
mod fingerprint;
mod header_name;
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

pub use bytes::{BadBytes, parse_bytes};
pub use error::{ConfigError, Problem};
#[cfg(feature = "schema")]
pub use schema::schema;

use bounds::MAX_TEXT;
use cellgate_routing::Config;
use fault::Fault;
use report::Report;
use tree::{Findings, TreeNode};

/// Reads a JSON configuration. Errors show `file` as its name.
///
/// # Errors
/// All its problems, of which the error lists the first. If the text is not JSON, only where that begins.
pub fn from_json(text: &str, file: &str) -> Result<Config, ConfigError> {
    let text = without_byte_order_mark(text);
    let mut root = parse(text, file, tree::parse_json)?;
    read(&mut root, text, file)
}

/// Reads a YAML configuration. Errors show `file` as its name.
///
/// # Errors
/// As for [`from_json`].
#[cfg(feature = "yaml")]
pub fn from_yaml(text: &str, file: &str) -> Result<Config, ConfigError> {
    let text = without_byte_order_mark(text);
    let mut root = parse(text, file, tree::parse_yaml)?;
    read(&mut root, text, file)
}

/// Reads a JSON configuration if the file's name ends in `.json`, and a YAML configuration otherwise.
///
/// # Errors
/// As for [`from_json`].
#[cfg(feature = "yaml")]
pub fn from_file_name(text: &str, file: &str) -> Result<Config, ConfigError> {
    if is_json(file) { from_json(text, file) } else { from_yaml(text, file) }
}

/// Checks a configuration and returns it as compact JSON, the form that the filter reads.
///
/// # Errors
/// As for [`from_json`].
#[cfg(feature = "yaml")]
pub fn to_json(text: &str, file: &str) -> Result<String, ConfigError> {
    with_json(text, file).map(|(_, json)| json)
}

/// As [`to_json`], and returns the configuration too.
///
/// # Errors
/// As for [`from_json`].
#[cfg(feature = "yaml")]
pub fn with_json(text: &str, file: &str) -> Result<(Config, String), ConfigError> {
    let text = without_byte_order_mark(text);
    let mut root = parse(text, file, if is_json(file) { tree::parse_json } else { tree::parse_yaml })?;
    let config = read(&mut root, text, file)?;
    let json = serde_json::to_string(&root);
    let json = json.map_err(|error| ConfigError::from_fault(Fault::at(0, error.to_string()), text, file))?;
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

fn parse<'t>(
    text: &'t str,
    file: &str,
    parser: fn(&'t str) -> Result<TreeNode<'t>, Fault>,
) -> Result<TreeNode<'t>, ConfigError> {
    let root = if text.len() > MAX_TEXT {
        Err(Fault::at(0, "the configuration is longer than 256MiB".into()))
    } else {
        parser(text)
    };
    root.map_err(|fault| ConfigError::from_fault(fault, text, file))
}

/// Reads a tree. Each step goes on after a problem, and a later step does not report what only follows from one.
fn read(root: &mut TreeNode<'_>, text: &str, file: &str) -> Result<Config, ConfigError> {
    let mut findings = Findings::default();
    tree::refuse_duplicates(root, &mut findings.problems);
    let root = &*root;
    let raw: Option<raw::RawConfig<'_>> = tree::read(root, &mut findings);
    let Some(raw) = raw else { return Err(findings.problems.into_error(text, file)) };
    let mut report = Report::new(root, findings);
    let config = build::build(&raw, fingerprint::of_rate_limits(root), &mut report);
    report.into_problems().finish(config, text, file)
}
