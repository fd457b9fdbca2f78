//! The command line: what can be said, and which exit code means what.

mod commands;
mod neighbours;
mod serve;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use cellgate_ext_proc::logging;
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use hyper::header::HeaderName;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

pub(crate) use commands::{check, decide, doctor, probe, render, schema};
pub(crate) use neighbours::{NeighboursArgs, neighbours};
pub(crate) use serve::serve;

use crate::http_client::Server;
use crate::units;

const EXIT_CODES: &str = "\
Exit codes:
  0   done; `decide`: the request gets a cell, or passes
  1   the answer is no: `check`, `neighbours`, `doctor`, `probe` find errors, `decide` rejects
  64  wrong usage
  65  `decide`: no request; `doctor`: no configuration dump; `neighbours`: no plan, or no objects
  66  a file cannot be read
  69  `doctor`: the gateway or istiod cannot be reached; `neighbours`: the cluster cannot
  70  an internal error
  71  a port cannot be bound
  74  the output cannot be written
  78  the configuration is not valid";

/// Routes requests to the cell that owns their tenant, by what their body says.
#[derive(Debug, Parser)]
#[command(name = "cellgate", version, after_help = EXIT_CODES, subcommand_required = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the ext_proc service
    Serve(ServeArgs),
    /// Check configuration files
    Check {
        /// YAML, or JSON if the name ends in .json; `-` is stdin, either of the two
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Decide one request offline and explain each step
    Decide(DecideArgs),
    /// Before an installation: say what others have in the cluster for the same hosts, services and proxies
    Neighbours(NeighboursArgs),
    /// Print the JSON Schema of the configuration
    Schema,
    /// Print a configuration as compact JSON, for the filter's plugin configuration
    Render {
        /// YAML, or JSON if the name ends in .json; `-` is stdin, either of the two
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Say whether a gateway has the filter, its limits, routes and mTLS, and what to fix
    Doctor(DoctorArgs),
    /// Send requests through a gateway and say whether each cell is reached
    Probe(ProbeArgs),
}

/// Options of `cellgate serve`. Each has an environment variable; options win.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The configuration file, watched while it runs
    #[arg(long, value_name = "FILE", env = "CELLGATE_CONFIG")]
    pub(crate) config: PathBuf,
    /// Where Envoy connects (gRPC, plaintext: inside a mesh); `[::]` is IPv6 and IPv4
    #[arg(long, value_name = "ADDR", env = "CELLGATE_LISTEN", default_value = "[::]:50051")]
    pub(crate) listen: SocketAddr,
    /// Where /livez, /readyz, /metrics and /version are
    #[arg(long, value_name = "ADDR", env = "CELLGATE_ADMIN", default_value = "127.0.0.1:9902")]
    pub(crate) admin: SocketAddr,
    /// The form of log lines
    #[arg(long, value_name = "FORMAT", env = "CELLGATE_LOG_FORMAT", default_value = "json", value_enum)]
    pub(crate) log_format: LogFormat,
    /// What is logged: error, warn, info, debug, or directives such as `info,cellgate_ext_proc=debug`
    #[arg(long, value_name = "LEVEL", env = "CELLGATE_LOG_LEVEL", default_value = "info", value_parser = log_filter)]
    pub(crate) log_level: LogFilter,
    /// From a request's first message to its decision, at most
    #[arg(long, value_name = "TIME", env = "CELLGATE_DECISION_TIMEOUT", default_value = "10s", value_parser = units::positive_duration)]
    pub(crate) decision_timeout: Duration,
    /// On SIGTERM: not ready, but still accepting, for this long
    #[arg(long, value_name = "TIME", env = "CELLGATE_DRAIN_DELAY", default_value = "0s", value_parser = units::duration)]
    pub(crate) drain_delay: Duration,
    /// On SIGTERM: streams in flight may take this long to finish
    #[arg(long, value_name = "TIME", env = "CELLGATE_DRAIN_TIMEOUT", default_value = "30s", value_parser = units::duration)]
    pub(crate) drain_timeout: Duration,
    /// Body bytes held back by all requests together; beyond it requests get 503
    #[arg(long, value_name = "SIZE", env = "CELLGATE_MAX_HELD_BYTES", default_value = "512MiB", value_parser = units::bytes)]
    pub(crate) max_held_bytes: u64,
    /// The largest message from Envoy; must exceed its buffer limits
    #[arg(long, value_name = "SIZE", env = "CELLGATE_MAX_MESSAGE_BYTES", default_value = "64MiB", value_parser = units::bytes)]
    pub(crate) max_message_bytes: u64,
    /// Requests on one connection at a time; beyond it Envoy opens another connection
    #[arg(long, value_name = "COUNT", env = "CELLGATE_MAX_STREAMS", default_value = "10000", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_streams: u32,
}

/// Options of `cellgate decide`.
#[derive(Debug, Args)]
pub(crate) struct DecideArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "CELLGATE_CONFIG")]
    pub(crate) config: PathBuf,
    /// The whole request as an HTTP/1.1 message; `-` is stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["method", "path", "header", "body", "chunked"])]
    pub(crate) request: Option<PathBuf>,
    /// The method [default: POST with a body, else GET]
    #[arg(long)]
    pub(crate) method: Option<String>,
    /// Path and query [default: /]
    #[arg(long)]
    pub(crate) path: Option<String>,
    /// A header, such as `content-type: application/json`; may be repeated
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    pub(crate) header: Vec<String>,
    /// The body; `-` is stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) body: Option<PathBuf>,
    /// Do not announce the body's length
    #[arg(long)]
    pub(crate) chunked: bool,
    /// The URI that the client's certificate names, for `decided_by`
    #[arg(long, value_name = "URI")]
    pub(crate) peer: Option<String>,
    /// How much of the body arrives at a time
    #[arg(long, value_name = "SIZE", default_value = "16KiB", value_parser = units::bytes)]
    pub(crate) first_chunk: u64,
    /// The form of the report
    #[arg(long, default_value = "text", value_enum)]
    pub(crate) output: Output,
}

/// Options of `cellgate doctor`: one of the three sources.
#[derive(Debug, Args)]
#[group(skip)]
#[command(group = ArgGroup::new("source").required(true))]
pub(crate) struct DoctorArgs {
    /// Envoy's admin port, such as `http://127.0.0.1:15000` by kubectl port-forward
    #[arg(long, value_name = "URL", value_parser = server, group = "source")]
    pub(crate) admin: Option<Server>,
    /// istiod's debug port, such as `http://127.0.0.1:15014`; needs --proxy
    #[arg(long, value_name = "URL", value_parser = server, requires = "proxy", group = "source")]
    pub(crate) istiod: Option<Server>,
    /// A file with what `/config_dump?include_eds` or istiod's `/debug/config_dump` answered
    #[arg(long, value_name = "FILE", group = "source")]
    pub(crate) config_dump: Option<PathBuf>,
    /// The proxy that istiod is asked about
    #[arg(long, value_name = "POD.NAMESPACE", value_parser = proxy, requires = "istiod")]
    pub(crate) proxy: Option<String>,
    /// A file with a service account's token, where istiod asks for one
    #[arg(long, value_name = "FILE", requires = "istiod")]
    pub(crate) token: Option<PathBuf>,
    /// The form of the report
    #[arg(long, visible_alias = "format", default_value = "text", value_enum)]
    pub(crate) output: Output,
}

/// Options of `cellgate probe`.
#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// The configuration file that both tiers have
    #[arg(long, value_name = "FILE", env = "CELLGATE_CONFIG")]
    pub(crate) config: PathBuf,
    /// The gateway, such as `http://gateway.istio-ingress:80`
    #[arg(long, value_name = "URL", value_parser = gateway)]
    pub(crate) url: Server,
    /// The Host header: that of the routes that answer with the cell's name
    #[arg(long)]
    pub(crate) host: String,
    /// A header for every request, such as `x-probe: 1`; may be repeated
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    pub(crate) header: Vec<String>,
    /// A key to use for a cell, instead of one that is found; may be repeated
    #[arg(long, value_name = "CELL=KEY", value_parser = cell_key)]
    pub(crate) key: Vec<(String, String)>,
    /// How long the first right answers may take: routes reach a gateway seconds after they were applied
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = units::positive_duration)]
    pub(crate) deadline: Duration,
    /// Do not send what the filter must hand to the service
    #[arg(long)]
    pub(crate) no_deferral: bool,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For a terminal.
    Human,
}

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For a person.
    Text,
    /// For a program.
    Json,
}

/// What is logged, checked when it is given.
#[derive(Clone, Debug)]
pub(crate) struct LogFilter(String);

/// How a command ends. The codes are those of BSD's `sysexits.h` where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Ok = 0,
    /// The answer is no.
    No = 1,
    /// Wrong usage.
    Usage = 64,
    /// Input that is not what it should be.
    BadInput = 65,
    /// A file cannot be read.
    NoInput = 66,
    /// A server cannot be reached, or refuses.
    Unavailable = 69,
    /// An internal error.
    Internal = 70,
    /// A port cannot be bound.
    NoPort = 71,
    /// Output cannot be written.
    NoOutput = 74,
    /// The configuration is not valid.
    BadConfig = 78,
}

/// Why a command ends badly: one line for stderr, or several.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    message: String,
}

impl Failure {
    /// A failure with its message.
    pub(crate) fn new(exit: Exit, message: impl std::fmt::Display) -> Self {
        Self { exit, message: message.to_string() }
    }
}

impl From<LogFormat> for logging::Format {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Json => Self::Json,
            LogFormat::Human => Self::Human,
        }
    }
}

impl LogFilter {
    /// For the subscriber.
    #[must_use]
    pub(crate) fn filter(&self) -> EnvFilter {
        EnvFilter::new(&self.0)
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

fn log_filter(text: &str) -> Result<LogFilter, String> {
    // To EnvFilter a word alone is a target, all of whose lines are logged, and the rest is silent.
    for word in text.split(',').map(str::trim).filter(|word| !word.contains('=')) {
        LevelFilter::from_str(word)
            .ok()
            .filter(|_| word.bytes().all(|byte| byte.is_ascii_alphabetic()) && !word.is_empty())
            .ok_or_else(|| format!("`{word}` is no level: expected error, warn, info, debug, trace or off"))?;
    }
    EnvFilter::try_new(text).map_err(|error| error.to_string())?;
    Ok(LogFilter(text.to_owned()))
}

fn server(text: &str) -> Result<Server, String> {
    Server::parse(text).map_err(|error| error.to_string())
}

/// A server without a path: the probe's own paths must be what the configuration's rules are compared with.
fn gateway(text: &str) -> Result<Server, String> {
    server(text).and_then(|server| {
        if server.target("").is_empty() { Ok(server) } else { Err(format!("`{text}`: expected no path")) }
    })
}

/// A pod's name and namespace: nothing that would have to be encoded in a query.
fn proxy(text: &str) -> Result<String, String> {
    let is_name = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
    };
    match text.rsplit_once('.') {
        Some((name, namespace)) if is_name(name) && is_name(namespace) => Ok(text.to_owned()),
        _ => Err(format!("`{text}`: expected POD.NAMESPACE, as `istioctl proxy-status` shows it")),
    }
}

fn header(text: &str) -> Result<String, String> {
    let is_name = |name: &str| HeaderName::from_bytes(name.as_bytes()).is_ok();
    match text.split_once(':') {
        Some((name, value)) if is_name(name.trim()) && !value.contains(char::is_control) => Ok(text.to_owned()),
        _ => Err(format!("`{text}`: expected `NAME: VALUE`")),
    }
}

fn cell_key(text: &str) -> Result<(String, String), String> {
    let halves = text.split_once('=').filter(|(cell, key)| !cell.is_empty() && !key.is_empty());
    halves.map(|(cell, key)| (cell.to_owned(), key.to_owned())).ok_or_else(|| format!("`{text}`: expected CELL=KEY"))
}
