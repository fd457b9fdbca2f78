//! The header names Cellgate sets, and the names it never lets a client send.

use crate::media::is_token;

/// The longest header name in a configuration, in bytes.
pub const MAX_NAME: usize = 256;

/// Set by the filter on a deferred request, read by the matcher in front of the ext-proc filter: `MODE;REASON`.
pub const DEFER: &str = "x-cellgate-defer";

/// Every header with this prefix is Cellgate's own and is stripped from inbound requests.
pub const INTERNAL_PREFIX: &str = "x-cellgate-";

/// Whether a client's header must be removed: the routing header or an internal one, in any spelling.
///
/// Envoy lower-cases names before filters see them. Underscores are compared as hyphens, because upstreams that map
/// headers to CGI-style variables cannot tell `x_cell` from `x-cell`.
#[must_use]
pub fn is_reserved(name: &[u8], routing_header: &str) -> bool {
    same_spelling(name, routing_header.as_bytes())
        || name.get(..INTERNAL_PREFIX.len()).is_some_and(|start| same_spelling(start, INTERNAL_PREFIX.as_bytes()))
}

/// The routing header's value, if it is there once and in its own spelling: anything else says two things.
pub(crate) fn routing_value<'a>(
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    routing_header: &str,
) -> Option<&'a [u8]> {
    let mut fields = fields.filter(|(name, _)| same_spelling(name, routing_header.as_bytes()));
    match (fields.next(), fields.next()) {
        (Some((name, value)), None) if name == routing_header.as_bytes() => Some(value),
        _ => None,
    }
}

/// Why a header can neither carry the decision nor the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// `:path`, `:authority`, …
    #[error("is a pseudo-header; expected a header's name")]
    Pseudo,
    /// RFC 9110, 5.6.2.
    #[error("is no header's name (RFC 9110) of at most {MAX_NAME} bytes")]
    NotAName,
    /// `host`.
    #[error(
        "is turned into `:authority` by Envoy, which is no source; expected a header of yours, such as `x-tenant-id`"
    )]
    Host,
    /// RFC 9110, 7.6.1, and what RFC 9113, 8.2.2, forbids in HTTP/2.
    #[error(
        "belongs to one connection (RFC 9110, 7.6.1): Envoy removes it, rewrites it or answers 400; expected a header of \
         yours, such as `x-tenant-id`"
    )]
    HopByHop,
    /// `content-length`, `transfer-encoding`.
    #[error(
        "says where the body ends, and Envoy answers 400 to any other value; expected a header of yours, such as \
         `x-tenant-id`"
    )]
    Framing,
    /// `expect`.
    #[error("is answered by Envoy itself (RFC 9110, 10.1.1); expected a header of yours, such as `x-tenant-id`")]
    Expect,
}

/// Whether a header's name, in any case, can be used in a configuration: a token that neither HTTP nor Envoy takes for its own.
///
/// Every header name in a configuration is held to this rule, and so should be what is found in that of others. Names with
/// underscores are good: whether Envoy lets such headers through is up to its `headers_with_underscores_action`.
///
/// # Errors
/// Why not. The text continues a sentence that begins with the name.
pub fn check_name(name: &str) -> Result<(), BadName> {
    if name.starts_with(':') {
        return Err(BadName::Pseudo);
    }
    if !is_token(name.as_bytes()) || name.len() > MAX_NAME {
        return Err(BadName::NotAName);
    }
    match &*name.to_ascii_lowercase() {
        "host" => Err(BadName::Host),
        "connection" | "keep-alive" | "proxy-connection" | "te" | "trailer" | "upgrade" | "http2-settings" => {
            Err(BadName::HopByHop)
        }
        "content-length" | "transfer-encoding" => Err(BadName::Framing),
        "expect" => Err(BadName::Expect),
        _ => Ok(()),
    }
}

fn same_spelling(name: &[u8], reserved: &[u8]) -> bool {
    let fold = |byte: &u8| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.len() == reserved.len() && name.iter().map(fold).eq(reserved.iter().map(fold))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_reserved() {
        for name in
            ["x-cell", "X-Cell", "x_cell", "X_CELL", "x-cellgate-defer", "x_cellgate_defer", "X-CELLGATE-anything"]
        {
            assert!(is_reserved(name.as_bytes(), "x-cell"), "{name}");
        }
    }

    #[test]
    fn names_that_http_or_envoy_takes_for_its_own_are_refused() {
        for (names, error) in [
            (&["Connection", "keep-alive", "proxy-connection", "TE", "trailer", "upgrade"][..], BadName::HopByHop),
            (&["content-length", "Transfer-Encoding"], BadName::Framing),
            (&["host"], BadName::Host),
            (&["expect"], BadName::Expect),
            (&[":path", ":authority"], BadName::Pseudo),
            (&["", "x tenant", "x-t\u{e9}nant", "x:y"], BadName::NotAName),
        ] {
            for name in names {
                assert_eq!(check_name(name), Err(error), "{name}");
            }
        }
        assert_eq!(check_name(&"x".repeat(MAX_NAME + 1)), Err(BadName::NotAName));
        for name in ["x-tenant-id", "x_tenant", "tenant", "x-te", "hosts", &"x".repeat(MAX_NAME)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn neighbours_are_not() {
        for name in ["x-cel", "x-cells", "x-cellgate", "xcell", "x-tenant-id", ""] {
            assert!(!is_reserved(name.as_bytes(), "x-cell"), "{name}");
        }
    }
}
