//! The commands that run once. Data goes to stdout, errors go to stderr.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use cellgate_ext_proc::config_file::{self, LoadError, LoadedConfig};
use cellgate_ext_proc::decide::{self, BadCurl, CurlCommand, Deciders, Parts, Request};
use cellgate_ext_proc::fields::Attributes;
use cellgate_routing::headers::is_reserved;
use cellgate_routing::{Config, Outcome};

use super::{DecideArgs, DoctorArgs, Exit, Failure, Output, ProbeArgs};
use crate::doctor::{self, FetchError, Level, Source};
use crate::limits_import;
use crate::probe;
use crate::warnings::warnings;

/// `cellgate check FILE…`: prints a line with the digest for each valid file, and all errors of the others.
///
/// # Errors
/// Stdout cannot be written.
pub(crate) fn check(files: &[PathBuf]) -> Result<Exit, Failure> {
    let mut exit = Exit::Ok;
    for file in files {
        match config_file::load(file) {
            Ok(LoadedConfig { config, digest }) => {
                let file = config_file::name(file);
                for warning in warnings(&config) {
                    eprintln!("{}: warning: {warning}", file.display());
                }
                let (cells, sources) = (config.cells.len(), config.sources.len());
                let (cells, sources) = (count(cells, "cell"), count(sources, "source"));
                let limits = names_of_limits(&config);
                print(&format!("{}: ok ({cells}, {sources}{limits}), {digest}\n", file.display()))?;
            }
            Err(error) => {
                exit = Exit::Found;
                eprintln!("{error}");
            }
        }
    }
    Ok(exit)
}

/// `cellgate schema`.
///
/// # Errors
/// Stdout cannot be written.
pub(crate) fn schema() -> Result<Exit, Failure> {
    print(&format!("{:#}\n", cellgate_config::schema()))?;
    Ok(Exit::Ok)
}

/// `cellgate render FILE`.
///
/// # Errors
/// The file cannot be read, or is not a valid configuration.
pub(crate) fn render(file: &Path) -> Result<Exit, Failure> {
    print(&format!("{}\n", with_json(file)?.1))?;
    Ok(Exit::Ok)
}

/// `cellgate limits import FILE`.
///
/// # Errors
/// The file cannot be read, or envoyproxy/ratelimit would refuse it too.
pub(crate) fn import_limits(file: &Path) -> Result<Exit, Failure> {
    let bytes = read(file)?;
    let name = config_file::name(file);
    let text = config_file::decode(&bytes, name).map_err(|error| Failure::new(Exit::BadInput, error))?;
    let imported = limits_import::import(text)
        .map_err(|error| Failure::new(Exit::BadInput, format!("{}: {error}", name.display())))?;
    for warning in imported.warnings {
        eprintln!("{}: warning: {warning}", name.display());
    }
    print(&imported.text)?;
    Ok(Exit::Ok)
}

/// `cellgate decide`.
///
/// # Errors
/// The configuration or the request cannot be read.
pub(crate) fn decide(args: DecideArgs) -> Result<Exit, Failure> {
    let files =
        [Some(&args.config), args.request.as_ref(), args.curl.as_ref(), args.body.as_ref(), args.claims.as_ref()];
    if files.into_iter().flatten().filter(|path| config_file::is_stdin(path)).count() > 1 {
        return Err(Failure::new(Exit::Usage, "only one option can be `-` (stdin): use files for the others"));
    }
    let LoadedConfig { config, .. } = config_file::load(&args.config).map_err(|error| {
        let exit = match error {
            LoadError::Read { .. } => Exit::NoInput,
            LoadError::NotText { .. } | LoadError::Shadow { .. } | LoadError::Invalid(_) => Exit::BadConfig,
        };
        Failure::new(exit, error)
    })?;
    let mut ignored = Vec::new();
    let mut request = match (&args.request, &args.curl) {
        (_, Some(file)) => {
            let command = curl(file)?;
            ignored = command.ignored;
            command.request
        }
        (Some(file), None) => Request::from_message(&read(file)?)
            .map_err(|error| Failure::new(Exit::BadInput, format!("{}: {error}", config_file::name(file).display())))?,
        (None, None) => {
            let body = args.body.as_deref().map(read).transpose()?;
            let DecideArgs { method, path, header: headers, chunked, .. } = args;
            Request::from_parts(Parts { method, path, headers, body, chunked })
                .map_err(|error| Failure::new(Exit::BadInput, error))?
        }
    };
    if let Some(file) = &args.claims {
        request.metadata = decide::metadata(&read(file)?, &config.claims.metadata_key)
            .map_err(|error| Failure::new(Exit::BadInput, format!("{}: {error}", config_file::name(file).display())))?;
    }
    let first_chunk = usize::try_from(args.first_chunk).unwrap_or(usize::MAX);
    let client_address = args.client_address.map(|address| address.to_string());
    let attributes = Attributes { peer: args.peer, client_address, ..Attributes::default() };
    let deciders = Deciders::new(config);
    let mut report = decide::run(&deciders, &request, &attributes, first_chunk);
    report.ignored = ignored;
    match args.output {
        Output::Text => print(&decide::text(&report))?,
        Output::Json => print(&format!("{:#}\n", decide::json(&report)))?,
    }
    Ok(match report.last().end().outcome {
        Outcome::Cell(_) | Outcome::Pass => Exit::Ok,
        Outcome::Reject(_) | Outcome::Defer => Exit::Found,
    })
}

/// The request of a curl command in a file.
fn curl(file: &Path) -> Result<CurlCommand, Failure> {
    CurlCommand::read(&read(file)?, &|name| std::fs::read(name)).map_err(|error| {
        let exit = if matches!(error, BadCurl::File { .. }) { Exit::NoInput } else { Exit::BadInput };
        Failure::new(exit, format!("{}: {error}", config_file::name(file).display()))
    })
}

/// `cellgate doctor`.
///
/// # Errors
/// There is no configuration dump to examine.
pub(crate) async fn doctor(args: DoctorArgs) -> Result<Exit, Failure> {
    let source = match (args.admin, args.istiod.zip(args.proxy), args.config_dump) {
        (Some(server), _, _) => Source::Admin(server),
        (None, Some((server, proxy)), _) => Source::Istiod { server, proxy, token: args.token },
        (None, None, Some(file)) => Source::File(file),
        (None, None, None) => {
            return Err(Failure::new(Exit::Usage, "use one of --admin, --istiod and --config-dump"));
        }
    };
    let fetched = doctor::fetch(&source).await.map_err(|error| {
        let exit = match error {
            FetchError::File { .. } => Exit::NoInput,
            FetchError::Unreachable { .. } | FetchError::Refused { .. } => Exit::Unavailable,
            FetchError::NotJson { .. } | FetchError::NotDump { .. } => Exit::BadInput,
        };
        Failure::new(exit, error)
    })?;
    let findings = doctor::examine(&fetched.dump, fetched.stats.as_ref());
    match args.output {
        Output::Text => print(&doctor::text(&fetched.subject, &findings))?,
        Output::Json => print(&format!("{:#}\n", doctor::json(&fetched.subject, &findings)))?,
    }
    Ok(if findings.iter().any(|finding| finding.level == Level::Error) { Exit::Found } else { Exit::Ok })
}

/// `cellgate probe`: prints a line for each check as soon as it is done.
///
/// # Errors
/// The configuration cannot be read or probed, or an option contradicts it.
pub(crate) async fn probe(args: ProbeArgs) -> Result<Exit, Failure> {
    let (config, text) = with_json(&args.config)?;
    let json = serde_json::from_str(&text).map_err(|error| Failure::new(Exit::BadConfig, error))?;
    can_be_probed(&args, &config)?;
    let keys = args.key.into_iter().collect();
    let plan = probe::plan(config, &json, &args.host, &args.header, &keys)
        .map_err(|error| Failure::new(Exit::Usage, error))?;
    let settings = probe::ProbeSettings { server: args.url, deadline: args.deadline, deferral: !args.no_deferral };
    let mut exit = Exit::Ok;
    let mut printed = Ok(());
    probe::run(&plan, &settings, |outcome| {
        if matches!(outcome, probe::Outcome::Failed(_)) {
            exit = Exit::Found;
        }
        if printed.is_ok() {
            printed = print(&format!("{}\n", outcome.line()));
        }
    })
    .await;
    printed?;
    Ok(exit)
}

/// Whether a filter with this configuration routes the probe's requests.
fn can_be_probed(args: &ProbeArgs, config: &Config) -> Result<(), Failure> {
    let file = args.config.display();
    if config.shadow {
        let why = format!(
            "{file}: `shadow: true`: in shadow mode the filter routes no request, so there is nothing to probe; use a \
             configuration without `shadow`"
        );
        return Err(Failure::new(Exit::BadConfig, why));
    }
    let mut names = args.header.iter().filter_map(|header| header.split(':').next()).map(str::trim);
    if let Some(name) = names.find(|name| is_reserved(name.as_bytes(), &config.routing_header)) {
        let why = format!("--header {name}: the filter removes this header from every request; use another name");
        return Err(Failure::new(Exit::Usage, why));
    }
    if !config.scope.lists(args.host.as_bytes()) {
        let why = format!(
            "--host {}: not in `applies_to.hosts` of {file}, so the filter routes no request for it; add it to the list, or use \
             a host of the list whose routes answer with the cell's name",
            args.host,
        );
        return Err(Failure::new(Exit::Usage, why));
    }
    Ok(())
}

/// A valid configuration, and its text as compact JSON.
fn with_json(file: &Path) -> Result<(Config, String), Failure> {
    let bytes = read(file)?;
    let file = config_file::name(file);
    let text = config_file::decode(&bytes, file).map_err(|error| Failure::new(Exit::BadConfig, error))?;
    cellgate_config::with_json(text, &file.to_string_lossy()).map_err(|error| Failure::new(Exit::BadConfig, error))
}

/// Reads a file, or stdin if the path is `-`.
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
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(no_output)
}

/// Stdout cannot be written.
pub(crate) fn no_output(error: io::Error) -> Failure {
    Failure::new(Exit::NoOutput, format!("cannot write to stdout: {error}"))
}

/// The limits of requests, if there are any: `, 2 rate limits: per-tenant, per-key, 1 concurrency limit: slow`.
fn names_of_limits(config: &Config) -> String {
    let rates: Vec<_> = config.rate_limits.iter().map(|limit| &*limit.name).collect();
    let concurrency: Vec<_> = config.concurrency_limits.iter().map(|limit| &*limit.name).collect();
    let text = |names: Vec<&str>, noun| match names.len() {
        0 => String::new(),
        number => format!(", {}: {}", count(number, noun), names.join(", ")),
    };
    text(rates, "rate limit") + &text(concurrency, "concurrency limit")
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
