//! The commands that run once: data on stdout, errors on stderr.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use cellgate_routing::{Outcome, config};

use super::{DecideArgs, Exit, Failure, Output};
use crate::config_file::{self, LoadError};
use crate::decide::{self, Parts, Request};

/// `cellgate check FILE…`: a line for each good file, and all errors of the others.
///
/// # Errors
/// Standard output is closed.
pub fn check(files: &[PathBuf]) -> Result<Exit, Failure> {
    let mut exit = Exit::Ok;
    for file in files {
        match config_file::load(file) {
            Ok(config) => {
                let (cells, sources) = (config.cells.len(), config.sources.len());
                print(&format!("{}: ok ({}, {})\n", file.display(), count(cells, "cell"), count(sources, "source")))?;
            }
            Err(error) => {
                exit = Exit::No;
                eprintln!("{error}");
            }
        }
    }
    Ok(exit)
}

/// `cellgate schema`.
///
/// # Errors
/// Standard output is closed.
pub fn schema() -> Result<Exit, Failure> {
    print(&format!("{:#}\n", config::schema()))?;
    Ok(Exit::Ok)
}

/// `cellgate render FILE`.
///
/// # Errors
/// The file cannot be read, or is not a valid configuration.
pub fn render(file: &Path) -> Result<Exit, Failure> {
    let bytes = read(file)?;
    let text = config_file::decode(&bytes, file).map_err(|error| Failure::new(Exit::BadConfig, error))?;
    let json = config::to_json(text, &file.to_string_lossy()).map_err(|error| Failure::new(Exit::BadConfig, error))?;
    print(&format!("{json}\n"))?;
    Ok(Exit::Ok)
}

/// `cellgate decide`.
///
/// # Errors
/// The configuration or the request cannot be read.
pub fn decide(args: DecideArgs) -> Result<Exit, Failure> {
    let config = config_file::load(&args.config).map_err(|error| {
        let exit = match error {
            LoadError::Read { .. } => Exit::NoInput,
            LoadError::NotText { .. } | LoadError::Invalid(_) => Exit::BadConfig,
        };
        Failure::new(exit, error)
    })?;
    let request = match &args.request {
        Some(file) => Request::from_message(&read(file)?)
            .map_err(|error| Failure::new(Exit::BadInput, format!("{}: {error}", file.display())))?,
        None => {
            let body = args.body.as_deref().map(read).transpose()?;
            let DecideArgs { method, path, header: headers, chunked, .. } = args;
            Request::from_parts(Parts { method, path, headers, body, chunked })
                .map_err(|error| Failure::new(Exit::BadInput, error))?
        }
    };
    let first_chunk = usize::try_from(args.first_chunk).unwrap_or(usize::MAX);
    let report = decide::run(&config, &request, args.peer.as_deref(), first_chunk);
    match args.output {
        Output::Text => print(&decide::text(&report))?,
        Output::Json => print(&format!("{:#}\n", decide::json(&report)))?,
    }
    Ok(match report.last().end().outcome {
        Outcome::Cell(_) | Outcome::Pass => Exit::Ok,
        Outcome::Reject(_) | Outcome::Defer => Exit::No,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let read = if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    read.map_err(|error| Failure::new(Exit::NoInput, format!("{}: {error}", path.display())))
}

fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::new(Exit::NoOutput, format!("stdout: {error}")))
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
