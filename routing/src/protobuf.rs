//! Protocol Buffers without descriptors, alone or in gRPC messages.

mod field_path;

pub use field_path::{BadFieldPath, FieldPath};
