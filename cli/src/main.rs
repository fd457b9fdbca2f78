//! The `cellgate` command: reads the command line, runs a command and returns its exit code.
//!
//! [`cli`] has the options and the commands. `serve` runs the service of `cellgate_ext_proc`. [`inspect`] shows running
//! services, [`limits`] shows and resets their rate limits, `log-level` changes the log level of one, [`limits_import`]
//! translates limits, `decide` decides one request offline, [`explain`] tells what happened to one request from access logs,
//! [`neighbours`] compares a release with a cluster before an installation, [`doctor`] examines a gateway,
//! and [`probe`] sends requests through one.
#![forbid(unsafe_code)]

mod cli;
mod doctor;
mod explain;
mod http_client;
mod inspect;
mod limits;
mod limits_import;
mod neighbours;
mod probe;
mod shown_text;
mod warnings;

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Runtime;

use cli::{Cli, Command, Exit, Failure};

fn main() -> ExitCode {
    let done = match Cli::try_parse() {
        Ok(cli) => run(cli.command),
        // clap returns help and version as errors that go to stdout.
        Err(message) => {
            let exit = if message.use_stderr() { Exit::Usage } else { Exit::Ok };
            message.print().map(|()| exit).map_err(cli::no_output)
        }
    };
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit.into()
        }
    }
}

fn run(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Serve(args) => {
            // Requests have threads of their own. This runtime has everything else.
            let runtime = runtime()?;
            let exit = runtime.block_on(cli::serve(*args));
            // Tasks that outlive the drain must not keep the process running.
            runtime.shutdown_background();
            exit
        }
        Command::Check { files } => cli::check(&files),
        Command::Decide(args) => cli::decide(args),
        Command::Neighbours(args) => runtime()?.block_on(cli::neighbours(args)),
        Command::Schema => cli::schema(),
        Command::Render { file } => cli::render(&file),
        Command::Explain(args) => cli::explain(&args),
        Command::Inspect(args) => runtime()?.block_on(cli::inspect(args)),
        Command::Limits(args) => runtime()?.block_on(cli::limits(args)),
        Command::LogLevel(args) => runtime()?.block_on(cli::log_level(args)),
        Command::Doctor(args) => runtime()?.block_on(cli::doctor(args)),
        Command::Probe(args) => runtime()?.block_on(cli::probe(args)),
    }
}

fn runtime() -> Result<Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::new(Exit::Internal, format!("cannot start the runtime: {error}")))
}
