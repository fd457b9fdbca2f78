//! JSON bodies (RFC 8259): an incremental scanner that looks for RFC 6901 pointers.
//!
//! The scanner reads every byte once and believes none of them: the language it accepts is that of a strict parser of
//! the whole document, so that no upstream can read another document than the router did. What is off the pointers'
//! paths is validated and forgotten.
//!
//! - [`scanner`]: the grammar between tokens, and nothing else.
//! - [`string`], [`number`], [`literal`]: one token each, resumable at every byte.
//! - [`fast`]: the fast way through what no pointer can reach.
//! - [`query`]: the pointers, compiled; [`path`]: where in the document the scanner is, in their terms.

mod fast;
mod literal;
mod number;
mod path;
mod pointer;
mod query;
mod scanner;
mod stack;
mod state;
mod string;
mod text;

pub use pointer::{BadPointer, Pointer};
pub use query::JsonQuery;
pub use scanner::JsonScanner;
