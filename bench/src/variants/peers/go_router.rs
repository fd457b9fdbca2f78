//! The ext-proc service of `bench/go-router`, which `make bench` builds where Go is installed: a body router as they
//! are usually written, with `BUFFERED` and `encoding/json` into maps.
//!
//! What it gets wrong: of a key that is written twice it takes the last, whatever the cell behind it takes; a request
//! without a body keeps the cell that its client named; and a body above Envoy's buffer limit is answered 413 before the
//! service can say anything.

use std::process::Command;

use cellgate_tests::artifacts;

use crate::cases::TENANTS;

/// The program with its arguments, or `None` where it was not built.
pub(crate) fn command() -> Option<Command> {
    let program = artifacts::checkout().join("target/bench/go-router");
    program.is_file().then(|| {
        let mut command = Command::new(program);
        command.args(TENANTS.iter().map(|(tenant, cell)| format!("{tenant}={cell}")));
        command
    })
}
