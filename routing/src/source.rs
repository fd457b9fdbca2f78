//! Sources: the places in a request where the routing key may be.
//!
//! A source is a [`Place`] and a [`ValueRule`]: how the value at the place becomes a key. A place in the head is read at
//! once ([`Source::find`]). The body sources of one [`Format`] share one scanner, which reads the body once (see
//! [`crate::body`]).

mod encoding;
mod head;
mod host;
mod template;

pub(crate) use encoding::{Plus, decode, decode_valid, hex};
pub use host::{BadHostTemplate, HostTemplate};
pub use template::{BadTemplate, EscapedSlashes, Template};

use crate::document::Pointer;
use crate::format::Format;
use crate::head::Head;
use crate::key::Duplicates;
use crate::protobuf::FieldPath;
use crate::reason::Reason;
use crate::value::{KeyRule, ValueRule};
use crate::xml::ElementPath;

/// A place where the key may be, and how its value becomes the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The place.
    pub place: Place,
    /// The rule for the value.
    pub rule: ValueRule,
}

/// A place in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A value in a JSON body, by an RFC 6901 pointer.
    Json(Pointer),
    /// A value in each record of an NDJSON body.
    Ndjson(Pointer),
    /// A field of an `application/x-www-form-urlencoded` body.
    Form(Box<str>),
    /// A field of a `multipart/form-data` body.
    Multipart(Box<str>),
    /// A field of a protobuf message.
    Protobuf(FieldPath),
    /// An element or attribute of an XML body.
    Xml(ElementPath),
    /// A value in a MessagePack body.
    Msgpack(Pointer),
    /// A value in a CBOR body.
    Cbor(Pointer),
    /// A request header (lower case).
    Header(Box<str>),
    /// A query parameter, percent-decoded.
    Query(Box<str>),
    /// A path segment, by a template such as `/orgs/{key}`.
    Path(Template),
    /// A cookie (RFC 6265). Its value is not decoded.
    Cookie(Box<str>),
    /// A label of the host, by a template such as `{key}.example.com`.
    Host(HostTemplate),
    /// A claim of a verified JWT.
    Claim(Pointer),
}

/// A key, or the reason why a value cannot be one.
pub type Found = Result<String, Reason>;

impl Place {
    /// The body format, if the place is in the body.
    #[must_use]
    pub fn format(&self) -> Option<Format> {
        match self {
            Place::Json(_) => Some(Format::Json),
            Place::Ndjson(_) => Some(Format::Ndjson),
            Place::Form(_) => Some(Format::Form),
            Place::Multipart(_) => Some(Format::Multipart),
            Place::Protobuf(_) => Some(Format::Protobuf),
            Place::Xml(_) => Some(Format::Xml),
            Place::Msgpack(_) => Some(Format::Msgpack),
            Place::Cbor(_) => Some(Format::Cbor),
            Place::Header(_)
            | Place::Query(_)
            | Place::Path(_)
            | Place::Cookie(_)
            | Place::Host(_)
            | Place::Claim(_) => None,
        }
    }
}

impl Source {
    /// The body format, if the source is in the body.
    #[must_use]
    pub fn format(&self) -> Option<Format> {
        self.place.format()
    }

    /// The value of a head source. `None` if the head has none, or if the source is in the body.
    #[must_use]
    pub(crate) fn find<H: Head + ?Sized>(&self, head: &H, duplicates: Duplicates, rule: &KeyRule) -> Option<Found> {
        let found = match &self.place {
            Place::Host(template) => host::host(head, template),
            Place::Claim(_) => None,
            Place::Header(name) => head::header(head, name, duplicates, rule),
            Place::Query(name) => head::query(head, name, duplicates),
            Place::Path(template) => head::path(head, template),
            Place::Cookie(name) => head::cookie(head, name, duplicates, rule),
            Place::Json(_)
            | Place::Ndjson(_)
            | Place::Form(_)
            | Place::Multipart(_)
            | Place::Protobuf(_)
            | Place::Xml(_)
            | Place::Msgpack(_)
            | Place::Cbor(_) => None,
        }?;
        match found {
            Ok(value) => rule.read(&value).map(|key| key.map(Into::into)),
            Err(reason) => Some(Err(reason)),
        }
    }
}

impl From<Place> for Source {
    fn from(place: Place) -> Self {
        Self { place, rule: ValueRule::default() }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.place, self.rule)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Json(pointer) => write!(f, "json {pointer}"),
            Place::Ndjson(pointer) => write!(f, "ndjson {pointer}"),
            Place::Form(name) => write!(f, "form {name}"),
            Place::Multipart(name) => write!(f, "multipart {name}"),
            Place::Protobuf(path) => write!(f, "protobuf {path}"),
            Place::Xml(path) => write!(f, "xml {path}"),
            Place::Msgpack(pointer) => write!(f, "msgpack {pointer}"),
            Place::Cbor(pointer) => write!(f, "cbor {pointer}"),
            Place::Header(name) => write!(f, "header {name}"),
            Place::Query(name) => write!(f, "query {name}"),
            Place::Path(template) => {
                write!(f, "path {template}")?;
                match template.escaped_slashes() {
                    EscapedSlashes::Reject => Ok(()),
                    EscapedSlashes::Keep => f.write_str(", escaped_slashes keep"),
                }
            }
            Place::Cookie(name) => write!(f, "cookie {name}"),
            Place::Host(template) => write!(f, "host {template}"),
            Place::Claim(pointer) => write!(f, "claim {pointer}"),
        }
    }
}
