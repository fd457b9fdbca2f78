//! A way to bring a request to its cell, with a proxy of its own.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::process::Command;

use anyhow::Result;
use cellgate_tests::cell::Cell;
use cellgate_tests::options::Chain;
use serde_json::{Value, json};

use crate::cases::{BUFFER_LIMIT, Case, NamedBy};
use crate::exchange::Protocol;

/// One way. Functions are called when the stage is set, and only for the variants that run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variant {
    /// For the command line, the goals and the JSON report: lower case, no spaces, no other's.
    pub(crate) name: &'static str,
    /// For people: what stands in front of the router.
    pub(crate) title: &'static str,
    /// The variant of which this is the same with another build of Cellgate: see [`crate::baseline`].
    pub(crate) another_build_of: Option<&'static str>,
    /// Whether it is Cellgate, which the tables set in bold.
    pub(crate) ours: bool,
    /// What takes the requests.
    pub(crate) proxy: Proxy,
    /// The harness's chain of HTTP filters.
    pub(crate) chain: Chain,
    /// The file of a proxy-wasm module from `bench/filters`, for chains with a filter; `None` is Cellgate's.
    pub(crate) module: Option<&'static str>,
    /// What the module and the service are configured with.
    pub(crate) config: fn() -> Value,
    /// Changes the harness's bootstrap, such as by [`crate::bootstrap::insert_filter`].
    pub(crate) adjust: fn(&mut Value),
    /// The ext-proc service that Envoy finds as the cluster `ext-proc`. Its CPU time is the variant's too.
    pub(crate) service: Service,
    /// Who names the cell. Where the variant decides, nothing but its decision does, so that a 200 from the right cell
    /// proves it.
    pub(crate) named_by: NamedBy,
    /// Envoy's counter that proves that the variant did what its name says, and how far `requests` requests of a case
    /// move it.
    pub(crate) proof: fn(&Case, u64) -> Option<(&'static str, u64)>,
    /// Whether it brings the requests of a case to their cells. Where it does not, the benchmark proves it.
    pub(crate) can: fn(&Case) -> Result<(), Cannot>,
}

/// What takes the requests.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Proxy {
    /// The harness's Envoy.
    Envoy,
    /// Another program, which this function starts; `None` when it is not installed, which leaves the variant out.
    Other(for<'a> fn(Scene<'a>) -> Starting<'a>),
}

/// A proxy that comes up.
pub(crate) type Starting<'a> = Pin<Box<dyn Future<Output = Result<Option<Running>>> + Send + 'a>>;

/// The ext-proc service of a variant.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Service {
    /// There is none.
    Nobody,
    /// `cellgate serve`. Its metrics are always on.
    Cellgate,
    /// Another program, which prints [`crate::noop_service::LISTENING`] and its address; `None` when it is not
    /// installed, which leaves the variant out. [`own_service`] makes those that are subcommands of this program.
    Other(fn() -> Result<Option<Command>>),
}

/// Why a variant does not bring a case's requests to their cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cannot {
    /// The client gets this status instead. The benchmark sends one request and checks it.
    Status(u16),
    /// The comparison would say nothing, for this reason. Nothing is sent, and the tables have no figure.
    Pointless(&'static str),
}

impl Variant {
    /// The baseline: Envoy, nothing else, and a client that names its cell.
    pub(crate) const PLAIN: Self = Self {
        name: "plain",
        title: "Envoy alone",
        another_build_of: None,
        ours: false,
        proxy: Proxy::Envoy,
        chain: Chain::Plain,
        module: None,
        config: || json!({}),
        adjust: |_| (),
        service: Service::Nobody,
        named_by: NamedBy::Client,
        proof: |_, _| None,
        can: |_| Ok(()),
    };

    /// The name, or that of the variant of which this is another build.
    pub(crate) fn base(&self) -> &'static str {
        self.another_build_of.unwrap_or(self.name)
    }

    /// As the tables have it: in bold where it is Cellgate.
    pub(crate) fn heading(&self) -> String {
        if self.ours { format!("**{}**", self.title) } else { self.title.to_owned() }
    }
}

impl Cannot {
    /// What the tables say instead of a figure.
    pub(crate) fn label(self) -> String {
        match self {
            Self::Status(status) => status.to_string(),
            Self::Pointless(_) => String::new(),
        }
    }
}

/// What a proxy that is not Envoy is started with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene<'a> {
    /// What it routes to.
    pub(crate) cells: &'a [Cell],
    /// A directory of its own.
    pub(crate) directory: &'a Path,
}

/// A proxy that runs, and is not Envoy.
#[derive(Debug)]
pub(crate) struct Running {
    /// Its process.
    pub(crate) pid: u32,
    /// Where it takes requests.
    pub(crate) address: SocketAddr,
    /// What ends it when it is dropped.
    pub(crate) _owner: Box<dyn Debug + Send + Sync>,
}

/// For variants that hold the whole body: beyond Envoy's buffer the client gets 413. Over HTTP/2 the buffer is the
/// stream's window, which is larger than every body here.
pub(crate) fn whole_body(case: &Case) -> Result<(), Cannot> {
    let fits = case.bytes() <= BUFFER_LIMIT as usize || case.protocol == Protocol::Http2;
    if fits { Ok(()) } else { Err(Cannot::Status(413)) }
}

/// A service that is a subcommand of this program.
///
/// # Errors
/// When this program cannot be found.
pub(crate) fn own_service(subcommand: &str) -> Result<Option<Command>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(subcommand);
    Ok(Some(command))
}
