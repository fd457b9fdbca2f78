//! What is compared: ways to bring a request to its cell, one proxy each.
//!
//! **To add a variant, add one entry to a table**: to [`ours::ALL`] here, or to `ALL` of [`crate::peers`]. An entry
//! names what differs from [`Variant::PLAIN`], which is Envoy with nothing in front of its router:
//!
//! ```ignore
//! Variant { name: "lua", title: "Envoy's Lua, by a pattern", adjust: lua, named_by: NamedBy::Body, ..Variant::PLAIN }
//! ```
//!
//! Then `--variant lua` measures it alone beside the baseline, and [`crate::goals`] may compare it with others by name.

use std::pin::Pin;
use std::process::Command;

use anyhow::Result;
use cellgate_tests::options::Chain;
use serde_json::{Map, Value, json};

use crate::cases::{BUFFER_LIMIT, Case, NamedBy, Protocol};
use crate::peers;
use crate::stage::{Running, Scene};

pub(crate) mod ours;

/// One way. Functions are called when the stage is set, and only for the variants that run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Variant {
    /// For the command line, the goals and the JSON report: lower case, no spaces, no other's.
    pub(crate) name: &'static str,
    /// For people: what stands in front of the router.
    pub(crate) title: &'static str,
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
    /// Changes the harness's bootstrap, such as by [`insert_filter`].
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

/// All of them, the baseline first.
pub(crate) fn all() -> impl Iterator<Item = &'static Variant> {
    ours::ALL.iter().chain(peers::ALL)
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

/// The connection manager in a bootstrap of the harness; `None` in another one.
pub(crate) fn connection_manager(bootstrap: &mut Value) -> Option<&mut Map<String, Value>> {
    const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
    bootstrap.pointer_mut(MANAGER)?.as_object_mut()
}

/// Puts an HTTP filter in front of all others.
pub(crate) fn insert_filter(bootstrap: &mut Value, filter: Value) {
    let filters = connection_manager(bootstrap).and_then(|manager| manager.get_mut("http_filters")?.as_array_mut());
    if let Some(filters) = filters {
        filters.insert(0, filter);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_baseline_is_first_and_nothing_is_there_twice() {
        assert_eq!(all().next().map(|variant| variant.name), Some("plain"));
        let names: BTreeSet<_> = all().map(|variant| variant.name).collect();
        let titles: BTreeSet<_> = all().map(|variant| variant.title).collect();
        assert_eq!((names.len(), titles.len()), (all().count(), all().count()));
    }

    #[test]
    fn a_name_can_be_typed() {
        for variant in all() {
            assert!(variant.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", variant.name);
        }
    }

    #[test]
    fn every_variant_of_ours_decides() {
        for variant in all().filter(|variant| variant.ours) {
            assert_ne!(variant.named_by, NamedBy::Client, "{}", variant.name);
        }
    }

    #[test]
    fn a_filter_is_put_in_front() {
        let bootstrap = |filters: Value| {
            let chain = json!({"filters": [{"typed_config": {"http_filters": filters}}]});
            json!({"static_resources": {"listeners": [{"filter_chains": [chain]}]}})
        };
        let mut changed = bootstrap(json!(["router"]));
        insert_filter(&mut changed, json!("lua"));
        assert_eq!(changed, bootstrap(json!(["lua", "router"])));
    }

    #[test]
    fn what_is_not_measured_is_told_from_what_is() {
        let all_cases = Case::all();
        for variant in all() {
            let measured = all_cases.iter().filter(|case| (variant.can)(case).is_ok()).count();
            assert!(measured > 0, "{} can do nothing", variant.name);
        }
    }
}
