//! XML 1.0 bodies with namespaces, SOAP among them.

mod element_path;

pub use element_path::{BadElementPath, ElementPath};
