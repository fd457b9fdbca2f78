//! The hosts whose requests are decided, compared with the authority of a request.
//!
//! Envoy picks a virtual host by the authority. Its configuration decides whether it ignores the port or a trailing dot. A
//! client must not avoid the decision with a spelling that still matches a route. So every host that Envoy may read in
//! the authority counts, and the request is in scope if one of them is.

use std::str::FromStr;

/// The longest name (RFC 1035, 2.3.4).
pub const MAX_HOST: usize = 253;

/// The most colons of an authority: an IPv6 address and a port. An authority with more is in scope without a comparison.
const MAX_COLONS: usize = 8;

/// A host, or all hosts below a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    /// The host, or a dot and the domain.
    name: Box<str>,
    /// Whether the name is a suffix of the host.
    below: bool,
}

/// The text is not a host name or a pattern of host names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHost {
    /// The text is `*`.
    #[error("`*` is not supported: to select every host, remove `hosts`")]
    Every,
    /// Any other text.
    #[error("expected a host without a port, such as `api.example.com`, or `*.example.com` for all hosts below it")]
    Name,
}

impl FromStr for HostPattern {
    type Err = BadHost;

    fn from_str(text: &str) -> Result<Self, BadHost> {
        if text == "*" {
            return Err(BadHost::Every);
        }
        let (below, domain) = text.strip_prefix("*.").map_or((false, text), |domain| (true, domain));
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        if text.len() > MAX_HOST || !domain.split('.').all(is_label) {
            return Err(BadHost::Name);
        }
        let name = text.strip_prefix('*').unwrap_or(text);
        Ok(Self { name: name.into(), below })
    }
}

impl HostPattern {
    fn matches(&self, host: &[u8]) -> bool {
        let split = host.len().checked_sub(self.name.len()).and_then(|start| host.split_at_checked(start));
        split.is_some_and(|(before, end)| {
            before.is_empty() != self.below && end.eq_ignore_ascii_case(self.name.as_bytes())
        })
    }
}

/// Whether an authority (`:authority`) may be that of a host in the list.
pub(crate) fn lists(hosts: &[HostPattern], authority: &[u8]) -> bool {
    has_excess_colons(authority)
        || possible_hosts(authority).any(|host| hosts.iter().any(|listed| listed.matches(host)))
}

/// Whether an authority has more colons than any host and port.
pub(crate) fn has_excess_colons(authority: &[u8]) -> bool {
    authority.iter().filter(|byte| **byte == b':').count() > MAX_COLONS
}

/// The hosts that Envoy may read in an authority: the whole of it, and the part before each colon. Envoy looks for the last
/// colon (`ignore_port_in_host_matching`), for the one before it (after `strip_any_host_port`) and for the first (a virtual
/// host `NAME:*`). A trailing dot is not part of the host.
pub(crate) fn possible_hosts(authority: &[u8]) -> impl Iterator<Item = &[u8]> {
    let colons = authority.iter().enumerate().filter(|(_, byte)| **byte == b':');
    let before = colons.filter_map(|(colon, _)| authority.get(..colon));
    std::iter::once(authority).chain(before).map(|host| host.strip_suffix(b".").unwrap_or(host))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is(pattern: &str, authority: &str) -> bool {
        let pattern = pattern.parse().unwrap_or_else(|error| panic!("{pattern}: {error}"));
        lists(&[pattern], authority.as_bytes())
    }

    #[test]
    fn a_host_matches_in_every_spelling() {
        let api = "Api.example.com";
        for same in
            ["api.example.com", "API.EXAMPLE.COM", "api.example.com.", "api.example.com:80", "api.example.com.:80"]
        {
            assert!(is(api, same), "{same}");
        }
        // These are not valid ports, but Envoy removes them or matches `api.example.com:*`.
        for same in ["api.example.com:", "api.example.com:http", "api.example.com:1:2", "api.example.com:80]"] {
            assert!(is(api, same), "{same}");
        }
        for other in [
            "",
            ":80",
            ".",
            "example.com",
            "a.api.example.com",
            "api.example.com.evil",
            "api.example.com,api.example.com",
        ] {
            assert!(!is(api, other), "{other}");
        }
        for other in
            ["u@api.example.com", "api.example.com/", "api%2Eexample.com", "api.example.com ", "[api.example.com]"]
        {
            assert!(!is(api, other), "{other}");
        }
    }

    #[test]
    fn a_wildcard_matches_all_names_below_the_domain_and_not_the_domain() {
        let below = "*.example.com";
        for inside in
            ["a.example.com", "A.B.EXAMPLE.com:443", "a.b.c.example.com.", "x:1.example.com", "x:1.example.com:80"]
        {
            assert!(is(below, inside), "{inside}");
        }
        for outside in
            ["example.com", ".example.com", "aexample.com", "a.example.com.evil", "a.example.org", "[::1]:80"]
        {
            assert!(!is(below, outside), "{outside}");
        }
    }

    #[test]
    fn an_address_is_a_host() {
        assert!(is("10.0.0.1", "10.0.0.1:8080"));
        assert!(!is("10.0.0.1", "[::ffff:10.0.0.1]:8080"));
    }

    #[test]
    fn an_authority_with_more_colons_than_any_host_matches() {
        assert!(!is("api.example.com", "[1:2:3:4:5:6:7:8]:80"));
        assert!(is("api.example.com", &":".repeat(9)));
    }

    #[test]
    fn a_text_that_is_not_a_host_is_refused() {
        assert_eq!("*".parse::<HostPattern>(), Err(BadHost::Every));
        let long = format!("{}.com", "a".repeat(64));
        let longer = ["abcdefg"; 32].join(".");
        for bad in [
            "", ".", "*.", "*.*.com", "a.*", "*a.com", "a..b", "a.", ".a", "a:80", "a/b", "[::1]", "ä.com", "a b",
            &long, &longer,
        ] {
            assert_eq!(bad.parse::<HostPattern>(), Err(BadHost::Name), "{bad}");
        }
        assert!("a".repeat(63).parse::<HostPattern>().is_ok());
        assert!(longer[..253].parse::<HostPattern>().is_ok());
    }

    /// The options of Envoy's connection manager and route configuration.
    #[derive(Clone, Copy, Debug)]
    struct EnvoyOptions {
        strip_trailing_host_dot: bool,
        strip_any_host_port: bool,
        ignore_port_in_host_matching: bool,
    }

    impl EnvoyOptions {
        /// The authority as filters and Envoy's router see it.
        fn normalize(self, authority: &str) -> String {
            let mut seen = authority.to_owned();
            if self.strip_trailing_host_dot
                && let Some(dot) = seen.rfind('.')
                && matches!(seen.as_bytes().get(dot + 1), None | Some(b':'))
            {
                seen.remove(dot);
            }
            if self.strip_any_host_port { without_port(&seen).to_owned() } else { seen }
        }

        /// Whether Envoy's router finds the virtual host of one of these domains.
        fn routes(self, seen: &str, domains: &[&str]) -> bool {
            let host = if self.ignore_port_in_host_matching { without_port(seen) } else { seen };
            let host = host.to_ascii_lowercase();
            domains.iter().any(|domain| match (domain.strip_prefix('*'), domain.strip_suffix('*')) {
                (Some(end), _) => host.len() > end.len() && host.ends_with(end),
                (None, Some(start)) => host.len() > start.len() && host.starts_with(start),
                (None, None) => host == *domain,
            })
        }
    }

    fn without_port(host: &str) -> &str {
        match host.rfind(':') {
            Some(colon) if host.rfind(']').is_none_or(|end| end < colon) => &host[..colon],
            _ => host,
        }
    }

    proptest! {
        /// If Envoy routes an authority by the domains that Istio makes of a host, that host is in scope.
        #[test]
        fn every_spelling_that_is_routed_is_decided(
            authority in r"([abAB]|[abAB.]|[:.\]\[]|a[.]b|[.]A[.]B|:8){0,8}",
            strip_trailing_host_dot: bool,
            strip_any_host_port: bool,
            ignore_port_in_host_matching: bool,
        ) {
            let envoy = EnvoyOptions { strip_trailing_host_dot, strip_any_host_port, ignore_port_in_host_matching };
            let seen = envoy.normalize(&authority);
            for (pattern, domains) in [("a.b", &["a.b", "a.b.", "a.b:*", "a.b:8", "a.b.:8"][..]), ("*.a.b", &["*.a.b", "*.a.b:8", "*.a.b."])] {
                if envoy.routes(&seen, domains) {
                    prop_assert!(is(pattern, &seen), "{pattern} does not match {seen}");
                }
            }
        }
    }
}
