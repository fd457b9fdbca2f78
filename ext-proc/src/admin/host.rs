//! The name by which a client reaches the admin port, against DNS rebinding.
//!
//! A page of another site can make its own name lead here, and then read the answers as its own. Its browser still sends that name
//! as Host. So a path that shows more than health and metrics answers only under names that no site has: an address, a name without
//! a dot, or one below a domain that the public DNS does not have.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::authorize::Authorization;

/// The ends of names that no site has: of Services in a cluster, and those that RFC 6761 and ICANN reserve.
const PRIVATE: [&str; 4] = [".svc", ".cluster.local", ".localhost", ".internal"];

/// Lets requests pass under a name that no site has, or with the admin token, which no other site knows.
pub(super) async fn refuse_sites(
    State(authorization): State<Authorization>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let has_token = headers.contains_key(AUTHORIZATION) && authorization.refusal(headers, client).is_none();
    if has_token || is_of_no_site(headers) {
        return next.run(request).await;
    }
    let why = "a page of another site could have this name: use the address, or a name such as localhost or NAME.NAMESPACE.svc, or \
               send the token of --admin-token-file as `Authorization: Bearer TOKEN`\n";
    (StatusCode::FORBIDDEN, why).into_response()
}

/// Whether there is one Host, and it is a name of this host, with any port.
pub(super) fn names_this_host(headers: &HeaderMap) -> bool {
    let Some(Some(name)) = name(headers) else { return false };
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Whether no browser sends this Host for a page of another site. A browser always sends one.
fn is_of_no_site(headers: &HeaderMap) -> bool {
    let Some(name) = name(headers) else { return false };
    let Some(name) = name.map(str::to_ascii_lowercase) else { return true };
    let ipv6 = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_address = name.parse::<IpAddr>().is_ok_and(|address| address.is_ipv4())
        || ipv6.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok());
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    is_address || is_name && (!name.contains('.') || PRIVATE.iter().any(|end| name.ends_with(end)))
}

/// The Host without its port. `Some(None)`: there is none. `None`: there are several, or it is no text.
fn name(headers: &HeaderMap) -> Option<Option<&str>> {
    let mut hosts = headers.get_all(HOST).iter();
    let Some(host) = hosts.next() else { return Some(None) };
    let host = host.to_str().ok().filter(|_| hosts.next().is_none())?;
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) => Some(Some(name)),
        _ => Some(Some(host)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(hosts: &[&str]) -> HeaderMap {
        hosts.iter().map(|host| (HOST, host.parse().unwrap())).fold(HeaderMap::new(), |mut headers, (name, host)| {
            headers.append(name, host);
            headers
        })
    }

    #[test]
    fn only_names_of_this_host_are_taken() {
        for host in ["localhost", "LOCALHOST:9902", "127.0.0.1:9902", "[::1]:1", "[::1]"] {
            assert!(names_this_host(&headers(&[host])), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:80",
            "localhost:a",
            "::1",
            "127.0.0.1:80:80",
        ] {
            assert!(!names_this_host(&headers(&[host])), "{host}");
        }
        assert!(!names_this_host(&headers(&[])));
        assert!(!names_this_host(&headers(&["localhost", "localhost"])));
    }

    #[test]
    fn a_name_in_the_public_dns_may_be_that_of_a_site() {
        for host in [
            "localhost:9902",
            "10.0.0.7:9902",
            "127.0.0.1",
            "[2001:db8::7]:9902",
            "cellgate-ext-proc:9902",
            "cellgate-ext-proc.cellgate.svc:9902",
            "Cellgate-Ext-Proc.cellgate.svc.cluster.local",
            "admin.cellgate.internal",
        ] {
            assert!(is_of_no_site(&headers(&[host])), "{host}");
        }
        assert!(is_of_no_site(&headers(&[])), "no browser sends none");
        for host in [
            "evil.example:9902",
            "10.0.0.7.evil.example",
            "cellgate-ext-proc.cellgate:9902",
            "a.svc.evil.example",
            "evil.example.",
            "localhost.",
            "evil.svc@evil.example",
            "[evil.example]",
            "[10.0.0.7]",
            "2001:db8::7",
            "",
        ] {
            assert!(!is_of_no_site(&headers(&[host])), "{host}");
        }
        assert!(!is_of_no_site(&headers(&["localhost", "evil.example"])));
    }
}
