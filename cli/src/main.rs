//! The `cellgate` command: reads the command line, runs a command and returns its exit code.
//!
//! [`cli`] has the options and the commands. `serve` runs the service of `cellgate_ext_proc`. [`decide`] decides one
//! request offline, [`neighbours`] compares a release with a cluster before an installation, [`doctor`] examines a gateway,
//! and [`probe`] sends requests through one.
#![forbid(unsafe_code)]

mod cli;
mod decide;
mod doctor;
mod http_client;
mod neighbours;
mod probe;
mod units;

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use tokio::runtime::Runtime;

use cli::{Cli, Command, Exit, Failure};

fn main() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command,
        Err(error) => {
            // Help and version are no errors to clap, and go to stdout.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            return if error.print().is_ok() { exit.into() } else { Exit::NoOutput.into() };
        }
    };
    match run(command) {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("{error:#}");
            error.downcast_ref::<Failure>().map_or(Exit::Internal, |failure| failure.exit).into()
        }
    }
}

fn run(command: Command) -> anyhow::Result<Exit> {
    Ok(match command {
        Command::Serve(args) => {
            // For what is beside the requests: those have threads of their own.
            let runtime = runtime()?;
            let exit = runtime.block_on(cli::serve(args));
            // What outlasted the drain must not hold the process.
            runtime.shutdown_background();
            exit?
        }
        Command::Check { files } => cli::check(&files)?,
        Command::Decide(args) => cli::decide(args)?,
        Command::Neighbours(args) => runtime()?.block_on(cli::neighbours(args))?,
        Command::Schema => cli::schema()?,
        Command::Render { file } => cli::render(&file)?,
        Command::Doctor(args) => runtime()?.block_on(cli::doctor(args))?,
        Command::Probe(args) => runtime()?.block_on(cli::probe(args))?,
    })
}

fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")
}
