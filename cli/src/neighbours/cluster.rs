//! Reading the cluster's objects from the API server, with no more rights than there are: a refusal is said, and what may be
//! read is read.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{ACCEPT, AUTHORIZATION, HOST};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::hosts;
use super::object::{KINDS, Objects, texts};
use super::plan::Plan;
use crate::http_client::{Answer, Bounds, NoAnswer, Server, exchange};

/// All lists together. An installation waits for them.
const TIME: Duration = Duration::from_secs(9);
/// One page of a list: 100 objects, of which none can be larger than etcd's 1.5 MiB.
const BOUNDS: Bounds = Bounds { time: TIME, bytes: 256 * 1024 * 1024 };
const PAGE: u32 = 100;

/// How the API server is reached.
pub(crate) enum Access {
    /// By `kubectl proxy`, which knows who one is.
    Proxy(Server),
    /// From a pod, by its service account.
    Pod(Box<Pod>),
}

/// A pod's way to the API server.
pub(crate) struct Pod {
    host: String,
    port: u16,
    token: String,
    connector: TlsConnector,
}

/// There is no way to the API server from here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadAccess {
    /// Not in a pod.
    #[error(
        "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set, as they are in a pod; elsewhere, say \
         `--api http://127.0.0.1:8001` and run `kubectl proxy`, or give `--objects FILE`"
    )]
    NoPod,
    /// A file of the service account is missing.
    #[error("{0}: {1}; does the pod mount its service account's token?")]
    File(PathBuf, #[source] io::Error),
    /// The authority's certificate is none.
    #[error("{0}: {1}")]
    Authority(PathBuf, String),
}

/// The paths of a kind's lists: group and versions, newest first, and the plural.
fn source(kind: &str) -> (&'static str, &'static [&'static str], &'static str) {
    let istio = &["v1", "v1beta1", "v1alpha3"][..];
    match kind {
        "VirtualService" => ("networking.istio.io", istio, "virtualservices"),
        "Gateway" => ("networking.istio.io", istio, "gateways"),
        "DestinationRule" => ("networking.istio.io", istio, "destinationrules"),
        "EnvoyFilter" => ("networking.istio.io", &["v1alpha3"], "envoyfilters"),
        "GRPCRoute" => ("gateway.networking.k8s.io", &["v1"], "grpcroutes"),
        _ => ("gateway.networking.k8s.io", &["v1", "v1beta1"], "httproutes"),
    }
}

impl Access {
    /// A pod's own, from what the kubelet gives it.
    ///
    /// # Errors
    /// This is no pod, or it has no service account.
    pub(crate) fn of_pod(service_account: &Path) -> Result<Self, BadAccess> {
        let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        let host = variable("KUBERNETES_SERVICE_HOST").ok_or(BadAccess::NoPod)?;
        let port = variable("KUBERNETES_SERVICE_PORT").and_then(|port| port.parse().ok()).ok_or(BadAccess::NoPod)?;
        let file = service_account.join("token");
        let token = std::fs::read_to_string(&file).map_err(|error| BadAccess::File(file, error))?.trim().to_owned();
        let file = service_account.join("ca.crt");
        let pem = std::fs::read(&file).map_err(|error| BadAccess::File(file.clone(), error))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let added = certificate.map_err(|error| error.to_string());
            added
                .and_then(|certificate| roots.add(certificate).map_err(|error| error.to_string()))
                .map_err(|error| BadAccess::Authority(file.clone(), error))?;
        }
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Self::Pod(Box::new(Pod { host, port, token, connector })))
    }

    async fn get(&self, path: &str, bounds: Bounds) -> Result<Answer, NoAnswer> {
        match self {
            Self::Proxy(server) => {
                let request = Request::get(server.target(path)).header(HOST, server.authority());
                server.send(request.body(Full::default()).map_err(NoAnswer::Request)?, bounds).await
            }
            Self::Pod(pod) => {
                let answered = tokio::time::timeout(bounds.time, pod.get(path, bounds.bytes));
                answered.await.unwrap_or(Err(NoAnswer::TooLate(bounds.time)))
            }
        }
    }
}

impl Pod {
    async fn get(&self, path: &str, bytes: usize) -> Result<Answer, NoAnswer> {
        let authority = if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        };
        let request = Request::get(path)
            .header(HOST, authority)
            .header(ACCEPT, "application/json")
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .body(Full::<Bytes>::default())
            .map_err(NoAnswer::Request)?;
        let invalid = |error| NoAnswer::Connect(io::Error::new(io::ErrorKind::InvalidInput, error));
        let name = ServerName::try_from(self.host.clone()).map_err(invalid)?;
        let connection = TcpStream::connect((&*self.host, self.port)).await.map_err(NoAnswer::Connect)?;
        let connection = self.connector.connect(name, connection).await.map_err(NoAnswer::Connect)?;
        exchange(connection, request, bytes).await
    }
}

/// Reads all objects that matter to a plan and may be read, in less than ten seconds.
pub(crate) async fn read_cluster(access: &Access, plan: &Plan) -> Objects {
    let mut reading = Reading { access, plan, deadline: Instant::now() + TIME, objects: Objects::default() };
    for kind in KINDS {
        reading.all(kind, plan).await;
    }
    reading.objects
}

struct Reading<'a> {
    access: &'a Access,
    plan: &'a Plan,
    deadline: Instant,
    objects: Objects,
}

/// Why a list was not read.
enum Unread {
    /// The API server does not know the kind.
    Absent,
    /// It may not be read.
    Forbidden(String),
    /// Anything else.
    Failed(String),
}

impl Reading<'_> {
    /// A kind in all namespaces, or, where that is not allowed, in those that the plan names.
    async fn all(&mut self, kind: &str, plan: &Plan) {
        let (_, _, plural) = source(kind);
        match self.list(kind, None).await {
            // A cluster without the Gateway API has no HTTPRoutes.
            Ok(()) | Err(Unread::Absent) => {}
            Err(Unread::Failed(why)) => self.objects.miss(format!("{plural} in any namespace"), why),
            Err(Unread::Forbidden(why)) => {
                for namespace in plan.namespaces() {
                    if let Err(Unread::Failed(why) | Unread::Forbidden(why)) = self.list(kind, Some(namespace)).await {
                        self.objects.miss(format!("{plural} in the namespace {namespace}"), why);
                    }
                }
                self.objects.miss(
                    format!("{plural} in other namespaces than the release's own, its cells' and its proxies'"),
                    why,
                );
            }
        }
    }

    async fn list(&mut self, kind: &str, namespace: Option<&str>) -> Result<(), Unread> {
        let (group, versions, plural) = source(kind);
        for version in versions {
            let within = namespace.map(|namespace| format!("namespaces/{namespace}/")).unwrap_or_default();
            let path = format!("/apis/{group}/{version}/{within}{plural}");
            match self.pages(kind, &format!("{group}/{version}"), &path).await {
                Err(Unread::Absent) => {}
                read => return read,
            }
        }
        Err(Unread::Absent)
    }

    async fn pages(&mut self, kind: &str, api_version: &str, path: &str) -> Result<(), Unread> {
        let mut next = String::new();
        loop {
            let time = self.deadline.saturating_duration_since(Instant::now());
            let page = format!("{path}?limit={PAGE}&continue={next}");
            let answer = self.access.get(&page, Bounds { time, ..BOUNDS }).await;
            let list = judge(answer)?;
            let mut list = list;
            let Some(Value::Array(items)) = list.get_mut("items").map(Value::take) else { return Err(no_list()) };
            for mut item in items {
                slim(&mut item, self.plan);
                // Lists of some kinds leave this out.
                if let Value::Object(fields) = &mut item {
                    fields.insert("kind".to_owned(), kind.into());
                    fields.insert("apiVersion".to_owned(), api_version.into());
                }
                self.objects.push(item);
            }
            match list.get("metadata").and_then(|metadata| metadata.get("continue")?.as_str()) {
                Some(more) if !more.is_empty() => next = encoded(more),
                _ => return Ok(()),
            }
        }
    }
}

/// Takes out of an object what nobody looks at, before thousands of them are kept: who has changed it, where its routes lead, and
/// all of them if they are for hosts that have nothing to do with the release's.
fn slim(item: &mut Value, plan: &Plan) {
    if let Some(Value::Object(metadata)) = item.get_mut("metadata") {
        metadata.remove("managedFields");
    }
    let namespace =
        item.get("metadata").and_then(|metadata| metadata.get("namespace")?.as_str()).unwrap_or_default().to_owned();
    let Some(spec) = item.get_mut("spec") else { return };
    // What is no list of names is named later.
    let named = texts(spec, "hosts").unwrap_or_default();
    let is_near = |host: &&str| {
        let host = hosts::full(host, &namespace);
        plan.hosts.iter().any(|ours| hosts::covers(&host, ours) || hosts::covers(ours, &host))
    };
    if !named.is_empty() && !named.iter().any(is_near) {
        if let Some(http) = spec.get_mut("http") {
            *http = Value::Array(Vec::new());
        }
        return;
    }
    if let Some(Value::Array(routes)) = spec.get_mut("http") {
        for route in routes.iter_mut().filter_map(Value::as_object_mut) {
            route.retain(|field, _| field == "match");
        }
    }
}

fn judge(answer: Result<Answer, NoAnswer>) -> Result<Value, Unread> {
    let answer = answer.map_err(|error| match error {
        NoAnswer::TooLate(_) => Unread::Failed(format!("not read within {} s", TIME.as_secs())),
        error => Unread::Failed(error.to_string()),
    })?;
    match answer.status {
        200 => serde_json::from_slice(&answer.body).map_err(|_| no_list()),
        404 => Err(Unread::Absent),
        status => {
            let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let said = said.get("message").and_then(Value::as_str).unwrap_or("no message");
            let why = format!("the API server answers {status}: {said}");
            Err(if status == 403 { Unread::Forbidden(why) } else { Unread::Failed(why) })
        }
    }
}

fn no_list() -> Unread {
    Unread::Failed("the API server's answer is not a list".to_owned())
}

/// A token of the API server in a query: it is base64url, and others' servers may use more.
fn encoded(token: &str) -> String {
    let mut text = String::with_capacity(token.len());
    for byte in token.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}
