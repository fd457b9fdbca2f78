//! Protocol Buffers by field numbers, without descriptors: alone, or in the messages of gRPC and gRPC-Web.
//!
//! Without descriptors a string cannot be told from a message. So only the fields on a [`FieldPath`] are entered, and all
//! others are skipped by their wire type. Decoders agree on this much:
//!
//! - A message that stands twice is merged. So the fields of both count together, and a field on the path that stands twice
//!   is a duplicate. A repeated field (`*`) is none: its occurrences must agree.
//! - A field with a wire type that its type never has is unknown to protobuf-go, C++ and Java, and an error to prost. It
//!   makes the source `key_malformed`. Numbers of a repeated field may be packed.
//! - Field number 0, the wire types 6 and 7, an overlong varint, a length beyond its parent and a group without its end
//!   are errors to some decoders at least, and so to this one, on the path and elsewhere.
//!
//! The messages of a call must agree too. The first one that holds a value decides as soon as the value has arrived.

mod base64;
mod field_path;
mod frame;
#[cfg(feature = "gzip")]
mod inflate;
mod message;
mod query;
mod scanner;
mod skip;
#[cfg(test)]
mod tests;
mod values;
mod varint;
mod wire;

pub use field_path::{BadFieldPath, FieldClash, FieldPath};
pub use query::MessageQuery;
pub use scanner::ProtobufScanner;
