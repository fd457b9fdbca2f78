//! The filter: its presence, its place in the chain, its behaviour after a crash, and its configuration.

use cellgate_config::ConfigError;
use cellgate_routing::Config;
use serde_json::Value;

use super::claims;
use super::dump::{Chain, Dump, HttpFilter};
use super::finding::{Notes, enumerate};
use super::message::{at, duration, flag, has, is_a, text, texts};
use super::service;

/// With a longer back-off, the worker would answer 503 for longer than clients retry.
const LONGEST_BACK_OFF: std::time::Duration = std::time::Duration::from_millis(500);

/// Cellgate's filter in a chain: the proxy-wasm filter with its name or its configuration. If the configuration has not arrived,
/// or istiod's dump does not name it, the filter is recognised by the service's filter behind it.
pub(super) fn find<'a>(dump: &'a Dump, manager: &'a Value) -> Option<HttpFilter<'a>> {
    let filters = dump.http_filters(manager);
    let named = |filter: &HttpFilter<'_>| filter.name.contains("cellgate");
    let known = filters.iter().find(|filter| is_wasm(filter) && (named(filter) || is_configuration(filter.config)));
    if let Some(filter) = known {
        return Some(*filter);
    }
    let unnamed = dump.unnamed.iter().find(|extension| is_configuration(&extension.config));
    let awaiting = |filter: &&HttpFilter<'_>| awaits_wasm(filter) && !is_wasm(filter);
    let before_service = || {
        let service = filters.iter().position(|filter| service::is_behind_matcher(filter.config))?;
        filters.get(..service)?.iter().rfind(awaiting)
    };
    let any = || filters.iter().find(awaiting).filter(|_| unnamed.is_some());
    let filter = filters.iter().filter(awaiting).find(|filter| named(filter)).or_else(before_service).or_else(any)?;
    Some(match unnamed {
        Some(extension) if filter.config.is_null() => {
            HttpFilter { config: &extension.config, version: extension.version(), ..*filter }
        }
        _ => *filter,
    })
}

/// Whether this is the configuration of Cellgate's filter.
fn is_configuration(wasm: &Value) -> bool {
    let config = at(wasm, "config");
    text(config, "name") == "cellgate" || text(config, "configuration.value").contains("\"routing_header\"")
}

fn is_wasm(filter: &HttpFilter<'_>) -> bool {
    is_a(filter.config, "Wasm")
}

/// Whether the chain discovers a proxy-wasm filter.
fn awaits_wasm(filter: &HttpFilter<'_>) -> bool {
    texts(filter.entry, "config_discovery.type_urls").any(|kind| kind.ends_with(".Wasm"))
}

/// Examines the filter of a chain, and returns its configuration if it is valid.
pub(super) fn examine(dump: &Dump, chain: &Chain<'_>, filter: &HttpFilter<'_>, notes: &mut Notes) -> Option<Config> {
    let filters = dump.http_filters(chain.manager);
    let before: Vec<&str> = filters.iter().map(|other| other.name).take_while(|name| *name != filter.name).collect();
    let reading = read(at(filter.config, "config")).ok().filter(claims::are_read);
    if let Some(config) = reading {
        claims::examine(&filters, filter.name, &config, notes);
    } else if before.is_empty() {
        notes.ok(format!("`{}` is the first HTTP filter", filter.name));
    } else {
        notes.warning(
            format!(
                "`{}` is behind {}: filters in front of it see the client's own routing header",
                filter.name,
                enumerate(&before)
            ),
            "insert the filter first (EnvoyFilter: INSERT_FIRST with the highest priority value)",
        );
    }
    if flag(filter.entry, "disabled") {
        notes.error(
            "the filter is disabled (`disabled: true`): no request is decided, and no header is stripped",
            "remove `disabled` from the filter's entry",
        );
    }
    if filter.config.is_null() {
        notes.error(
            format!(
                "the configuration of `{}` has not arrived: Envoy answers 500 or refuses the listener",
                filter.name
            ),
            "look at istiod's log and at the EnvoyFilter with EXTENSION_CONFIG: its name must be the filter's",
        );
        return None;
    }
    if !is_wasm(filter) {
        notes.error(
            "the module could not be fetched: Istio's agent has replaced the filter by one that refuses every request with 403",
            "look at the agent's log (the proxy's container), the module's URL and its sha256",
        );
        return None;
    }
    let config = at(filter.config, "config");
    survives(config, notes);
    module(config, filter.version, notes);
    configuration(config, notes)
}

/// Settings for paused requests and for crashes.
fn survives(config: &Value, notes: &mut Notes) {
    if !flag(config, "allow_on_headers_stop_iteration") {
        notes.error(
            "`allow_on_headers_stop_iteration` is not set: a paused request never gets its body and hangs",
            "set `allow_on_headers_stop_iteration: true`",
        );
    }
    let policy = text(config, "failure_policy");
    if policy == "FAIL_OPEN" || flag(config, "fail_open") {
        notes.error(
            "the filter fails open: after a crash a client's own routing header chooses the cell",
            "set `failure_policy: FAIL_RELOAD`",
        );
    } else if policy != "FAIL_RELOAD" {
        notes.warning(
            "after one crash of the filter its worker answers 503 until Envoy is restarted",
            "set `failure_policy: FAIL_RELOAD`",
        );
    } else if duration(config, "reload_config.backoff.base_interval").is_none_or(|time| time > LONGEST_BACK_OFF) {
        notes.warning(
            "after a crash of the filter its worker answers 503 for about a second",
            "set `reload_config: { backoff: { base_interval: 0.05s } }`",
        );
    }
}

/// The module that runs.
fn module(config: &Value, version: Option<&str>, notes: &mut Notes) {
    let code = at(config, "vm_config.code");
    let discovered = version.map(|version| format!(", version {version} of its configuration")).unwrap_or_default();
    if has(code, "remote") {
        let (uri, hash) = (text(code, "remote.http_uri.uri"), text(code, "remote.sha256"));
        // istiod passes the hash of an image to Istio's agent, which checks it.
        let pinned = !hash.is_empty() && hash != "nil";
        if pinned {
            notes.ok(format!("module {uri}, sha256 {hash}{discovered}"));
        } else {
            notes.warning(
                format!("module {uri} is not pinned: anyone who can write to this URL can run code in the gateway"),
                "set the module's sha256 (chart: `filter.module.sha256`)",
            );
        }
    } else {
        let file = text(code, "local.filename");
        notes.ok(format!("module {}{discovered}", if file.is_empty() { "given inline" } else { file }));
    }
}

/// The filter's configuration.
fn read(config: &Value) -> Result<Config, ConfigError> {
    cellgate_config::from_json(text(config, "configuration.value"), "configuration")
}

fn configuration(config: &Value, notes: &mut Notes) -> Option<Config> {
    let json = text(config, "configuration.value");
    if json.is_empty() {
        notes.error(
            "the filter has no configuration",
            "set `configuration` to a google.protobuf.StringValue with the output of `cellgate render FILE`",
        );
        return None;
    }
    match read(config) {
        Ok(config) => {
            let version = if config.version.is_empty() { "without a version" } else { &config.version };
            let (cells, sources) = (enumerate(&config.cells), config.sources.len());
            notes.ok(format!(
                "configuration {version}: header {}, cells {cells}, {sources} sources",
                config.routing_header
            ));
            if config.shadow {
                notes.warning(
                    "the filter is in shadow mode: it counts and logs its decisions, and routes no request",
                    "when the access log and the counters show what you expect, remove `shadow: true` from the configuration",
                );
            }
            if let Some(decided_by) = &config.decided_by {
                notes.ok(format!("accepts the decisions of {}", enumerate(&decided_by.peers)));
            }
            Some(config)
        }
        Err(error) => {
            notes.error(
                format!("this program refuses the filter's configuration: {error}"),
                "correct it (`cellgate check`), or use a `cellgate` of the filter's version",
            );
            None
        }
    }
}
