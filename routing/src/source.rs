//! Sources: the places in a request where the routing key may be.
//!
//! A head source is read at once ([`Source::find`]). The body sources of one [`Format`] share one scanner, which reads the
//! body once (see [`crate::body`]).

mod encoding;
mod head;
mod template;

pub(crate) use encoding::{Plus, decode};
pub use template::{BadTemplate, Template};

use crate::head::Head;
use crate::json::Pointer;
use crate::key::Duplicates;
use crate::reason::Reason;

/// A place where the key may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A value in a JSON body, by an RFC 6901 pointer.
    Json(Pointer),
    /// A field of an `application/x-www-form-urlencoded` body.
    Form(Box<str>),
    /// A request header (lower case).
    Header(Box<str>),
    /// A query parameter, percent-decoded.
    Query(Box<str>),
    /// A path segment, by a template such as `/orgs/{key}`.
    Path(Template),
    /// A cookie (RFC 6265). Its value is not decoded.
    Cookie(Box<str>),
}

/// A body format that Cellgate reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 8259.
    Json,
    /// The WHATWG URL standard's `application/x-www-form-urlencoded`.
    Form,
}

/// A key, or the reason why a value cannot be one.
pub type Found = Result<String, Reason>;

impl Source {
    /// The body format, if the source is in the body.
    #[must_use]
    pub fn format(&self) -> Option<Format> {
        match self {
            Source::Json(_) => Some(Format::Json),
            Source::Form(_) => Some(Format::Form),
            _ => None,
        }
    }

    /// The value of a head source. `None` if the head has none, or if the source is in the body.
    #[must_use]
    pub fn find<H: Head + ?Sized>(&self, head: &H, duplicates: Duplicates, key_bytes: usize) -> Option<Found> {
        let found = match self {
            Source::Json(_) | Source::Form(_) => None,
            Source::Header(name) => head::header(head, name, duplicates),
            Source::Query(name) => head::query(head, name, duplicates),
            Source::Path(template) => head::path(head, template),
            Source::Cookie(name) => head::cookie(head, name, duplicates),
        }?;
        Some(found.and_then(|value| crate::key::check(&value, key_bytes).map(str::to_owned)))
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Json(pointer) => write!(f, "json {pointer}"),
            Source::Form(name) => write!(f, "form {name}"),
            Source::Header(name) => write!(f, "header {name}"),
            Source::Query(name) => write!(f, "query {name}"),
            Source::Path(template) => write!(f, "path {template}"),
            Source::Cookie(name) => write!(f, "cookie {name}"),
        }
    }
}
