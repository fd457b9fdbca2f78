//! XML bodies (XML 1.0 with namespaces), SOAP among them: an incremental scanner that finds elements and attributes.
//!
//! The scanner accepts the documents that a strict parser accepts, with these exceptions, which no message of a service
//! needs: document type declarations and the entities that they declare, encodings other than UTF-8, XML 1.1, and documents
//! beyond the limits of [`lexer`], [`attributes`] and [`namespaces`]. It validates everything, also what no path can reach.
//!
//! - [`scanner`] decodes UTF-8 and knows the places of errors.
//! - [`lexer`] is the grammar; [`mod@reference`], [`declaration`] and [`characters`] are parts of it.
//! - [`elements`] has what the tags mean: [`names`], [`attributes`], [`namespaces`].
//! - [`search`] follows the paths of the sources ([`element_path`]) and stores what they lead to ([`text`]).

mod attributes;
mod characters;
mod declaration;
mod element_path;
mod elements;
mod lexer;
mod names;
mod namespaces;
mod query;
mod reference;
mod scanner;
mod search;
mod syntax_fault;
mod text;

#[cfg(test)]
mod tests;

pub use element_path::{BadElementPath, ElementPath};
pub use query::ElementQuery;
pub use scanner::XmlScanner;
