//! The scope: the requests that Cellgate decides.

use crate::head::Head;
use crate::host::{self, HostPattern};
use crate::reason::Reason;
use crate::source::{Plus, decode_valid};

/// Hosts, methods and paths that are in scope. Empty lists mean all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Hosts, compared with `:authority`.
    pub hosts: Vec<HostPattern>,
    /// Methods, compared exactly (RFC 9110, 9.1: methods are case-sensitive).
    pub methods: Vec<Box<str>>,
    /// Path prefixes, compared with the path as Envoy normalised it, without the query.
    pub paths: Vec<Box<str>>,
    /// Exceptions.
    pub except: Except,
}

/// Requests without a tenant, such as certificate challenges, health checks and static files. Empty lists mean none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Except {
    /// Methods, compared exactly.
    pub methods: Vec<Box<str>>,
    /// Paths without the query. A path that ends in `/` stands for all paths below it.
    pub paths: Vec<Box<str>>,
}

impl Except {
    /// Whether a request is listed.
    fn lists<H: Head + ?Sized>(&self, head: &H) -> bool {
        let method = || head.first(":method").unwrap_or_default();
        self.methods.iter().any(|listed| listed.as_bytes() == method())
            || (!self.paths.is_empty() && self.lists_path(path_of(head)))
    }

    fn lists_path(&self, path: &[u8]) -> bool {
        let is_listed = |listed: &str| match listed.ends_with('/') {
            true => path.starts_with(listed.as_bytes()),
            false => path == listed.as_bytes(),
        };
        self.paths.iter().any(|listed| is_listed(listed)) && is_normalised(path)
    }
}

impl Scope {
    /// Whether the request is in scope.
    ///
    /// # Errors
    /// The reason why it is not.
    pub fn check<H: Head + ?Sized>(&self, head: &H) -> Result<(), Reason> {
        // The host comes first: on a shared gateway, this configuration does not know the methods and paths of other hosts.
        if !self.has_host(head) {
            return Err(Reason::HostExcluded);
        }
        if self.except.lists(head) {
            return Err(Reason::Excepted);
        }
        if !self.methods.is_empty() {
            let method = head.first(":method").unwrap_or_default();
            if !self.methods.iter().any(|wanted| wanted.as_bytes() == method) {
                // A browser sends a preflight before a POST from another origin.
                return Err(if is_preflight(head) { Reason::Preflight } else { Reason::MethodExcluded });
            }
        }
        if !self.paths.is_empty() {
            let path = path_of(head);
            if !self.paths.iter().any(|prefix| path.starts_with(prefix.as_bytes())) {
                return Err(Reason::PathExcluded);
            }
        }
        Ok(())
    }

    /// As [`Scope::check`], for a rule that no request may avoid by another spelling of its path. The path is in scope if it is
    /// with its escapes decoded, or if servers read it in different ways.
    ///
    /// # Errors
    /// The reason why the request is not in scope.
    pub(crate) fn check_every_spelling<H: Head + ?Sized>(&self, head: &H) -> Result<(), Reason> {
        let may_match = |path: &[u8]| {
            let decoded = decode_valid(path, Plus::Plus);
            !is_normalised(path) || self.paths.iter().any(|prefix| decoded.starts_with(prefix.as_bytes()))
        };
        match self.check(head) {
            Err(Reason::PathExcluded) if may_match(path_of(head)) => Ok(()),
            checked => checked,
        }
    }

    /// Whether the request is for one of the hosts. A request without a host is, so that it cannot avoid the decision.
    fn has_host<H: Head + ?Sized>(&self, head: &H) -> bool {
        self.hosts.is_empty() || {
            let mut authorities = head.values(":authority").filter(|authority| !authority.is_empty()).peekable();
            authorities.peek().is_none() || authorities.any(|authority| self.lists(authority))
        }
    }

    /// Whether an authority may be that of one of the hosts. An empty list means every host.
    #[must_use]
    pub fn lists(&self, authority: &[u8]) -> bool {
        self.hosts.is_empty() || host::lists(&self.hosts, authority)
    }
}

/// The path without query and fragment.
pub(crate) fn path_of<H: Head + ?Sized>(head: &H) -> &[u8] {
    let target = head.first(":path").unwrap_or_default();
    target.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default()
}

/// The query, without `?` and fragment.
pub(crate) fn query_of<H: Head + ?Sized>(head: &H) -> &[u8] {
    let target = head.first(":path").unwrap_or_default();
    let target = target.split(|byte| *byte == b'#').next().unwrap_or_default();
    target.iter().position(|byte| *byte == b'?').and_then(|mark| target.get(mark + 1..)).unwrap_or_default()
}

/// Whether the request becomes a byte tunnel: CONNECT, or an upgrade by Envoy's rule (`Connection` contains the token
/// `upgrade`, and `Upgrade` is not empty).
pub(crate) fn is_tunnel<H: Head + ?Sized>(head: &H) -> bool {
    head.first(":method") == Some(b"CONNECT")
        || (head.first("upgrade").is_some_and(|protocol| !protocol.is_empty())
            && head.values("connection").any(|value| {
                value.split(|byte| *byte == b',').any(|token| token.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
            }))
}

/// Whether the request is a CORS preflight (Fetch standard, 4.8).
pub(crate) fn is_preflight<H: Head + ?Sized>(head: &H) -> bool {
    let has = |name| head.first(name).is_some_and(|value| !value.is_empty());
    head.first(":method") == Some(b"OPTIONS") && has("origin") && has("access-control-request-method")
}

/// Whether every server reads a path in the same way: it has no dot segment, no empty segment and no backslash, also not
/// encoded. Otherwise a path could match an exception and be another path to the upstream.
pub fn is_normalised(path: &[u8]) -> bool {
    let encoded =
        |bytes: &[u8]| [b"%2e", b"%2f", b"%5c", b"%25"].iter().any(|escape| bytes.eq_ignore_ascii_case(*escape));
    let mut segments = path.split(|byte| *byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        // Servers that support path parameters read `/a/..;x` as `/`.
        let name = segment.split(|byte| *byte == b';').next().unwrap_or_default();
        if matches!(name, b"." | b"..") || (segment.is_empty() && !last) {
            return false;
        }
    }
    !path.contains(&b'\\') && !path.windows(3).any(encoded)
}

/// Whether the head announces a body (RFC 9112, 6).
pub(crate) fn announces_body<H: Head + ?Sized>(head: &H) -> bool {
    head.values("content-length").any(|length| length != b"0") || head.first("transfer-encoding").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head<'a>(fields: &'a [(&'a str, &'a str)]) -> &'a [(&'a str, &'a str)] {
        fields
    }

    #[test]
    fn path_and_query_are_split() {
        let fields = [(":path", "/a/b?x=1&y=?#z")];
        assert_eq!(path_of(head(&fields)), b"/a/b");
        assert_eq!(query_of(head(&fields)), b"x=1&y=?");
        assert_eq!(query_of(head(&[(":path", "/a#?x")])), b"");
        assert_eq!(path_of(head(&[])), b"");
    }

    #[test]
    fn methods_and_paths_exclude() {
        let scope = Scope { methods: vec!["POST".into()], paths: vec!["/api/".into()], ..Scope::default() };
        assert_eq!(scope.check(head(&[(":method", "POST"), (":path", "/api/x")])), Ok(()));
        assert_eq!(scope.check(head(&[(":method", "post"), (":path", "/api/x")])), Err(Reason::MethodExcluded));
        assert_eq!(scope.check(head(&[(":method", "POST"), (":path", "/app?/api/")])), Err(Reason::PathExcluded));
        let preflight =
            [(":method", "OPTIONS"), (":path", "/api/x"), ("origin", "a"), ("access-control-request-method", "POST")];
        assert_eq!(scope.check(head(&preflight)), Err(Reason::Preflight));
        assert_eq!(scope.check(head(&preflight[..3])), Err(Reason::MethodExcluded));
    }

    #[test]
    fn an_exception_matches_one_spelling_only() {
        let except = Except { methods: vec!["TRACE".into()], paths: vec!["/healthz".into(), "/static/".into()] };
        let scope = Scope { except, ..Scope::default() };
        let check = |method, path| scope.check(head(&[(":method", method), (":path", path)]));
        for (method, path) in [
            ("GET", "/healthz"),
            ("POST", "/healthz?tenant=x"),
            ("GET", "/static/"),
            ("GET", "/static/a/b.css"),
            ("GET", "/static/a/"),
            ("TRACE", "/any"),
        ] {
            assert_eq!(check(method, path), Err(Reason::Excepted), "{method} {path}");
        }
        for path in [
            "/healthz/",
            "/healthzzz",
            "/Healthz",
            "/static",
            "/static/../orders",
            "/static/..",
            "/static/..;x=y/orders",
            "/static/./a",
            "/static//a",
            "/static/%2e%2E/orders",
            "/static/%2Forders",
            "/static/a%5c..%5corders",
            "/static/%252e%252e/orders",
            "/static/\\..\\orders",
            "//static/a",
            "",
        ] {
            assert_eq!(check("GET", path), Ok(()), "{path}");
        }
    }

    #[test]
    fn the_host_is_checked_before_method_and_path() {
        let scope = Scope {
            hosts: vec!["api.example.com".parse().unwrap(), "*.api.example.com".parse().unwrap()],
            methods: vec!["POST".into()],
            ..Scope::default()
        };
        let check = |hosts: &[&str], method| {
            let mut fields: Vec<_> = hosts.iter().map(|host| (":authority", *host)).collect();
            fields.push((":method", method));
            scope.check(head(&fields))
        };
        assert_eq!(check(&["api.example.com"], "POST"), Ok(()));
        assert_eq!(check(&["a.API.example.com:8080"], "POST"), Ok(()));
        assert_eq!(check(&["api.example.com"], "GET"), Err(Reason::MethodExcluded));
        assert_eq!(check(&["example.com"], "POST"), Err(Reason::HostExcluded));
        assert_eq!(check(&["example.com"], "GET"), Err(Reason::HostExcluded));
        // Envoy refuses all of these. If it did not, they would be decided.
        for unclear in [&[][..], &[""], &["", ""], &["example.com", "api.example.com"]] {
            assert_eq!(check(unclear, "POST"), Ok(()), "{unclear:?}");
        }
        assert_eq!(Scope::default().check(head(&[(":authority", "any")])), Ok(()));
    }

    #[test]
    fn tunnels_need_both_headers() {
        assert!(is_tunnel(head(&[(":method", "CONNECT")])));
        assert!(is_tunnel(head(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")])));
        assert!(!is_tunnel(head(&[("upgrade", "websocket")])));
        assert!(!is_tunnel(head(&[("connection", "upgrade")])));
    }
}
