//! Who may see the explain page: operators on the service's own host, or whoever has the admin token.
//!
//! `kubectl port-forward` connects from 127.0.0.1 inside the pod. A sidecar connects on behalf of any workload: from 127.0.0.6, or
//! from 127.0.0.1 if its listener has an endpoint of its own. So only 127.0.0.1 and ::1 count as this host, and only without the
//! header fields of a proxy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::authorize::Authorization;
use super::host::names_this_host;
use super::page::HEADERS;

/// Header fields that proxies add (RFC 7239, RFC 9110, and by custom).
const PROXY_FIELDS: [&str; 6] = ["forwarded", "via", "x-real-ip", "x-request-id", "x-client-ip", "true-client-ip"];

/// How the names of others begin: of Envoy, and of Linkerd.
const PROXY_PREFIXES: [&str; 3] = ["x-forwarded-", "x-envoy-", "l5d-"];

/// The rule of the page and of its data.
#[derive(Clone, Debug)]
pub(super) struct LocalAccess {
    /// The token, if there is one.
    pub(super) authorization: Authorization,
    /// Whether the path shows data. The page's own files need no token, so that the page can ask for it.
    pub(super) is_data: bool,
}

impl LocalAccess {
    fn refusal(&self, method: &Method, headers: &HeaderMap, client: SocketAddr) -> Option<Response> {
        if self.authorization.has_token() {
            if let Some(refusal) = self.authorization.refusal(headers, client).filter(|_| self.is_data) {
                return Some(refusal);
            }
        } else if !is_this_host(client.ip()) {
            return forbidden(
                "the explain page is for this host only: use `kubectl port-forward`, or start the service with \
                 --admin-token-file FILE, and the page asks for the token in that file\n",
            );
        } else if came_through_proxy(headers) {
            return forbidden(
                "the explain page is for this host only, and a proxy has forwarded this request: use `kubectl port-forward`, or \
                 start the service with --admin-token-file FILE, and the page asks for the token in that file\n",
            );
        } else if !names_this_host(headers) {
            // The page of another site, whose name now leads here (DNS rebinding).
            return forbidden(
                "the explain page has the name localhost, 127.0.0.1 or [::1]: use one of these in its URL\n",
            );
        }
        if method == Method::POST {
            if !is_same_origin(headers) {
                return forbidden("another site sent this request: use the explain page of this service itself\n");
            }
            let content_type = headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
            // A page of another site can send other types without asking first.
            if content_type != Some(b"application/json") {
                let why = "send the request as JSON, with `Content-Type: application/json`\n";
                return Some((StatusCode::UNSUPPORTED_MEDIA_TYPE, why).into_response());
            }
        }
        None
    }
}

/// Lets requests pass that may see the page, and adds its headers to every answer.
pub(super) async fn admit(
    State(access): State<LocalAccess>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match access.refusal(request.method(), request.headers(), client) {
        None => next.run(request).await,
        Some(refusal) => refusal,
    };
    response.headers_mut().extend(HEADERS);
    response
}

fn is_this_host(client: IpAddr) -> bool {
    [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)].contains(&client.to_canonical())
}

/// Whether a proxy has forwarded the request. Every HTTP proxy of Envoy adds `x-forwarded-proto`, and in its default configuration
/// `x-request-id`. No value is read: a client that adds a field only loses access.
fn came_through_proxy(headers: &HeaderMap) -> bool {
    headers
        .keys()
        .map(HeaderName::as_str)
        .any(|name| PROXY_FIELDS.contains(&name) || PROXY_PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
}

/// Whether the page itself sent the request, or a program that is not a browser.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let is_from_here = match headers.get("sec-fetch-site") {
        None => true,
        Some(site) => site == "same-origin",
    };
    let host = headers.get(HOST).map(|host| host.as_bytes()).unwrap_or_default();
    let mut origins = headers.get_all(ORIGIN).iter().map(|origin| origin.as_bytes().strip_prefix(b"http://"));
    is_from_here && origins.all(|origin| origin.is_some_and(|origin| origin.eq_ignore_ascii_case(host)))
}

fn forbidden(why: &'static str) -> Option<Response> {
    Some((StatusCode::FORBIDDEN, why).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_sidecar_is_not_this_host() {
        for local in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(is_this_host(local.parse().unwrap()), "{local}");
        }
        for other in ["127.0.0.6", "::ffff:127.0.0.6", "127.0.0.2", "10.0.0.7", "::", "0.0.0.0", "fe80::1"] {
            assert!(!is_this_host(other.parse().unwrap()), "{other}");
        }
    }

    #[test]
    fn a_request_of_a_proxy_is_not_from_this_host() {
        for field in [
            "x-forwarded-for",
            "X-Forwarded-Proto",
            "x-forwarded-client-cert",
            "forwarded",
            "via",
            "x-request-id",
            "x-envoy-peer-metadata",
            "l5d-client-id",
        ] {
            let name = HeaderName::from_bytes(field.as_bytes()).unwrap();
            // No value makes it local.
            for value in ["", "127.0.0.1", "http"] {
                let headers = HeaderMap::from_iter([(name.clone(), value.parse().unwrap())]);
                assert!(came_through_proxy(&headers), "{field}");
            }
        }
        let browser = [
            ("host", "localhost:9902"),
            ("user-agent", "a"),
            ("accept", "*/*"),
            ("sec-fetch-site", "none"),
            ("dnt", "1"),
        ];
        assert!(!came_through_proxy(&headers(&browser)));
    }

    #[test]
    fn only_the_page_itself_may_post() {
        let is_same = |fields: &[(&'static str, &str)]| {
            is_same_origin(&headers(&[&[("host", "localhost:9902")], fields].concat()))
        };
        assert!(is_same(&[]));
        assert!(is_same(&[("origin", "http://localhost:9902"), ("sec-fetch-site", "same-origin")]));
        for origin in
            ["null", "http://localhost", "https://localhost:9902", "http://evil.example", "http://localhost:9902.evil"]
        {
            assert!(!is_same(&[("origin", origin)]), "{origin}");
        }
        for site in ["cross-site", "same-site", "none"] {
            assert!(!is_same(&[("sec-fetch-site", site)]), "{site}");
        }
    }
}
