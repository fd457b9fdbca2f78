//! A panic is logged like every other event.
//!
//! The standard hook prints the message of a panic, and that may have a part of a request: of a string that is cut between two
//! characters, it has the string. So only a message that stands in the code is logged.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;

/// Logs panics of all threads from now on.
pub fn log_panics() {
    std::panic::set_hook(Box::new(log));
}

fn log(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let cause =
        panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("not shown, because it may have values");
    // Only with RUST_BACKTRACE. It has names of functions and files.
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(
        event = "panicked",
        location,
        cause,
        thread = std::thread::current().name(),
        backtrace,
        "panicked at {location}: please report it"
    );
}
