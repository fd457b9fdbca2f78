//! The limits of a configuration: its size, its lists and its names.
//!
//! [`super::raw`] puts them into the JSON Schema, [`super::build`] enforces them.

/// The longest configuration, in bytes. It bounds the memory that parsing takes.
pub(super) const MAX_TEXT: usize = 256 << 20;

/// The deepest nesting of a configuration. The schema needs six levels.
pub(super) const MAX_DEPTH: usize = 16;

/// The longest `version`, in characters.
pub(super) const MAX_VERSION: usize = 128;

/// The longest name of the service's cluster in Envoy, in bytes. The filter hands it to Envoy in a message whose lengths
/// must be single bytes.
pub(super) const MAX_CLUSTER: usize = 115;

/// The most items of a list that every request is compared with.
pub(super) const MAX_ITEMS: usize = 64;

/// The most sources.
pub(super) const MAX_SOURCES: usize = 32;

/// The longest name of a field, parameter or cookie, and the longest pointer or template, in bytes.
pub(super) const MAX_SOURCE_NAME: usize = 256;

/// The longest path of XML elements, in bytes. Each step may have a namespace.
pub(super) const MAX_ELEMENT_PATH: usize = 1024;

/// The longest SPIFFE ID, in bytes (SPIFFE-ID, 2.3).
pub(super) const MAX_SPIFFE_ID: usize = 2048;

/// The longest trust domain, in bytes (SPIFFE-ID, 2.1).
pub(super) const MAX_TRUST_DOMAIN: usize = 255;

/// The longest domain, key and value of a descriptor, in bytes.
pub(super) const MAX_DESCRIPTOR_TEXT: usize = 1024;
