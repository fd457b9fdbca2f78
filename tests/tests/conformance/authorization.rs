//! An authorization service for Envoy's ext_authz filter, which keeps what it was shown.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use cellgate_tests::{ports, sha256};
use envoy_types::pb::envoy::service::auth::v3::authorization_server::{
    Authorization as AuthorizationService, AuthorizationServer,
};
use envoy_types::pb::envoy::service::auth::v3::{CheckRequest, CheckResponse};
use envoy_types::pb::google::rpc::Status as RpcStatus;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status};

/// The request header that makes it deny.
pub(crate) const DENY: &str = "x-deny";

type Shown = Arc<Mutex<BTreeMap<String, Check>>>;

/// The part of a request that it was shown.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    /// The value of the routing header, or empty.
    pub(crate) cell: String,
    /// The hash of the body.
    pub(crate) sha256: String,
}

/// A running service. Dropping it stops it.
pub(crate) struct Authorization {
    address: SocketAddr,
    shown: Shown,
    serving: JoinHandle<()>,
}

impl Authorization {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind(ports::ANY).await?;
        let address = listener.local_addr()?;
        let shown = Shown::default();
        let service = AuthorizationServer::new(Service(Arc::clone(&shown))).max_decoding_message_size(64 << 20);
        let serving = tokio::spawn(async move {
            let server = tonic::transport::Server::builder().add_service(service);
            drop(server.serve_with_incoming(TcpListenerStream::new(listener)).await);
        });
        Ok(Self { address, shown, serving })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The request with this path, as it was shown.
    pub(crate) fn shown(&self, path: &str) -> Option<Check> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }
}

impl Drop for Authorization {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

struct Service(Shown);

#[tonic::async_trait]
impl AuthorizationService for Service {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckResponse>, Status> {
        let attributes = request.into_inner().attributes;
        let http = attributes.and_then(|attributes| attributes.request).and_then(|request| request.http);
        let http = http.ok_or_else(|| Status::invalid_argument("no request"))?;
        let cell = http.headers.get("x-cell").cloned().unwrap_or_default();
        let code = if http.headers.contains_key(DENY) { Code::PermissionDenied } else { Code::Ok };
        let check = Check { cell, sha256: sha256(&http.raw_body) };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(http.path, check);
        let status = RpcStatus { code: code as i32, ..Default::default() };
        Ok(Response::new(CheckResponse { status: Some(status), ..Default::default() }))
    }
}
