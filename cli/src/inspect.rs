//! `cellgate inspect`: shows what running services say about themselves on their admin port, and where they differ.

mod differences;
mod fetch;
mod report;

pub(crate) use differences::differences;
pub(crate) use fetch::{InspectError, Inspected, fetch};
pub(crate) use report::{json, text};
