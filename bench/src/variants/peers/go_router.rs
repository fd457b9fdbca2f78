//! The ext-proc service of `bench/go-router`, a common design: `BUFFERED`, and `encoding/json` into maps. `make bench`
//! builds it if Go is installed.
//!
//! Its faults:
//! - It takes the last of two keys, even if the cell takes the first.
//! - A request without a body keeps the routing header of its client.
//! - Envoy answers a body above its buffer limit with a 413 before it asks the service.

use std::process::Command;

use cellgate_tests::artifacts;

use crate::cases::TENANTS;

/// The program with its arguments; `None` if it was not built.
pub(crate) fn command() -> Option<Command> {
    let program = artifacts::checkout().join("target/bench/go-router");
    program.is_file().then(|| {
        let mut command = Command::new(program);
        command.args(TENANTS.iter().map(|(tenant, cell)| format!("{tenant}={cell}")));
        command
    })
}
