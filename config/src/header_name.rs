//! Names that a header of a configuration can have.

use cellgate_routing::is_token;

/// The longest header name of a configuration, in bytes.
pub(crate) const MAX_NAME: usize = 256;

/// A name that cannot be a header of the configuration. The message continues a sentence that begins with the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadName {
    /// `:path`, `:authority`, …
    #[error("is a pseudo-header (RFC 9113, 8.3): use a regular header")]
    Pseudo,
    /// RFC 9110, 5.6.2.
    #[error("is not a valid header name (RFC 9110) of at most {MAX_NAME} bytes")]
    NotAName,
    /// `host`.
    #[error(
        "becomes `:authority` in Envoy: use a template such as `host: \"{{key}}.example.com\"`, or a header of your own, such as \
         `x-tenant-id`"
    )]
    Host,
    /// RFC 9110, 7.6.1, and the headers that RFC 9113, 8.2.2, forbids in HTTP/2.
    #[error(
        "is a hop-by-hop header (RFC 9110, 7.6.1), which Envoy removes, rewrites or refuses: use a header of your own"
    )]
    HopByHop,
    /// `content-length`, `transfer-encoding`.
    #[error("frames the body, so Envoy refuses any other value: use a header of your own")]
    Framing,
    /// `expect`.
    #[error("is answered by Envoy (RFC 9110, 10.1.1): use a header of your own")]
    Expect,
}

/// Checks that a header name, in any case, is a token and has no meaning to HTTP or Envoy.
///
/// Every header name of a configuration must pass this check. Names with
/// underscores pass: Envoy's `headers_with_underscores_action` decides whether it forwards such headers.
///
/// # Errors
/// The reason why the name cannot be used.
pub(crate) fn check_name(name: &str) -> Result<(), BadName> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_a_meaning_to_http_or_envoy_are_refused() {
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
}
