//! The service over real connections, and the `cellgate` binary as a process. One behaviour per file.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may fail")]

mod admin;
mod buffered;
mod check;
mod deadline;
mod decide;
mod doctor;
mod documented;
mod drain;
mod duplex;
mod health;
mod hostile;
mod overload;
mod peer;
mod probe;
mod raw;
mod refused;
mod reload;
mod render;
mod resets;
mod serve;
mod silence;
mod stalled;
mod support;
