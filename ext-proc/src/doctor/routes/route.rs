//! One route: what it matches, what it does, what it removes.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::doctor::clusters;
use crate::doctor::message::{self, at, flag, has, list, number, text, texts};

/// A route, with the messages around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route<'a> {
    /// The route configuration, the virtual host and the route, from the outside in.
    levels: [&'a Value; 3],
    route: &'a Value,
}

/// What a route wants of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted<'a> {
    /// Nothing.
    Anything,
    /// This value.
    Exactly(&'a str),
    /// Something that is not looked into: a pattern, a range, its absence.
    Something,
}

impl<'a> Route<'a> {
    pub(super) fn new(routes: &'a Value, host: &'a Value, route: &'a Value) -> Self {
        Self { levels: [routes, host, route], route }
    }

    /// What it wants of a header.
    pub(super) fn wants(&self, header: &str) -> Wanted<'a> {
        let mut matchers = self.headers().filter(|matcher| is_for(matcher, header));
        match (matchers.next(), matchers.next()) {
            (None, _) => Wanted::Anything,
            (Some(only), None) if !flag(only, "invert_match") => {
                let exact = ["string_match.exact", "exact_match"].map(|path| text(only, path));
                exact.into_iter().find(|value| !value.is_empty()).map_or(Wanted::Something, Wanted::Exactly)
            }
            _ => Wanted::Something,
        }
    }

    /// Whether it takes every request that has what it wants of this header.
    pub(super) fn is_broad(&self, header: &str) -> bool {
        let conditions = at(self.route, "match");
        let every_path = text(conditions, "prefix") == "/"
            || matches!(text(conditions, "safe_regex.regex"), ".*" | "/.*")
            || text(conditions, "path_separated_prefix") == "/";
        let narrowed = ["query_parameters", "grpc", "runtime_fraction", "tls_context", "dynamic_metadata", "cookies"]
            .iter()
            .any(|field| has(conditions, field));
        every_path && !narrowed && self.headers().all(|matcher| is_for(matcher, header))
    }

    fn headers(&self) -> impl Iterator<Item = &'a Value> {
        list(self.route, "match.headers").iter()
    }

    /// Its name, or what it matches.
    pub(super) fn label(&self) -> String {
        let conditions = at(self.route, "match");
        match text(self.route, "name") {
            "" => ["prefix", "path", "path_separated_prefix", "safe_regex.regex"]
                .iter()
                .map(|field| text(conditions, field))
                .find(|path| !path.is_empty())
                .map_or_else(|| "a route".to_owned(), |path| format!("the route on {path}")),
            name => format!("the route {name}"),
        }
    }

    /// What it matches besides a header: its path, and the kinds of its other conditions.
    pub(super) fn requests(&self) -> String {
        let conditions = at(self.route, "match");
        let path = ["prefix", "path_separated_prefix"]
            .iter()
            .find_map(|field| {
                Some(text(conditions, field)).filter(|path| !path.is_empty()).map(|path| format!("{path}*"))
            })
            .or_else(|| {
                ["path", "safe_regex.regex", "path_match_policy.name"]
                    .iter()
                    .find_map(|field| Some(text(conditions, field)).filter(|path| !path.is_empty()).map(str::to_owned))
            })
            .unwrap_or_else(|| "/*".to_owned());
        let mut others: Vec<&str> = self.headers().map(|matcher| text(matcher, "name")).collect();
        others.extend(["query_parameters", "cookies"].into_iter().filter(|field| has(conditions, field)));
        if others.is_empty() { path } else { format!("{path} with conditions on {}", others.join(", ")) }
    }

    /// The VirtualService that istiod has made it of, as `NAMESPACE/NAME`.
    pub(super) fn origin(&self) -> Option<String> {
        message::config_of(self.route)
    }

    /// Whether it only takes CORS preflights, which name no tenant.
    pub(super) fn is_for_preflights(&self) -> bool {
        let takes = |name: &str| self.headers().find(|matcher| is_for(matcher, name));
        takes("access-control-request-method").is_some()
            && takes(":method").is_some_and(|matcher| text(matcher, "string_match.exact") == "OPTIONS")
    }

    /// Whether it only takes certificate challenges (RFC 8555, 8.3), which name no tenant.
    pub(super) fn is_for_challenges(&self) -> bool {
        self.requests().starts_with("/.well-known/acme-challenge/")
    }

    /// The clusters to which it leads.
    pub(super) fn clusters(&self) -> BTreeSet<&'a str> {
        clusters::of_action(at(self.route, "route"))
    }

    /// Whether it leads to a cluster at all.
    pub(super) fn forwards(&self) -> bool {
        has(self.route, "route")
    }

    /// The status, if it answers by itself.
    pub(super) fn status(&self) -> Option<u64> {
        number(self.route, "direct_response.status")
    }

    /// How it forwards: to where, how often, how long.
    pub(super) fn manner(&self) -> String {
        let action = at(self.route, "route");
        let names: Vec<&str> = self.clusters().into_iter().collect();
        let retries = match number(action, "retry_policy.num_retries").unwrap_or(1) {
            _ if !has(action, "retry_policy") => "no retries".to_owned(),
            0 => "no retries".to_owned(),
            count => format!("{count} retries on {}", text(action, "retry_policy.retry_on")),
        };
        let timeout = match text(action, "timeout") {
            "" => "time-out 15s (Envoy's default)".to_owned(),
            "0s" => "no time-out".to_owned(),
            time => format!("time-out {time}"),
        };
        let names = if names.is_empty() { "a cluster named by a header".to_owned() } else { names.join(" and ") };
        format!("{names}, {retries}, {timeout}")
    }

    /// Whether a header is removed from what goes on, for each cluster to which it may go.
    pub(super) fn removes(&self, header: &str) -> bool {
        let removed_by =
            |level: &Value| texts(level, "request_headers_to_remove").any(|name| name.eq_ignore_ascii_case(header));
        let weighted = list(self.route, "route.weighted_clusters.clusters");
        self.levels.iter().any(|level| removed_by(level)) || (!weighted.is_empty() && weighted.iter().all(removed_by))
    }

    /// Whether it switches an HTTP filter off.
    pub(super) fn disables(&self, filter: &str) -> bool {
        // The innermost setting counts.
        self.levels.iter().rev().find_map(|level| at(level, "typed_per_filter_config").get(filter)).is_some_and(is_off)
    }
}

/// Whether a filter's per-route setting is one that switches it off: Envoy's own, or that of ext_proc.
fn is_off(setting: &Value) -> bool {
    flag(setting, "disabled")
}

fn is_for(matcher: &Value, header: &str) -> bool {
    text(matcher, "name").eq_ignore_ascii_case(header)
}
