//! JSON bodies (RFC 8259) and NDJSON bodies: incremental scanners that find the values of RFC 6901 pointers.
//!
//! The scanner accepts exactly the documents that a strict parser of the whole document accepts, so that no upstream can
//! read another document than the decider did. It validates everything, also what no pointer can reach, and keeps only
//! names and keys.
//!
//! It has three parts, and each can be read alone:
//!
//! - The reference: [`scanner`] is the grammar between tokens; [`string`], [`number`] and [`literal`] read one token each
//!   and can be interrupted at every byte; [`stack`] has the open containers. [`crate::document`]
//!   follows the pointers and stores what they lead to.
//! - [`ndjson`] reads one document after another.
//! - The [`fast`] path: one call that skips bytes whose meaning is certain. It changes the speed and never the result.

mod cursor;
mod fast;
mod literal;
mod ndjson;
mod number;
mod scanner;
mod stack;
mod state;
mod string;

pub use ndjson::NdjsonScanner;
pub use scanner::JsonScanner;
