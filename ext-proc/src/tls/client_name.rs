//! Names of clients that are admitted: DNS names and SPIFFE ids.

use std::fmt;
use std::str::FromStr;

use super::certificate::Names;

const SCHEME: &str = "spiffe://";

/// The longest SPIFFE id, in bytes (SPIFFE-ID, section 2.3).
const MAX_ID: usize = 2048;

/// A name that a client's certificate may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientName {
    /// A DNS name. ASCII letters match in upper and lower case. A wildcard in a certificate matches nothing.
    Dns(String),
    /// A SPIFFE id, which must be the only URI in the certificate.
    Spiffe(String),
    /// All SPIFFE ids below a path, written with `/*` at the end. The string ends in `/`.
    SpiffeBelow(String),
}

/// A text that is no name of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadClientName {
    /// Neither a DNS name nor a SPIFFE id.
    #[error(
        "use a DNS name such as `gateway.example.com`, or a SPIFFE id such as `spiffe://example.com/ns/istio-ingress/sa/gateway`"
    )]
    Neither,
    /// A wildcard that is not at the end of a SPIFFE id.
    #[error("`*` is only allowed as the last part of a SPIFFE id, such as `spiffe://example.com/ns/istio-ingress/*`")]
    Wildcard,
    /// The trust domain or the path of a SPIFFE id is malformed.
    #[error(
        "a SPIFFE id is `spiffe://TRUST-DOMAIN/PATH`: the trust domain in lower case, and the path without empty parts, `.`, `..` or percent-encoding"
    )]
    Spiffe,
}

impl ClientName {
    /// Whether a certificate with these names is admitted.
    pub(crate) fn admits(&self, names: &Names) -> bool {
        match (self, names.uris.as_slice()) {
            (Self::Dns(name), _) => names.dns.iter().any(|dns| dns.eq_ignore_ascii_case(name)),
            (Self::Spiffe(id), [uri]) => uri == id,
            (Self::SpiffeBelow(start), [uri]) => {
                // The rest is a valid path, so that no `..` leads out of it.
                uri.strip_prefix(start.as_str()).is_some_and(is_path)
            }
            // A SPIFFE certificate has exactly one URI (X509-SVID, section 2).
            (Self::Spiffe(_) | Self::SpiffeBelow(_), _) => false,
        }
    }
}

impl FromStr for ClientName {
    type Err = BadClientName;

    fn from_str(text: &str) -> Result<Self, BadClientName> {
        let Some(id) = text.strip_prefix(SCHEME) else {
            return match text {
                _ if text.contains('*') => Err(BadClientName::Wildcard),
                _ if is_dns_name(text) => Ok(Self::Dns(text.to_owned())),
                _ => Err(BadClientName::Neither),
            };
        };
        let (id, below) = id.strip_suffix("/*").map_or((id, false), |id| (id, true));
        if id.contains('*') {
            return Err(BadClientName::Wildcard);
        }
        let (domain, path) = id.split_once('/').map_or((id, None), |(domain, path)| (domain, Some(path)));
        if text.len() > MAX_ID || !is_trust_domain(domain) || !path.is_none_or(is_path) {
            return Err(BadClientName::Spiffe);
        }
        match below {
            true => Ok(Self::SpiffeBelow(format!("{SCHEME}{id}/"))),
            // The id of a trust domain belongs to no workload.
            false if path.is_none() => Err(BadClientName::Spiffe),
            false => Ok(Self::Spiffe(text.to_owned())),
        }
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) | Self::Spiffe(name) => formatter.write_str(name),
            Self::SpiffeBelow(start) => write!(formatter, "{start}*"),
        }
    }
}

fn is_dns_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    // The last label of an IP address has digits only.
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= 253 && text.split('.').all(is_label) && !text.rsplit('.').next().is_none_or(is_number)
}

fn is_trust_domain(text: &str) -> bool {
    let is_allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_');
    (1..=255).contains(&text.len()) && text.bytes().all(is_allowed)
}

/// Whether a text is a path of a SPIFFE id, without its first slash.
fn is_path(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    text.split('/').all(|part| !matches!(part, "" | "." | "..") && part.bytes().all(is_allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dns: &[&str], uris: &[&str]) -> Names {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Names { dns: owned(dns), uris: owned(uris) }
    }

    fn admits(name: &str, dns: &[&str], uris: &[&str]) -> bool {
        name.parse::<ClientName>().unwrap().admits(&names(dns, uris))
    }

    #[test]
    fn a_dns_name_matches_as_a_whole() {
        assert!(admits("gateway.example.com", &["other.example.com", "Gateway.example.COM"], &[]));
        for dns in ["example.com", "a.gateway.example.com", "*.example.com", "gateway.example.com.evil.com"] {
            assert!(!admits("gateway.example.com", &[dns], &[]), "{dns}");
        }
        // A URI is no DNS name.
        assert!(!admits("gateway.example.com", &[], &["gateway.example.com"]));
    }

    #[test]
    fn a_spiffe_id_is_exact_and_the_only_uri() {
        let id = "spiffe://example.com/ns/ingress/sa/gateway";
        assert!(admits(id, &["any.example.com"], &[id]));
        assert!(!admits(id, &[], &[id, "spiffe://example.com/ns/other/sa/other"]));
        for uri in ["spiffe://example.com/ns/ingress/sa/gateway2", "spiffe://Example.com/ns/ingress/sa/gateway", ""] {
            assert!(!admits(id, &[], &[uri]), "{uri}");
        }
        assert!(!admits(id, &[id], &[]));
    }

    #[test]
    fn a_wildcard_stands_for_everything_below_a_path() {
        let below = "spiffe://example.com/ns/ingress/*";
        assert!(admits(below, &[], &["spiffe://example.com/ns/ingress/sa/gateway"]));
        for uri in [
            "spiffe://example.com/ns/ingress",
            "spiffe://example.com/ns/ingress/",
            "spiffe://example.com/ns/ingress2/sa/gateway",
            "spiffe://example.com/ns/ingress/../other/sa/a",
            "spiffe://example.com/ns/ingress/sa/%2e%2e",
        ] {
            assert!(!admits(below, &[], &[uri]), "{uri}");
        }
        assert!(admits("spiffe://example.com/*", &[], &["spiffe://example.com/a"]));
        assert!(!admits("spiffe://example.com/*", &[], &["spiffe://example.com.evil.com/a"]));
    }

    #[test]
    fn a_text_that_is_no_name_is_refused_with_its_reason() {
        let error = |text: &str| text.parse::<ClientName>().unwrap_err();
        for text in
            ["", "a b", "https://example.com/a", "10.0.0.1", "::1", ".example.com", "example.com.", "SPIFFE://a/b"]
        {
            assert_eq!(error(text), BadClientName::Neither, "{text}");
        }
        for text in ["*", "*.example.com", "spiffe://*/a", "spiffe://example.com/*/sa/a", "spiffe://example.com/a*"] {
            assert_eq!(error(text), BadClientName::Wildcard, "{text}");
        }
        for text in [
            "spiffe://",
            "spiffe://example.com",
            "spiffe://Example.com/a",
            "spiffe://a//b",
            "spiffe://a/../b",
            "spiffe:///a",
            "spiffe://a/b/",
        ] {
            assert_eq!(error(text), BadClientName::Spiffe, "{text}");
        }
        for text in ["gateway", "gateway.example.com", "spiffe://example.com/a", "spiffe://example.com/*"] {
            assert_eq!(text.parse::<ClientName>().unwrap().to_string(), text);
        }
    }
}
