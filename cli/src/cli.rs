//! The command line: commands and their options.

mod commands;
mod exit;
mod explain;
mod inspect;
mod leases;
mod limit_store;
mod limits;
mod log_level;
mod neighbours;
mod serve;
mod traces;
mod values;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use cellgate_ext_proc::{ClientName, LimitHeaders, MinVersion, logging};
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};

pub(crate) use commands::{check, decide, doctor, no_output, probe, render, schema};
pub(crate) use exit::{Exit, Failure};
pub(crate) use explain::{ExplainArgs, explain};
pub(crate) use inspect::{InspectArgs, inspect};
pub(crate) use limits::{LimitsArgs, limits};
pub(crate) use log_level::{LogLevelArgs, log_level};
pub(crate) use neighbours::{NeighboursArgs, neighbours};
pub(crate) use serve::serve;

use crate::http_client::Server;
use cellgate_ext_proc::logging::level::LogLevel;
use leases::LeaseArgs;
use limit_store::LimitStoreArgs;
use traces::TraceArgs;
use values::ListenAddress;

/// Routes each request to the cell that owns its tenant, by a key in the request's body or head.
#[derive(Debug, Parser)]
// The help text is the same whether or not another package in the build enables clap's `wrap_help`.
#[command(name = "cellgate", version, after_help = exit::HELP, subcommand_required = true, term_width = 0)]
pub(crate) struct Cli {
    /// The command to run.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// A command with its options.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the ext_proc service
    Serve(Box<ServeArgs>),
    /// Check configuration files
    Check {
        /// YAML, or JSON if the name ends in .json; `-` reads YAML or JSON from stdin
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Decide one request offline and explain each step
    Decide(DecideArgs),
    /// Before an installation, find objects in the cluster that affect the same hosts, services and proxies
    Neighbours(NeighboursArgs),
    /// Print the JSON Schema of the configuration
    Schema,
    /// Print a configuration as compact JSON, for the filter's plugin configuration
    Render {
        /// YAML, or JSON if the name ends in .json; `-` reads YAML or JSON from stdin
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Tell what happened to one request, from the access logs of the proxies that it passed
    Explain(ExplainArgs),
    /// Show the state of running services: version, configuration, budget, TLS, and the last refusals
    Inspect(InspectArgs),
    /// Show the rate limits of a running service, and what a key has in use; reset a key; import limits
    Limits(LimitsArgs),
    /// Show the log level of a running service, or change it for a time
    LogLevel(LogLevelArgs),
    /// Examine a gateway: filter, limits, routes and mTLS, with a fix for each fault
    Doctor(DoctorArgs),
    /// Send requests through a gateway and check that each cell is reached
    Probe(ProbeArgs),
}

/// Options of `cellgate serve`. An option takes precedence over its environment variable.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The configuration file; changes are applied while the service runs
    #[arg(long, value_name = "FILE", env = "CELLGATE_CONFIG")]
    pub(crate) config: PathBuf,
    /// The address for Envoy: IP:PORT, of which `[::]` accepts IPv6 and IPv4, or unix:/PATH
    #[arg(long, value_name = "ADDR", env = "CELLGATE_LISTEN", default_value = "[::]:50051", value_parser = values::listen_address)]
    pub(crate) listen: ListenAddress,
    /// The permissions of the Unix socket in octal digits [default: 0660]
    #[arg(long, value_name = "MODE", env = "CELLGATE_SOCKET_MODE", value_parser = values::socket_mode)]
    pub(crate) socket_mode: Option<u32>,
    /// Accept connections without TLS on a TCP port, for use inside a mesh or on one host
    #[arg(long, env = "CELLGATE_PLAIN_TEXT", value_parser = values::switch, overrides_with = "plain_text")]
    pub(crate) plain_text: bool,
    /// A PEM file with the service's certificate and its intermediate certificates; changes of the TLS files are applied
    #[arg(long, value_name = "FILE", env = "CELLGATE_TLS_CERT", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// A PEM file with the certificate's private key
    #[arg(long, value_name = "FILE", env = "CELLGATE_TLS_KEY", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// A PEM file with the authorities of clients, which then need a certificate
    #[arg(long, value_name = "FILE", env = "CELLGATE_TLS_CLIENT_CA", requires = "tls_cert")]
    pub(crate) tls_client_ca: Option<PathBuf>,
    /// A DNS name or SPIFFE id of which a client's certificate must have one; may be repeated, or be a list with commas
    #[arg(
        long,
        value_name = "NAME",
        env = "CELLGATE_TLS_CLIENT_SAN",
        value_delimiter = ',',
        requires = "tls_client_ca"
    )]
    pub(crate) tls_client_san: Vec<ClientName>,
    /// The oldest version of TLS that is accepted
    #[arg(long, value_name = "VERSION", env = "CELLGATE_TLS_MIN_VERSION", default_value = "1.3", value_enum)]
    pub(crate) tls_min_version: TlsVersion,
    /// The address of /livez, /readyz, /metrics, /version, /inspect, /limits, /log-level and of the explain page
    #[arg(long, value_name = "ADDR", env = "CELLGATE_ADMIN", default_value = "127.0.0.1:9902", value_parser = values::address)]
    pub(crate) admin: SocketAddr,
    /// A file with a token of at least 16 characters, which /limits and /log-level need, and with which other hosts see the explain page; changes are applied
    #[arg(long, value_name = "FILE", env = "CELLGATE_ADMIN_TOKEN_FILE")]
    pub(crate) admin_token_file: Option<PathBuf>,
    /// The format of log lines
    #[arg(long, value_name = "FORMAT", env = "CELLGATE_LOG_FORMAT", default_value = "json", value_enum)]
    pub(crate) log_format: LogFormat,
    /// The log level: error, warn, info, debug, or directives such as `info,cellgate_ext_proc=debug`
    #[arg(long, value_name = "LEVEL", env = "CELLGATE_LOG_LEVEL", default_value = "info", value_parser = values::log_level)]
    pub(crate) log_level: LogLevel,
    /// The longest time from a request's first message to its decision
    #[arg(long, value_name = "TIME", env = "CELLGATE_DECISION_TIMEOUT", default_value = "10s", value_parser = values::positive_duration)]
    pub(crate) decision_timeout: Duration,
    /// On SIGTERM, how long to report "not ready" and still accept connections
    #[arg(long, value_name = "TIME", env = "CELLGATE_DRAIN_DELAY", default_value = "0s", value_parser = values::duration)]
    pub(crate) drain_delay: Duration,
    /// On SIGTERM, how long open streams may take to finish
    #[arg(long, value_name = "TIME", env = "CELLGATE_DRAIN_TIMEOUT", default_value = "30s", value_parser = values::duration)]
    pub(crate) drain_timeout: Duration,
    /// The limit of buffered body bytes of all requests; requests above it wait
    #[arg(long, value_name = "SIZE", env = "CELLGATE_MAX_HELD_BYTES", default_value = "512MiB", value_parser = values::bytes)]
    pub(crate) max_held_bytes: u64,
    /// How long a request may wait for --max-held-bytes altogether; then it gets 503
    #[arg(long, value_name = "TIME", env = "CELLGATE_BUDGET_TIMEOUT", default_value = "10s", value_parser = values::duration)]
    pub(crate) budget_timeout: Duration,
    /// Report "not ready" above this use of --max-held-bytes in percent, and while requests wait for it; 0 never does
    #[arg(long, value_name = "PERCENT", env = "CELLGATE_NOT_READY_ABOVE", default_value = "0", value_parser = values::percent)]
    pub(crate) not_ready_above: u8,
    /// How long the use must stay above --not-ready-above, or below three quarters of it
    #[arg(long, value_name = "TIME", env = "CELLGATE_NOT_READY_AFTER", default_value = "5s", value_parser = values::duration)]
    pub(crate) not_ready_after: Duration,
    /// The largest message from Envoy; must be larger than Envoy's buffer limits
    #[arg(long, value_name = "SIZE", env = "CELLGATE_MAX_MESSAGE_BYTES", default_value = "64MiB", value_parser = values::bytes)]
    pub(crate) max_message_bytes: u64,
    /// The limit of concurrent requests on one connection; above it, Envoy opens another connection
    #[arg(long, value_name = "COUNT", env = "CELLGATE_MAX_STREAMS", default_value = "10000", value_parser = values::above_zero)]
    pub(crate) max_streams: u32,
    #[command(flatten)]
    pub(crate) limit_store: LimitStoreArgs,
    #[command(flatten)]
    pub(crate) leases: LeaseArgs,
    /// The answers of RateLimitService that have RateLimit, RateLimit-Policy and Retry-After for the client's response
    #[arg(long, value_name = "CALLS", env = "CELLGATE_LIMIT_HEADERS", default_value = "refused", value_enum)]
    pub(crate) limit_headers: LimitHeadersOption,
    /// Send X-RateLimit-Limit, -Remaining and -Reset too, for clients that do not know RateLimit
    #[arg(long, env = "CELLGATE_X_RATELIMIT_HEADERS")]
    pub(crate) x_ratelimit_headers: bool,
    #[command(flatten)]
    pub(crate) traces: TraceArgs,
}

/// The calls of RateLimitService that are answered with fields for the response.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LimitHeadersOption {
    /// No call
    None,
    /// Refused calls
    Refused,
    /// All calls
    All,
}

impl From<LimitHeadersOption> for LimitHeaders {
    fn from(option: LimitHeadersOption) -> Self {
        match option {
            LimitHeadersOption::None => Self::None,
            LimitHeadersOption::Refused => Self::Refused,
            LimitHeadersOption::All => Self::All,
        }
    }
}

/// Options of `cellgate decide`.
#[derive(Debug, Args)]
pub(crate) struct DecideArgs {
    /// The configuration file; `-` reads stdin
    #[arg(long, value_name = "FILE", env = "CELLGATE_CONFIG")]
    pub(crate) config: PathBuf,
    /// A file with the whole request as an HTTP/1.1 message; `-` reads stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["method", "path", "header", "body", "chunked"])]
    pub(crate) request: Option<PathBuf>,
    /// A file with a curl command line, such as a browser's "Copy as cURL (bash)"; `-` reads stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["request", "method", "path", "header", "body", "chunked"])]
    pub(crate) curl: Option<PathBuf>,
    /// The method [default: POST with a body, else GET]
    #[arg(long)]
    pub(crate) method: Option<String>,
    /// The path and query [default: /]
    #[arg(long)]
    pub(crate) path: Option<String>,
    /// A header, such as `content-type: application/json`; may be repeated
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    pub(crate) header: Vec<String>,
    /// A file with the body; `-` reads stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) body: Option<PathBuf>,
    /// Send the body with `Transfer-Encoding: chunked`, without its length
    #[arg(long)]
    pub(crate) chunked: bool,
    /// A file with the claims of the request's verified token as a JSON object, for `claim` sources; `-` reads stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) claims: Option<PathBuf>,
    /// The URI in the client's certificate, for `decided_by` and for rate limits by `peer`
    #[arg(long, value_name = "URI")]
    pub(crate) peer: Option<String>,
    /// The client's IP address, for rate limits by `client_address`
    #[arg(long, value_name = "ADDRESS", value_parser = values::ip_address)]
    pub(crate) client_address: Option<IpAddr>,
    /// The size of the chunks in which the body arrives; the filter scans the first one before it releases or defers
    #[arg(long, value_name = "SIZE", default_value = "16KiB", value_parser = values::bytes)]
    pub(crate) first_chunk: u64,
    /// The format of the report
    #[arg(long, default_value = "text", value_enum)]
    pub(crate) output: Output,
}

/// Options of `cellgate doctor`. One of the three sources is required.
#[derive(Debug, Args)]
#[group(skip)]
#[command(group = ArgGroup::new("source").required(true))]
pub(crate) struct DoctorArgs {
    /// Envoy's admin port, such as `http://127.0.0.1:15000` behind `kubectl port-forward`
    #[arg(long, value_name = "URL", value_parser = values::server, group = "source")]
    pub(crate) admin: Option<Server>,
    /// istiod's debug port, such as `http://127.0.0.1:15014`; needs --proxy
    #[arg(long, value_name = "URL", value_parser = values::server, requires = "proxy", group = "source")]
    pub(crate) istiod: Option<Server>,
    /// A file with the response of Envoy's `/config_dump?include_eds` or istiod's `/debug/config_dump`
    #[arg(long, value_name = "FILE", group = "source")]
    pub(crate) config_dump: Option<PathBuf>,
    /// The proxy whose configuration istiod returns
    #[arg(long, value_name = "POD.NAMESPACE", value_parser = values::proxy, requires = "istiod", conflicts_with_all = ["admin", "config_dump"])]
    pub(crate) proxy: Option<String>,
    /// A file with a service account's token, if istiod requires one
    #[arg(long, value_name = "FILE", requires = "istiod", conflicts_with_all = ["admin", "config_dump"])]
    pub(crate) token: Option<PathBuf>,
    /// The format of the report
    #[arg(long, visible_alias = "format", default_value = "text", value_enum)]
    pub(crate) output: Output,
}

/// Options of `cellgate probe`.
#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// The configuration file of the filter and the service
    #[arg(long, value_name = "FILE", env = "CELLGATE_CONFIG")]
    pub(crate) config: PathBuf,
    /// The gateway, such as `http://gateway.istio-ingress:80`
    #[arg(long, value_name = "URL", value_parser = values::gateway)]
    pub(crate) url: Server,
    /// The Host header, which selects the routes that answer with the cell's name, or `*.DOMAIN` for keys in the host
    #[arg(long)]
    pub(crate) host: String,
    /// A header for every request, such as `x-probe: 1`; may be repeated
    #[arg(long, value_name = "NAME: VALUE", value_parser = values::header)]
    pub(crate) header: Vec<String>,
    /// A key to use for a cell [default: keys found by placement]; may be repeated
    #[arg(long, value_name = "CELL=KEY", value_parser = values::cell_key)]
    pub(crate) key: Vec<(String, String)>,
    /// How long to retry the first requests: routes reach a gateway seconds after they are applied
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = values::positive_duration)]
    pub(crate) deadline: Duration,
    /// Send no request that the filter must defer to the service
    #[arg(long)]
    pub(crate) no_deferral: bool,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TlsVersion {
    /// TLS 1.2.
    #[value(name = "1.2")]
    V12,
    /// TLS 1.3.
    #[value(name = "1.3")]
    V13,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For a terminal.
    Human,
}

/// The format of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For a person.
    Text,
    /// For a program.
    Json,
}

impl From<TlsVersion> for MinVersion {
    fn from(version: TlsVersion) -> Self {
        match version {
            TlsVersion::V12 => Self::Tls12,
            TlsVersion::V13 => Self::Tls13,
        }
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
