//! The address of an OTLP receiver.

use std::fmt;
use std::str::FromStr;

use hyper::Uri;

/// `http://HOST:PORT/PATH`, or `https://…` for TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtlpEndpoint {
    is_tls: bool,
    /// An IPv6 address has no brackets.
    host: String,
    port: u16,
    /// Begins with `/`.
    path: String,
}

/// The text is not the address of an OTLP receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadOtlpEndpoint {
    /// It has no scheme, or another one.
    #[error("use http://HOST:PORT, or https://HOST:PORT for TLS")]
    Scheme,
    /// There is no usable host or port.
    #[error("a name or an IP address is missing, or the port is not a number from 1 to 65535")]
    Address,
    /// It has a user or a password.
    #[error("a password in a URL is visible to others: put it in a field of --otlp-headers-file")]
    Credentials,
    /// It has a query or a fragment.
    #[error("the address has a query or a fragment, which OTLP does not use: remove it")]
    Query,
}

impl OtlpEndpoint {
    pub(super) fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// The host and port to connect to.
    pub(super) fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    /// The address of traces over HTTP. As OpenTelemetry specifies it, `/v1/traces` follows the path, unless it is there
    /// already.
    pub(super) fn traces_url(&self) -> String {
        let path = self.path.trim_end_matches('/');
        let path = path.strip_suffix("/v1/traces").unwrap_or(path);
        format!("{}{path}/v1/traces", self.origin())
    }

    /// Scheme, host and port.
    pub(super) fn origin(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    pub(super) fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

impl FromStr for OtlpEndpoint {
    type Err = BadOtlpEndpoint;

    fn from_str(text: &str) -> Result<Self, BadOtlpEndpoint> {
        let (scheme, rest) = text.split_once("://").ok_or(BadOtlpEndpoint::Scheme)?;
        let (is_tls, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (false, 80),
            "https" => (true, 443),
            _ => return Err(BadOtlpEndpoint::Scheme),
        };
        if rest.contains(['?', '#']) {
            return Err(BadOtlpEndpoint::Query);
        }
        let authority = rest.split('/').next().unwrap_or_default();
        if authority.contains('@') {
            return Err(BadOtlpEndpoint::Credentials);
        }
        let uri: Uri = text.parse().map_err(|_| BadOtlpEndpoint::Address)?;
        let host = uri.host().map(|host| host.trim_start_matches('[').trim_end_matches(']')).unwrap_or_default();
        let has_port = authority.rsplit_once(']').map_or(authority, |(_, rest)| rest).contains(':');
        let port = match (uri.port_u16(), has_port) {
            (Some(port), _) if port > 0 => port,
            (None, false) => default_port,
            _ => return Err(BadOtlpEndpoint::Address),
        };
        if host.is_empty() {
            return Err(BadOtlpEndpoint::Address);
        }
        Ok(Self { is_tls, host: host.to_owned(), port, path: uri.path().to_owned() })
    }
}

/// Without the path, in which some services have a token.
impl fmt::Display for OtlpEndpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.origin())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_has_a_scheme_a_host_and_perhaps_a_port_and_a_path() {
        for (text, origin, traces) in [
            ("http://collector:4317", "http://collector:4317", "http://collector:4317/v1/traces"),
            ("https://otel.example.com", "https://otel.example.com:443", "https://otel.example.com:443/v1/traces"),
            ("http://[::1]:4318/", "http://[::1]:4318", "http://[::1]:4318/v1/traces"),
            ("HTTP://10.0.0.1/otlp", "http://10.0.0.1:80", "http://10.0.0.1:80/otlp/v1/traces"),
            ("http://a:1/v1/traces", "http://a:1", "http://a:1/v1/traces"),
        ] {
            let endpoint: OtlpEndpoint = text.parse().unwrap();
            assert_eq!((&*endpoint.to_string(), &*endpoint.traces_url()), (origin, traces), "{text}");
        }
        let endpoint: OtlpEndpoint = "http://[::1]:4318".parse().unwrap();
        assert_eq!(endpoint.address(), ("::1", 4318));
    }

    #[test]
    fn anything_else_has_a_reason() {
        for (text, reason) in [
            ("collector:4317", BadOtlpEndpoint::Scheme),
            ("", BadOtlpEndpoint::Scheme),
            ("grpc://collector:4317", BadOtlpEndpoint::Scheme),
            ("http://", BadOtlpEndpoint::Address),
            ("http://:4317", BadOtlpEndpoint::Address),
            ("http://collector:", BadOtlpEndpoint::Address),
            ("http://collector:0", BadOtlpEndpoint::Address),
            ("http://collector:65536", BadOtlpEndpoint::Address),
            ("http://collector:4317x", BadOtlpEndpoint::Address),
            ("http://a b:1", BadOtlpEndpoint::Address),
            ("http://[::1", BadOtlpEndpoint::Address),
            ("https://user:secret@collector", BadOtlpEndpoint::Credentials),
            ("http://collector/?token=secret", BadOtlpEndpoint::Query),
        ] {
            assert_eq!(text.parse::<OtlpEndpoint>(), Err(reason), "{text}");
        }
    }
}
