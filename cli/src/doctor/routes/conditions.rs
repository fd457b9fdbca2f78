//! The conditions of a route: its paths, and further conditions.

use serde_json::Value;

use crate::doctor::finding::enumerate;
use crate::doctor::message::{at, flag, has, list, text};

/// The path of HTTP-01 challenges of certificate authorities (RFC 8555, section 8.3).
const CHALLENGES: &str = "/.well-known/acme-challenge";

/// Conditions besides headers and query parameters, and their names. `filter_state` is not in the list: the chart's guard
/// requires it on the cells' routes, so that only the filter can route requests to them.
const OTHERS: [(&str, &str); 5] = [
    ("grpc", "gRPC only"),
    ("runtime_fraction", "a share of them"),
    ("tls_context", "by the client's certificate"),
    ("dynamic_metadata", "by dynamic metadata"),
    ("cookies", "by cookie"),
];

/// A route's `match`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conditions<'a>(&'a Value);

impl<'a> Conditions<'a> {
    pub(super) fn of(route: &'a Value) -> Self {
        Self(at(route, "match"))
    }

    /// The matchers of headers.
    pub(super) fn headers(self) -> impl Iterator<Item = &'a Value> {
        list(self.0, "headers").iter()
    }

    /// Whether it matches every path.
    pub(super) fn is_every_path(self) -> bool {
        text(self.0, "prefix") == "/"
            || matches!(text(self.0, "safe_regex.regex"), ".*" | "/.*")
            || text(self.0, "path_separated_prefix") == "/"
    }

    /// Whether it has conditions besides a path and headers.
    pub(super) fn is_narrowed(self) -> bool {
        has(self.0, "query_parameters") || OTHERS.iter().any(|(field, _)| has(self.0, field))
    }

    /// The paths, as in `/api*`.
    pub(super) fn paths(self) -> String {
        let of = |field: &str| Some(text(self.0, field)).filter(|path| !path.is_empty());
        let template = || {
            let policy = at(self.0, "path_match_policy.typed_config");
            Some(text(policy, "path_template")).filter(|template| !template.is_empty())
        };
        if let Some(path) = of("prefix") {
            format!("{path}*")
        } else if let Some(path) = of("path") {
            path.to_owned()
        } else if let Some(path) = of("path_separated_prefix") {
            format!("{path} and {path}/*")
        } else if let Some(regex) = of("safe_regex.regex") {
            format!("paths that match the regular expression {regex}")
        } else if let Some(template) = template() {
            format!("paths of the template {template}")
        } else if has(self.0, "connect_matcher") {
            "CONNECT requests".to_owned()
        } else {
            "paths that this program cannot read".to_owned()
        }
    }

    /// The paths, and the other conditions in parentheses.
    pub(super) fn in_words(self) -> String {
        let mut narrowed = Vec::new();
        for matcher in self.headers() {
            let name = text(matcher, "name");
            match (name, exact(matcher)) {
                (":method", Some(method)) => narrowed.push(format!("{method} only")),
                (":method", None) => narrowed.push("some methods only".to_owned()),
                _ => narrowed.push(format!("by the header {name}")),
            }
        }
        for parameter in list(self.0, "query_parameters") {
            narrowed.push(format!("by the query parameter {}", text(parameter, "name")));
        }
        narrowed.extend(OTHERS.iter().filter(|(field, _)| has(self.0, field)).map(|(_, word)| (*word).to_owned()));
        let paths = self.paths();
        if narrowed.is_empty() { paths } else { format!("{paths} ({})", enumerate(&narrowed)) }
    }

    /// Whether it matches CORS preflights only: the method OPTIONS with `access-control-request-method` (Fetch, section 3.2.2).
    pub(super) fn is_preflight(self) -> bool {
        let of = |name: &str| self.headers().find(|matcher| text(matcher, "name").eq_ignore_ascii_case(name));
        of(":method").and_then(exact) == Some("OPTIONS")
            && of("access-control-request-method").is_some_and(|matcher| !flag(matcher, "invert_match"))
    }

    /// Whether it matches certificate challenges only.
    pub(super) fn is_challenge(self) -> bool {
        ["prefix", "path", "path_separated_prefix"].iter().any(|field| {
            let rest = text(self.0, field).strip_prefix(CHALLENGES);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// Whether a request may match the paths of both. A path that is not a literal may match any.
    pub(super) fn overlaps(self, other: Self) -> bool {
        match (self.literal(), other.literal()) {
            (Some((one, false)), Some((two, false))) => one == two,
            (Some((path, false)), Some((prefix, true))) | (Some((prefix, true)), Some((path, false))) => {
                path.starts_with(&prefix)
            }
            (Some((one, true)), Some((two, true))) => one.starts_with(&two) || two.starts_with(&one),
            _ => true,
        }
    }

    /// The path in lower case, for `case_sensitive: false`, and whether it is a prefix.
    fn literal(self) -> Option<(String, bool)> {
        let fields = [("prefix", true), ("path", false), ("path_separated_prefix", true)];
        fields.iter().find_map(|(field, is_prefix)| {
            let path = Some(text(self.0, field)).filter(|path| !path.is_empty())?;
            Some((path.to_ascii_lowercase(), *is_prefix))
        })
    }
}

/// The only value that a header matcher matches, if there is one.
pub(super) fn exact(matcher: &Value) -> Option<&str> {
    if flag(matcher, "invert_match") {
        return None;
    }
    ["string_match.exact", "exact_match"].map(|path| text(matcher, path)).into_iter().find(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_form_of_path_has_words() {
        let template = json!({"name": "t", "typed_config": {"path_template": "/v/{id}"}});
        for (conditions, expected) in [
            (json!({"prefix": "/api"}), "/api*"),
            (json!({"path": "/api"}), "/api"),
            (json!({"path_separated_prefix": "/api"}), "/api and /api/*"),
            (json!({"safe_regex": {"regex": "/v[0-9]"}}), "paths that match the regular expression /v[0-9]"),
            (json!({"path_match_policy": template}), "paths of the template /v/{id}"),
            (json!({"connect_matcher": {}}), "CONNECT requests"),
            (
                json!({
                    "prefix": "/",
                    "headers": [
                        {"name": ":method", "string_match": {"exact": "GET"}},
                        {"name": "x-beta", "present_match": true},
                    ],
                    "query_parameters": [{"name": "v"}],
                    "grpc": {},
                }),
                "/* (GET only, by the header x-beta, by the query parameter v, gRPC only)",
            ),
            (json!({"prefix": "/", "headers": [{"name": ":method"}]}), "/* (some methods only)"),
        ] {
            assert_eq!(Conditions(&conditions).in_words(), expected);
        }
    }

    #[test]
    fn literal_paths_that_exclude_each_other_do_not_overlap() {
        let all = [
            json!({"prefix": "/a"}),
            json!({"path": "/a/b"}),
            json!({"path": "/c"}),
            json!({"path_separated_prefix": "/A"}),
            json!({"safe_regex": {"regex": ".*"}}),
        ];
        let overlaps = |one: usize, two: usize| Conditions(&all[one]).overlaps(Conditions(&all[two]));
        for (one, two, expected) in
            [(0, 1, true), (1, 0, true), (0, 2, false), (1, 2, false), (0, 3, true), (2, 3, false), (2, 4, true)]
        {
            assert_eq!(overlaps(one, two), expected, "{one} {two}");
        }
    }
}
