//! The commands that run once: data on stdout, errors on stderr.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use cellgate_routing::headers::is_reserved;
use cellgate_routing::source::Source as KeySource;
use cellgate_routing::{Config, Outcome, config};

use super::{DecideArgs, DoctorArgs, Exit, Failure, Output, ProbeArgs};
use crate::decide::{self, Parts, Request};
use crate::doctor::{self, FetchError, Level, Source};
use crate::probe;
use cellgate_ext_proc::config_file::{self, LoadError};

/// `cellgate check FILE…`: a line for each good file, and all errors of the others.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn check(files: &[PathBuf]) -> Result<Exit, Failure> {
    let mut exit = Exit::Ok;
    for file in files {
        match config_file::load(file) {
            Ok(config) => {
                let file = config_file::name(file);
                warn_of_underscores(file, &config);
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

/// A key in a header that Envoy may refuse or drop before any filter sees it.
fn warn_of_underscores(file: &Path, config: &Config) {
    for (index, source) in config.sources.iter().enumerate() {
        if let KeySource::Header(name) = source
            && name.contains('_')
        {
            eprintln!(
                "{}: warning: key[{index}].header: \"{name}\" has an underscore: where Envoy has \
                 `headers_with_underscores_action: REJECT_REQUEST` it answers 400 to requests with this header; use hyphens, or \
                 let Envoy allow underscores",
                file.display()
            );
        }
    }
}

/// `cellgate schema`.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn schema() -> Result<Exit, Failure> {
    print(&format!("{:#}\n", config::schema()))?;
    Ok(Exit::Ok)
}

/// `cellgate render FILE`.
///
/// # Errors
/// The file cannot be read, or is not a valid configuration.
pub(crate) fn render(file: &Path) -> Result<Exit, Failure> {
    print(&format!("{}\n", rendered(file)?))?;
    Ok(Exit::Ok)
}

/// `cellgate decide`.
///
/// # Errors
/// The configuration or the request cannot be read.
pub(crate) fn decide(args: DecideArgs) -> Result<Exit, Failure> {
    let of_stdin = [Some(&args.config), args.request.as_ref(), args.body.as_ref()];
    if of_stdin.into_iter().flatten().filter(|path| config_file::is_stdin(path)).count() > 1 {
        return Err(Failure::new(Exit::Usage, "`-` is stdin, which can be read once: give a file for the others"));
    }
    let config = config_file::load(&args.config).map_err(|error| {
        let exit = match error {
            LoadError::Read { .. } => Exit::NoInput,
            LoadError::NotText { .. } | LoadError::Shadow { .. } | LoadError::Invalid(_) => Exit::BadConfig,
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

/// `cellgate doctor`.
///
/// # Errors
/// There is no dump to examine.
pub(crate) async fn doctor(args: DoctorArgs) -> Result<Exit, Failure> {
    let source = match (args.admin, args.istiod.zip(args.proxy), args.config_dump) {
        (Some(server), _, _) => Source::Admin(server),
        (None, Some((server, proxy)), _) => Source::Istiod { server, proxy, token: args.token },
        (None, None, Some(file)) => Source::File(file),
        (None, None, None) => return Err(Failure::new(Exit::Usage, "give one of --admin, --istiod and --config-dump")),
    };
    let fetched = doctor::fetch(&source).await.map_err(|error| {
        let exit = match error {
            FetchError::File { .. } => Exit::NoInput,
            FetchError::Unavailable { .. } => Exit::Unavailable,
            FetchError::Unreadable { .. } => Exit::BadInput,
        };
        Failure::new(exit, error)
    })?;
    let findings = doctor::examine(&fetched.dump, fetched.stats.as_ref());
    match args.output {
        Output::Text => print(&doctor::text(&fetched.subject, &findings))?,
        Output::Json => print(&format!("{:#}\n", doctor::json(&fetched.subject, &findings)))?,
    }
    Ok(if findings.iter().any(|finding| finding.level == Level::Error) { Exit::No } else { Exit::Ok })
}

/// `cellgate probe`: a line for each check, as soon as it is done.
///
/// # Errors
/// The configuration cannot be read, or a given key is not placed where it should be.
pub(crate) async fn probe(args: ProbeArgs) -> Result<Exit, Failure> {
    let text = rendered(&args.config)?;
    let bad = |error: &dyn std::fmt::Display| Failure::new(Exit::BadConfig, error);
    let json = serde_json::from_str(&text).map_err(|error| bad(&error))?;
    let config = Config::from_json(&text, &args.config.to_string_lossy()).map_err(|error| bad(&error))?;
    if config.shadow {
        let why = format!("{}: shadow: such a filter changes nothing, so nothing can be probed", args.config.display());
        return Err(Failure::new(Exit::BadConfig, why));
    }
    let mut names = args.header.iter().filter_map(|header| header.split(':').next()).map(str::trim);
    if let Some(name) = names.find(|name| is_reserved(name.as_bytes(), &config.routing_header)) {
        let why = format!("--header {name}: the filter removes this header from every request; use another name");
        return Err(Failure::new(Exit::Usage, why));
    }
    if !config.scope.lists(args.host.as_bytes()) {
        let why = format!(
            "--host {}: outside `applies_to.hosts` in {}: the filter decides nothing for this host; add it there, or name one \
             that is there and has routes that answer with the cell's name",
            args.host,
            args.config.display(),
        );
        return Err(Failure::new(Exit::Usage, why));
    }
    let keys = args.key.into_iter().collect();
    let plan = probe::plan(config, &json, &args.header, &keys).map_err(|error| Failure::new(Exit::Usage, error))?;
    let settings =
        probe::Settings { server: args.url, host: args.host, deadline: args.deadline, deferral: !args.no_deferral };
    let mut exit = Exit::Ok;
    let mut printed = Ok(());
    probe::run(&plan, &settings, |outcome| {
        if matches!(outcome, probe::Outcome::Failed(_)) {
            exit = Exit::No;
        }
        if printed.is_ok() {
            printed = print(&format!("{}\n", outcome.line()));
        }
    })
    .await;
    printed?;
    Ok(exit)
}

/// A checked configuration as compact JSON.
fn rendered(file: &Path) -> Result<String, Failure> {
    let bytes = read(file)?;
    let file = config_file::name(file);
    let text = config_file::decode(&bytes, file).map_err(|error| Failure::new(Exit::BadConfig, error))?;
    config::to_json(text, &file.to_string_lossy()).map_err(|error| Failure::new(Exit::BadConfig, error))
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let read = if config_file::is_stdin(path) {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    read.map_err(|error| Failure::new(Exit::NoInput, format!("{}: {error}", config_file::name(path).display())))
}

pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::new(Exit::NoOutput, format!("stdout: {error}")))
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
