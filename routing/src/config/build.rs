//! The rules between the parts of a configuration.
//!
//! Every check notes its problem and goes on, so that one run reports them all; the [`Config`] that comes out is used
//! only if there were none.

mod decided_by;
mod headers;
mod placement;
mod policy;
mod sources;

use super::error::{Report, Step, quote};
use super::raw::{RawConfig, RawContentTypes, RawExcept, RawLimits, RawScope};
use super::suggest::hint;
use super::{Config, Limits};
use crate::answer::CellId;
use crate::host::BadHost;
use crate::media::{ContentTypes, MediaType, is_token};
use crate::placement::{MAX_CELL_NAME, MAX_CELLS};
use crate::scope::{Except, Scope, is_normalised};
use crate::source::Format;

#[cfg(feature = "schema")]
pub(super) use decided_by::MAX_SPIFFE_ID;

/// The word that means `placement.default` in a policy.
const DEFAULT: &str = "default";

/// The most items of a list that is gone through for each request.
pub(super) const MAX_ITEMS: usize = 64;

/// The form's media type where the configuration names none.
const FORM: &str = "application/x-www-form-urlencoded";

/// The longest `version`, in characters.
const MAX_VERSION: usize = 128;

/// Checks everything that one field's type cannot.
pub(super) fn build(raw: &RawConfig, report: &mut Report<'_>) -> Config {
    if raw.version.chars().count() > MAX_VERSION || raw.version.chars().any(char::is_control) {
        report.problem(&[Step::Of("version")], || {
            format!("expected at most {MAX_VERSION} characters, none of them a control character")
        });
    }
    let cells = Cells::new(&raw.cells, report);
    let limits = limits(&raw.limits, report);
    let routing_header = headers::routing_header(&raw.routing_header, report);
    let sources = sources::sources(&raw.key, &routing_header, report);
    let policy = policy::policy(&raw.policy, &cells, raw.placement.default.as_deref(), report);
    let placement = placement::placement(&raw.placement, &cells, limits.key_bytes, policy.hashes(), report);
    Config {
        version: raw.version.clone(),
        routing_header,
        cells: raw.cells.clone(),
        scope: scope(&raw.applies_to, report),
        content_types: content_types(&raw.content_types, report),
        sources,
        duplicates: raw.duplicates,
        placement,
        policy,
        shadow: raw.shadow,
        decided_by: raw.decided_by.as_ref().map(|raw| decided_by::decided_by(raw, &cells, report)),
        limits,
    }
}

/// The cells by name.
struct Cells<'a> {
    names: &'a [Box<str>],
    /// Names and their places in the list, by name.
    by_name: Vec<(&'a str, usize)>,
}

impl<'a> Cells<'a> {
    fn new(names: &'a [Box<str>], report: &mut Report<'_>) -> Self {
        if names.is_empty() || names.len() > MAX_CELLS {
            report.problem(&[Step::Of("cells")], || {
                format!("expected from 1 to {MAX_CELLS} cells, found {}", names.len())
            });
        }
        let mut by_name: Vec<_> = names.iter().enumerate().map(|(index, name)| (&**name, index)).collect();
        by_name.sort_unstable();
        for (index, name) in names.iter().enumerate() {
            let path = [Step::Of("cells"), Step::Item(index)];
            let legal = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
            if !legal || name.is_empty() || name.len() > MAX_CELL_NAME {
                report.problem(&path, || {
                    format!(
                        "expected a name of 1 to {MAX_CELL_NAME} letters, digits, `.`, `_` and `-`, found {}",
                        quote(name)
                    )
                });
            } else if &**name == DEFAULT {
                report
                    .problem(&path, || "`default` is no cell's name: in a policy it means `placement.default`".into());
            }
        }
        for pair in by_name.windows(2) {
            if let [(first, _), (second, index)] = pair
                && first == second
            {
                let path = [Step::Of("cells"), Step::Item(*index)];
                report.problem(&path, || format!("{} is in the list already", quote(second)));
            }
        }
        Self { names, by_name }
    }

    /// The cell of a name, or a problem at the path.
    fn find(&self, name: &str, path: &[Step<'_>], report: &mut Report<'_>) -> Option<CellId> {
        let cell = self.get(name);
        // That there is no cell at all is a problem of its own.
        if cell.is_none() && !self.names.is_empty() {
            report.problem(path, || format!("{} is not one of the cells {}", quote(name), self.list(name)));
        }
        cell
    }

    /// The cell of a name.
    fn get(&self, name: &str) -> Option<CellId> {
        let index = self.by_name.partition_point(|(other, _)| *other < name);
        let (_, index) = self.by_name.get(index).filter(|(found, _)| *found == name)?;
        u16::try_from(*index).ok().map(CellId)
    }

    /// The names for an error message, with the nearest one picked out.
    fn list(&self, wanted: &str) -> String {
        const SHOWN: usize = 8;
        let shown: Vec<_> = self.names.iter().take(SHOWN).map(|name| &**name).collect();
        let more = if self.names.len() > SHOWN { ", …" } else { "" };
        let candidates = self.names.iter().take(MAX_CELLS).map(|name| &**name);
        format!("[{}{more}]{}", shown.join(", "), hint(wanted, candidates))
    }
}

fn limits(raw: &RawLimits, report: &mut Report<'_>) -> Limits {
    let (inspect_bytes, stream_bytes) = (raw.inspect_bytes.0, raw.stream_bytes.0);
    if stream_bytes < inspect_bytes {
        report.problem(&[Step::Of("limits"), Step::Of("stream_bytes")], || {
            format!(
                "expected at least limits.inspect_bytes ({inspect_bytes} bytes), found {stream_bytes}: the service \
                 takes what is too large for the filter"
            )
        });
    }
    // Both are at most 4,096.
    let small = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    Limits { inspect_bytes, stream_bytes, key_bytes: small(raw.key_bytes.0), depth: small(raw.depth.0) }
}

fn scope(raw: &RawScope, report: &mut Report<'_>) -> Scope {
    let hosts = list(raw.hosts.as_deref(), &["applies_to", "hosts"], report, |host| {
        host.parse().map_err(|error| match error {
            BadHost::Every => error.to_string(),
            BadHost::Name => format!("{error}, found {}", quote(host)),
        })
    });
    let methods = list(raw.methods.as_deref(), &["applies_to", "methods"], report, method);
    let paths = list(raw.paths.as_deref(), &["applies_to", "paths"], report, |path| {
        if path.starts_with('/') && !path.contains(['?', '#']) {
            Ok(Box::from(path))
        } else {
            Err(format!("expected the beginning of a path, with a leading `/` and no query, found {}", quote(path)))
        }
    });
    let except = except(raw.except.as_ref(), report);
    Scope {
        hosts: hosts.unwrap_or_default(),
        methods: methods.unwrap_or_default(),
        paths: paths.unwrap_or_default(),
        except,
    }
}

fn except(raw: Option<&RawExcept>, report: &mut Report<'_>) -> Except {
    let Some(raw) = raw else { return Except::default() };
    let methods = list(raw.methods.as_deref(), &["applies_to", "except", "methods"], report, method);
    let paths = list(raw.paths.as_deref(), &["applies_to", "except", "paths"], report, |path| {
        if path.starts_with('/') && !path.contains(['?', '#']) && is_normalised(path.as_bytes()) && path != "/" {
            Ok(Box::from(path))
        } else {
            Err(format!(
                "expected a path such as `/healthz`, or the beginning of one with a `/` at the end, such as \
                 `/static/`, as Envoy normalises it, and not all of them; found {}",
                quote(path)
            ))
        }
    });
    Except { methods: methods.unwrap_or_default(), paths: paths.unwrap_or_default() }
}

/// A method as HTTP compares it.
fn method(text: &str) -> Result<Box<str>, String> {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    if !is_token(text.as_bytes()) {
        Err(format!("expected a method such as `POST`, found {}", quote(text)))
    } else if let Some(known) = KNOWN.iter().find(|known| **known != text && known.eq_ignore_ascii_case(text)) {
        Err(format!("methods are compared exactly: write `{known}`"))
    } else {
        Ok(Box::from(text))
    }
}

fn content_types(raw: &RawContentTypes, report: &mut Report<'_>) -> ContentTypes {
    let parse = |text: &str| text.parse::<MediaType>().map_err(|error| format!("{error}, found {}", quote(text)));
    let defaults = ContentTypes::default();
    let json = list(raw.json.as_deref(), &["content_types", "json"], report, parse).unwrap_or(defaults.json);
    let form = list(raw.form.as_deref(), &["content_types", "form"], report, parse).unwrap_or(defaults.form);
    let form_texts = raw.form.as_deref().map_or(vec![FORM], |texts| texts.iter().map(|text| &**text).collect());
    let types = ContentTypes { json, form };
    if let Some(index) = form_texts.iter().take(MAX_ITEMS).position(|text| is_json(text, &types)) {
        let path = [Step::Of("content_types"), Step::Of("form"), Step::Item(index)];
        report.problem(&path, || "this media type is read as JSON already".into());
    }
    types
}

/// Whether everything of a media type is JSON, which is asked first: as a form type it would never count.
fn is_json(text: &str, types: &ContentTypes) -> bool {
    // A `*` as such is a name like any other that no literal has, so it stands for all of them.
    types.format_of(&[("content-type", text)][..]) == Ok(Format::Json)
}

/// Checks each item of a list that, where it is given, must not be empty.
fn list<T>(
    items: Option<&[Box<str>]>,
    place: &[&str],
    report: &mut Report<'_>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Option<Vec<T>> {
    let path: Vec<Step<'_>> = place.iter().copied().map(Step::Of).collect();
    let items = items?;
    if items.is_empty() {
        report.problem(&path, || "expected at least one item (leave the field out for its default)".into());
    } else if items.len() > MAX_ITEMS {
        report.problem(&path, || format!("expected at most {MAX_ITEMS} items, found {}", items.len()));
    }
    let mut parsed = Vec::with_capacity(items.len().min(MAX_ITEMS));
    for (index, item) in items.iter().enumerate().take(MAX_ITEMS) {
        match parse(item) {
            Ok(item) => parsed.push(item),
            Err(message) => report.problem(&[&path[..], &[Step::Item(index)]].concat(), || message),
        }
    }
    Some(parsed)
}
