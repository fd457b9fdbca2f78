//! The `cellgate` binary as a process. One command per file.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may fail")]

mod check;
mod decide;
mod decide_decoding;
mod doctor;
mod documented;
mod explain;
mod inspect;
mod limits;
mod log_level;
mod messages;
mod probe;
mod render;
mod serve;
mod slow_log;
mod support;
