//! Who may see and reset limits, and change the log level: requests with `Authorization: Bearer TOKEN`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::token::AdminToken;

/// The rule of the paths that need a token. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Authorization {
    token: Option<Arc<AdminToken>>,
}

impl Authorization {
    /// Without a token, nobody is authorized.
    pub(crate) fn new(token: Option<Arc<AdminToken>>) -> Self {
        Self { token }
    }

    /// Whether there is a token.
    pub(super) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// The answer to a request that is not authorized.
    pub(super) fn refusal(&self, headers: &HeaderMap, client: SocketAddr) -> Option<Response> {
        let Some(token) = &self.token else {
            let why = "this needs a token, and the service has none: start it with --admin-token-file FILE, and send the token in \
                       that file as `Authorization: Bearer TOKEN`\n";
            return Some((StatusCode::FORBIDDEN, why).into_response());
        };
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Some(challenge("send the token of --admin-token-file as `Authorization: Bearer TOKEN`, once\n"));
        };
        if bearer(value.as_bytes()).is_some_and(|candidate| token.is(candidate)) {
            return None;
        }
        tracing::warn!(
            event = "admin_token_refused",
            %client,
            remedy = "use the token in the file of --admin-token-file",
            "a request to the admin port has a wrong token"
        );
        Some(challenge(
            "the token is not that of --admin-token-file: use `Authorization: Bearer TOKEN` with the token in that file\n",
        ))
    }
}

/// Lets authorized requests pass.
pub(super) async fn authorize(
    State(authorization): State<Authorization>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    match authorization.refusal(request.headers(), client) {
        None => next.run(request).await,
        Some(refusal) => refusal,
    }
}

fn challenge(why: &'static str) -> Response {
    (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer realm=\"cellgate\"")], why).into_response()
}

/// The credentials of `Bearer` (RFC 6750): the scheme is in upper or lower case (RFC 9110, 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, credentials) = value.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| credentials.trim_ascii())
}
