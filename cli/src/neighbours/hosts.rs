//! Hosts of routes: names, and names that start with `*`. Envoy uses the most specific matching host, so routes of different
//! hosts never mix.

/// The relation of another team's host to one of the release's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// They are the same: their routes are tried in one list.
    Same,
    /// The other host is more specific: it takes requests that the release's host covers.
    Inside,
    /// The hosts do not overlap, or the release's is more specific.
    Apart,
}

/// Compares another team's host with the release's.
pub(super) fn relation(theirs: &str, ours: &str) -> Relation {
    let (theirs, ours) = (theirs.to_ascii_lowercase(), ours.to_ascii_lowercase());
    if theirs == ours {
        return Relation::Same;
    }
    match ours.strip_prefix('*') {
        Some(suffix) if theirs.trim_start_matches('*').ends_with(suffix) && theirs != "*" => Relation::Inside,
        _ => Relation::Apart,
    }
}

/// Whether requests for `host`, a name or a pattern, are all covered by a pattern.
pub(super) fn covers(pattern: &str, host: &str) -> bool {
    relation(host, pattern) != Relation::Apart
}

/// The hosts as a Gateway's servers serve them. Istio intersects the two: a route for `*.example.com` on a server for
/// `api.example.com` is a route for the latter. The hosts themselves stay among them.
pub(super) fn served(hosts: &[String], servers: &[String]) -> Vec<String> {
    let mut served = hosts.to_vec();
    for host in hosts {
        served.extend(servers.iter().filter(|server| covers(host, server)).cloned());
    }
    served.sort_unstable();
    served.dedup();
    served
}

/// The full name of a host in a namespace. For Istio, a name without a dot is a service of the namespace.
pub(super) fn full(host: &str, namespace: &str) -> String {
    if host.contains('.') || host.starts_with('*') {
        host.to_owned()
    } else {
        format!("{host}.{namespace}.svc.cluster.local")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_specific_host_takes_its_requests() {
        for (theirs, ours, expected) in [
            ("api.example.com", "API.example.com", Relation::Same),
            ("*.example.com", "*.example.com", Relation::Same),
            ("*", "*", Relation::Same),
            ("api.example.com", "*.example.com", Relation::Inside),
            ("*.eu.example.com", "*.example.com", Relation::Inside),
            ("api.example.com", "*", Relation::Inside),
            ("*.example.com", "*", Relation::Inside),
            ("*", "api.example.com", Relation::Apart),
            ("*.example.com", "api.example.com", Relation::Apart),
            ("*", "*.example.com", Relation::Apart),
            ("example.com", "*.example.com", Relation::Apart),
            ("other.com", "api.example.com", Relation::Apart),
        ] {
            assert_eq!(relation(theirs, ours), expected, "{theirs} {ours}");
        }
    }

    #[test]
    fn a_pattern_becomes_the_narrower_name_of_the_server() {
        let lists = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let servers = lists(&["api.example.com", "other.test"]);
        assert_eq!(served(&lists(&["*.example.com"]), &servers), ["*.example.com", "api.example.com"]);
        assert_eq!(served(&lists(&["*"]), &servers), ["*", "api.example.com", "other.test"]);
        assert_eq!(served(&lists(&["api.example.com"]), &lists(&["*.example.com"])), ["api.example.com"]);
    }

    #[test]
    fn short_names_are_services_of_their_namespace() {
        assert_eq!(full("api", "cell-a"), "api.cell-a.svc.cluster.local");
        assert_eq!(full("api.example.com", "cell-a"), "api.example.com");
        assert_eq!(full("*", "cell-a"), "*");
    }
}
