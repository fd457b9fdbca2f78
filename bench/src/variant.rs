//! One way to route a request to its cell, with its own proxy.

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
use crate::content::Content;
use crate::exchange::Protocol;

/// One way to route requests. The functions are called at the start, and only for the variants that run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variant {
    /// The unique name for the command line, the goals and the JSON report: lower case, no spaces.
    pub(crate) name: &'static str,
    /// The title in the report.
    pub(crate) title: &'static str,
    /// The variant that this one repeats with another build of Cellgate: see [`crate::baseline`].
    pub(crate) another_build_of: Option<&'static str>,
    /// Whether it is Cellgate. The tables set it in bold.
    pub(crate) ours: bool,
    /// The proxy.
    pub(crate) proxy: Proxy,
    /// The harness's chain of HTTP filters.
    pub(crate) chain: Chain,
    /// The file of a proxy-wasm module from `bench/filters`, for chains with a filter; `None` is Cellgate's.
    pub(crate) module: Option<&'static str>,
    /// The configuration of the module and the service.
    pub(crate) config: fn() -> Value,
    /// Changes the harness's bootstrap, such as by [`crate::bootstrap::insert_filter`].
    pub(crate) adjust: fn(&mut Value),
    /// The ext-proc service, Envoy's cluster `ext-proc`. Its CPU time counts for the variant.
    pub(crate) service: Service,
    /// The part of the request that determines the cell. In a variant that decides, only its decision gives the cell,
    /// so that a 200 from the right cell proves the decision.
    pub(crate) named_by: NamedBy,
    /// An Envoy counter that proves the variant's work, with the increase that a number of requests of a case must
    /// cause.
    pub(crate) proof: fn(&Case, u64) -> Option<(&'static str, u64)>,
    /// Whether a body with a Content-Encoding reaches the cell without it.
    pub(crate) decodes: bool,
    /// Whether it reads a content at all.
    pub(crate) reads: fn(Content) -> bool,
    /// Whether it supports a case of a content that it reads. If it does not, the benchmark checks that.
    pub(crate) can: fn(&Case) -> Result<(), Cannot>,
}

/// The proxy of a variant.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Proxy {
    /// The harness's Envoy.
    Envoy,
    /// Another program, which this function starts. The function returns `None` if the program is not installed.
    Other(for<'a> fn(Scene<'a>) -> Starting<'a>),
}

/// A proxy that is starting.
pub(crate) type Starting<'a> = Pin<Box<dyn Future<Output = Result<Option<OtherProxy>>> + Send + 'a>>;

/// The ext-proc service of a variant.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Service {
    /// No service.
    None,
    /// `cellgate serve`. Its metrics are always on.
    Cellgate,
    /// `cellgate serve` with traces of 1 % of the requests.
    TracedCellgate,
    /// Another program, which prints [`crate::noop_service::LISTENING`] and its address. The function returns `None` if
    /// the program is not installed. [`own_service`] is for subcommands of this program.
    Other(fn() -> Result<Option<Command>>),
}

/// Why a variant does not support a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cannot {
    /// The client gets this status. The benchmark checks it with one request.
    Status(u16),
    /// The comparison would be meaningless, for this reason. Nothing is sent, and the tables show the reason.
    Pointless(&'static str),
}

impl Variant {
    /// Envoy alone, with a client that sets the routing header.
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
        service: Service::None,
        named_by: NamedBy::Client,
        proof: |_, _| None,
        decodes: false,
        reads: Content::is_json,
        can: |_| Ok(()),
    };

    /// Whether it supports a case.
    pub(crate) fn supports(&self, case: &Case) -> Result<(), Cannot> {
        if (self.reads)(case.content) { (self.can)(case) } else { Err(Cannot::Pointless("it reads other formats")) }
    }

    /// The name of this variant, or of the variant that it repeats with another build.
    pub(crate) fn base(&self) -> &'static str {
        self.another_build_of.unwrap_or(self.name)
    }

    /// The title in the tables: bold for Cellgate.
    pub(crate) fn heading(&self) -> String {
        if self.ours { format!("**{}**", self.title) } else { self.title.to_owned() }
    }
}

impl Cannot {
    /// The text in the tables instead of a figure.
    pub(crate) fn label(self) -> String {
        match self {
            Self::Status(status) => status.to_string(),
            Self::Pointless(_) => String::new(),
        }
    }
}

/// The surroundings of a proxy that is not Envoy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene<'a> {
    /// The upstreams.
    pub(crate) cells: &'a [Cell],
    /// The proxy's own directory.
    pub(crate) directory: &'a Path,
}

/// A running proxy that is not Envoy.
#[derive(Debug)]
pub(crate) struct OtherProxy {
    /// The process.
    pub(crate) pid: u32,
    /// The address for clients.
    pub(crate) address: SocketAddr,
    /// The handle that stops the process when it is dropped.
    pub(crate) _owner: Box<dyn Debug + Send + Sync>,
}

/// The supported cases of variants that hold the whole body. The client gets a 413 for a body that exceeds Envoy's
/// buffer. Over HTTP/2 the buffer is the stream's window, which is larger than every body here.
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
