//! `cellgate explain`: reads access logs, and tells what happened to one request.

use std::fs::File;
use std::io::{self, BufReader, IsTerminal};
use std::path::{Path, PathBuf};

use cellgate_ext_proc::config_file;
use clap::Args;

use super::commands::print;
use super::{Exit, Failure, Output, values};
use crate::explain::{LogScan, json, text};

/// The size of the reads of a log.
const READ_BYTES: usize = 128 * 1024;

/// Options of `cellgate explain`.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The `x-request-id` of the request, as a log line, a trace or `cellgate inspect` has it
    #[arg(value_name = "REQUEST-ID", value_parser = values::request_id)]
    pub(crate) id: String,
    /// Access logs of proxies in Cellgate's format; `-`, the default, reads stdin, such as the output of `kubectl logs`
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The format of the report
    #[arg(long, default_value = "text", value_enum)]
    pub(crate) output: Output,
}

/// `cellgate explain`.
///
/// # Errors
/// A log cannot be read, or none has an entry in Cellgate's format.
pub(crate) fn explain(args: &ExplainArgs) -> Result<Exit, Failure> {
    let mut scan = LogScan::new(&args.id);
    let stdin = [PathBuf::from("-")];
    let files = if args.files.is_empty() { &stdin } else { args.files.as_slice() };
    for file in files {
        read(&mut scan, file)?;
    }
    if scan.is_empty() {
        let why = "the log is empty: look whether `kubectl logs` names the pods and the container of the proxy (`--container \
                   istio-proxy`), and whether its `--since` and `--tail` reach back to the request";
        return Err(Failure::new(Exit::BadInput, why));
    }
    if scan.has_no_entries_at_all() {
        let why = "the log has no entry in Cellgate's format (a JSON line with \"log_format\":\"cellgate/1\"): set this format for \
                   the proxy as docs/explain.md says, or give the log of a proxy that has it";
        return Err(Failure::new(Exit::BadInput, why));
    }
    if args.output == Output::Json {
        print(&json(&scan))?;
    } else if scan.is_found() {
        print(&text(&scan))?;
    }
    if scan.is_found() {
        return Ok(Exit::Ok);
    }
    eprintln!("{}", scan.not_found());
    Ok(Exit::Found)
}

fn read(scan: &mut LogScan, file: &Path) -> Result<(), Failure> {
    let read = if config_file::is_stdin(file) {
        if io::stdin().is_terminal() {
            let why = "no FILE is given, and stdin is a terminal: name the proxy's access log, or pipe `kubectl logs` into this \
                       command";
            return Err(Failure::new(Exit::Usage, why));
        }
        scan.read(BufReader::with_capacity(READ_BYTES, io::stdin().lock()))
    } else {
        File::open(file).and_then(|log| scan.read(BufReader::with_capacity(READ_BYTES, log)))
    };
    read.map_err(|error| Failure::new(Exit::NoInput, format!("{}: {error}", config_file::name(file).display())))
}
