//! One route: its conditions, its action and the headers that it removes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::conditions::{Conditions, exact};
use crate::doctor::destinations::clusters_of;
use crate::doctor::message::{at, flag, has, list, number, text, texts};
use crate::doctor::origin::Origin;

/// A route, with the messages around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route<'a> {
    /// The route configuration, the virtual host and the route, from the outside in.
    levels: [&'a Value; 3],
    route: &'a Value,
}

/// The condition of a route on a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderCondition<'a> {
    /// None.
    Anything,
    /// The header has this value.
    Exactly(&'a str),
    /// The header is absent.
    Absence,
    /// Another condition, such as a pattern or a range.
    Other,
}

impl<'a> Route<'a> {
    pub(super) fn new(routes: &'a Value, host: &'a Value, route: &'a Value) -> Self {
        Self { levels: [routes, host, route], route }
    }

    /// The condition on a header.
    pub(super) fn condition_on(&self, header: &str) -> HeaderCondition<'a> {
        let mut matchers = self.conditions().headers().filter(|matcher| is_for(matcher, header));
        match (matchers.next(), matchers.next()) {
            (None, _) => HeaderCondition::Anything,
            (Some(only), None) if is_absence(only) => HeaderCondition::Absence,
            (Some(only), None) => exact(only).map_or(HeaderCondition::Other, HeaderCondition::Exactly),
            _ => HeaderCondition::Other,
        }
    }

    /// Whether the condition on this header is the only one.
    pub(super) fn is_broad(&self, header: &str) -> bool {
        let conditions = self.conditions();
        conditions.is_every_path()
            && !conditions.is_narrowed()
            && conditions.headers().all(|matcher| is_for(matcher, header))
    }

    /// The conditions.
    pub(super) fn conditions(&self) -> Conditions<'a> {
        Conditions::of(self.route)
    }

    /// The object from which it was generated, if the dump contains it.
    pub(super) fn origin(&self) -> Option<Origin<'a>> {
        Origin::of_route(self.route)
    }

    /// Its name, or its path.
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

    /// Its label, and the object from which it was generated.
    pub(super) fn title(&self) -> String {
        match self.origin() {
            Some(origin) => format!("{} of {origin}", self.label()),
            None => self.label(),
        }
    }

    /// Its action: `goes to cell-a`.
    pub(super) fn action(&self) -> String {
        let clusters: Vec<&str> = self.clusters().into_iter().collect();
        match self.status() {
            Some(status) => format!("answers {status}"),
            None if !clusters.is_empty() => format!("goes to {}", clusters.join(" and ")),
            None if self.forwards() => "goes to a cluster named by a header".to_owned(),
            None if has(self.route, "redirect") => "redirects".to_owned(),
            None => "forwards nothing".to_owned(),
        }
    }

    /// The clusters to which it forwards.
    pub(super) fn clusters(&self) -> BTreeSet<&'a str> {
        clusters_of(at(self.route, "route"))
    }

    /// Whether it forwards requests.
    pub(super) fn forwards(&self) -> bool {
        has(self.route, "route")
    }

    /// The status of a direct response.
    pub(super) fn status(&self) -> Option<u64> {
        number(self.route, "direct_response.status")
    }

    /// How it forwards: clusters, retries and timeout.
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

    /// Whether it removes a header from forwarded requests, for all of its clusters.
    pub(super) fn removes(&self, header: &str) -> bool {
        let removed_by = |level: &Value| lists(level, "request_headers_to_remove", header);
        let weighted = list(self.route, "route.weighted_clusters.clusters");
        self.levels.iter().any(|level| removed_by(level)) || (!weighted.is_empty() && weighted.iter().all(removed_by))
    }

    /// Whether it removes a header from responses, for any of its clusters.
    pub(super) fn removes_from_response(&self, header: &str) -> bool {
        let weighted = list(self.route, "route.weighted_clusters.clusters").iter();
        self.levels.into_iter().chain(weighted).any(|level| lists(level, "response_headers_to_remove", header))
    }

    /// Whether it disables an HTTP filter.
    pub(super) fn disables(&self, filter: &str) -> bool {
        self.setting(filter).is_some_and(is_disabled)
    }

    /// Whether it or one of its clusters has a matching setting for a filter.
    pub(super) fn sets(&self, filter: &str, is_meant: impl Fn(&Value) -> bool) -> bool {
        let clusters = list(self.route, "route.weighted_clusters.clusters").iter();
        let of_clusters = clusters.filter_map(|cluster| at(cluster, "typed_per_filter_config").get(filter));
        of_clusters.chain(self.setting(filter)).any(is_meant)
    }

    /// The setting for an HTTP filter. The innermost level takes precedence.
    fn setting(&self, filter: &str) -> Option<&'a Value> {
        self.levels.iter().rev().find_map(|level| at(level, "typed_per_filter_config").get(filter))
    }
}

/// Whether a list of names contains a header.
fn lists(level: &Value, field: &str, header: &str) -> bool {
    texts(level, field).any(|name| name.eq_ignore_ascii_case(header))
}

/// Whether a per-route setting disables its filter: Envoy's own, or that of ext_proc.
fn is_disabled(setting: &Value) -> bool {
    flag(setting, "disabled")
}

/// Whether a matcher requires that its header is absent.
fn is_absence(matcher: &Value) -> bool {
    match at(matcher, "present_match").as_bool() {
        Some(present) => present == flag(matcher, "invert_match"),
        None => false,
    }
}

fn is_for(matcher: &Value, header: &str) -> bool {
    text(matcher, "name").eq_ignore_ascii_case(header)
}
