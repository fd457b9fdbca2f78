//! The requests that are decided.

use super::super::path::Step;
use super::super::raw::{RawExcept, RawScope};
use super::super::report::Report;
use super::super::text::quote;
use super::parse_list;
use cellgate_routing::BadHost;
use cellgate_routing::is_token;
use cellgate_routing::{Except, Scope, is_normalised};

/// Builds the scope at a path.
pub(super) fn scope(raw: &RawScope<'_>, path: &[Step<'_>], report: &mut Report<'_>) -> Scope {
    let field = |name| [path, &[Step::Field(name)]].concat();
    let hosts = parse_list(&raw.hosts, &field("hosts"), report, &|host| {
        host.parse().map_err(|error| match error {
            BadHost::Every => error.to_string(),
            BadHost::Name => format!("{error}, found {}", quote(host)),
        })
    });
    let methods = parse_list(&raw.methods, &field("methods"), report, &method);
    let paths = parse_list(&raw.paths, &field("paths"), report, &|path| {
        if path.starts_with('/') && !path.contains(['?', '#']) {
            Ok(Box::from(path))
        } else {
            Err(format!(
                "expected a path prefix that starts with `/` and has no query or fragment, found {}",
                quote(path)
            ))
        }
    });
    let except = raw.except.given().map(|raw| except(raw, &field("except"), report)).unwrap_or_default();
    Scope { hosts, methods, paths, except }
}

fn except(raw: &RawExcept<'_>, path: &[Step<'_>], report: &mut Report<'_>) -> Except {
    let field = |name| [path, &[Step::Field(name)]].concat();
    let methods = parse_list(&raw.methods, &field("methods"), report, &method);
    let paths = parse_list(&raw.paths, &field("paths"), report, &|path| {
        if path.starts_with('/') && !path.contains(['?', '#']) && is_normalised(path.as_bytes()) && path != "/" {
            Ok(Box::from(path))
        } else {
            Err(format!(
                "expected a normalized path such as `/healthz`, or a prefix that ends in `/`, such as `/static/` (but not `/` \
                 itself), found {}",
                quote(path)
            ))
        }
    });
    Except { methods, paths }
}

/// A method in the case that HTTP compares.
pub(super) fn method(text: &str) -> Result<Box<str>, String> {
    const KNOWN: [&str; 10] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"];
    if !is_token(text.as_bytes()) {
        Err(format!("expected a method such as `POST`, found {}", quote(text)))
    } else if let Some(known) = KNOWN.iter().find(|known| **known != text && known.eq_ignore_ascii_case(text)) {
        Err(format!("methods are case-sensitive: write `{known}`"))
    } else {
        Ok(Box::from(text))
    }
}
