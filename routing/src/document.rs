//! Documents made of objects, arrays and scalars: JSON, NDJSON, MessagePack and CBOR.
//!
//! A [`Pointer`] (RFC 6901) leads to a value. [`DocumentQuery`] has all pointers of a format, compiled into a tree.
//! A `QueryPath` follows them through one document while its scanner reads it, and stores what they lead to.

mod loose_name;
mod path;
mod pointer;
mod query;
mod text;
mod values;

pub(crate) use path::QueryPath;
pub use pointer::{BadPointer, Pointer, PointerToken};
pub(crate) use query::MAX_DEPTH;
pub use query::{AcceptedFaults, DocumentQuery, QueryOptions};

/// The kind of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    /// An array (MessagePack, CBOR: array).
    Array,
    /// An object (MessagePack, CBOR: map).
    Object,
}
