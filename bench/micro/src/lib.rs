//! Cellgate's scan of a body beside the scans of others: the same code natively and in a proxy-wasm VM, so that both
//! compare the same things.
//!
//! A [`bout`] times every contender on one document once, in slices that take turns, so that what disturbs the machine
//! disturbs neighbours alike. Callers repeat bouts and compare figures within each.
#![forbid(unsafe_code)]

mod contender;
mod histogram;
mod timing;

pub use cellgate_bench_documents as documents;
pub use contender::{Contender, Cut, contenders};
pub use histogram::Histogram;
pub use timing::{Figure, bout};
