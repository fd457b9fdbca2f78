//! Reads the cluster's objects from the API server. Lists that the account may not read are reported.

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
use super::object::{KINDS, Objects, TELEMETRY, UnreadCause, texts};
use super::plan::ReleasePlan;
use crate::http_client::{RequestLimits, Response, ResponseError, Server, exchange};

/// The timeout for all lists together. An installation waits for them.
const TIME: Duration = Duration::from_secs(9);
/// The limits of a page with 100 objects. etcd limits each object to 1.5 MiB.
const LIMITS: RequestLimits = RequestLimits { time: TIME, bytes: 256 * 1024 * 1024 };
const PAGE: u32 = 100;
/// The scope of a list in all namespaces.
const EVERYWHERE: &str = "in any namespace";

/// The access to the API server.
pub(crate) enum Access {
    /// Through `kubectl proxy`, which authenticates the user.
    Proxy(Server),
    /// From a pod, with its service account.
    Pod(Box<Pod>),
}

/// The API server as a pod sees it, and the credentials of the pod.
pub(crate) struct Pod {
    host: String,
    port: u16,
    token: String,
    connector: TlsConnector,
}

/// There is no access to the API server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadAccess {
    /// Not in a pod.
    #[error(
        "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this is not a pod; run `kubectl proxy` and use \
         `--api http://127.0.0.1:8001`, or use `--objects FILE`"
    )]
    NoPod,
    /// A file of the service account cannot be read.
    #[error("{0}: {1}; check that the pod mounts its service account's token (automountServiceAccountToken)")]
    File(PathBuf, #[source] io::Error),
    /// The certificate of the authority is not valid.
    #[error("{0}: not a valid certificate: {1}")]
    Authority(PathBuf, #[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The API group, the versions with the newest first, and the plural of a kind.
fn source(kind: &str) -> (&'static str, &'static [&'static str], &'static str) {
    let istio = &["v1", "v1beta1", "v1alpha3"][..];
    match kind {
        "VirtualService" => ("networking.istio.io", istio, "virtualservices"),
        "Gateway" => ("networking.istio.io", istio, "gateways"),
        "DestinationRule" => ("networking.istio.io", istio, "destinationrules"),
        "EnvoyFilter" => ("networking.istio.io", &["v1alpha3"], "envoyfilters"),
        TELEMETRY => ("telemetry.istio.io", &["v1", "v1alpha1"], "telemetries"),
        "GRPCRoute" => ("gateway.networking.k8s.io", &["v1"], "grpcroutes"),
        _ => ("gateway.networking.k8s.io", &["v1", "v1beta1"], "httproutes"),
    }
}

impl Access {
    /// The access of a pod, from the variables and files that the kubelet provides.
    ///
    /// # Errors
    /// This is not a pod, or it has no service account.
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
            let bad = |error| BadAccess::Authority(file.clone(), error);
            let certificate = certificate.map_err(|error| bad(error.into()))?;
            roots.add(certificate).map_err(|error| bad(error.into()))?;
        }
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Self::Pod(Box::new(Pod { host, port, token, connector })))
    }

    /// The URL of the API server.
    fn url(&self) -> String {
        match self {
            Self::Proxy(server) => server.url(""),
            Self::Pod(pod) => format!("https://{}", pod.authority()),
        }
    }

    async fn get(&self, path: &str, limits: RequestLimits) -> Result<Response, ResponseError> {
        match self {
            Self::Proxy(server) => {
                let request = Request::get(server.target(path)).header(HOST, server.authority());
                server.send(request.body(Full::default()).map_err(ResponseError::Request)?, limits).await
            }
            Self::Pod(pod) => {
                let answered = tokio::time::timeout(limits.time, pod.get(path, limits.bytes));
                answered.await.unwrap_or(Err(ResponseError::TooLate(limits.time)))
            }
        }
    }
}

impl Pod {
    /// `HOST:PORT`.
    fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    async fn get(&self, path: &str, bytes: usize) -> Result<Response, ResponseError> {
        let request = Request::get(path)
            .header(HOST, self.authority())
            .header(ACCEPT, "application/json")
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .body(Full::<Bytes>::default())
            .map_err(ResponseError::Request)?;
        let invalid = |error| ResponseError::Connect(io::Error::new(io::ErrorKind::InvalidInput, error));
        let name = ServerName::try_from(self.host.clone()).map_err(invalid)?;
        let connection = TcpStream::connect((&*self.host, self.port)).await.map_err(ResponseError::Connect)?;
        let connection = self.connector.connect(name, connection).await.map_err(ResponseError::Connect)?;
        exchange(connection, request, bytes).await
    }
}

/// Reads all readable objects that matter to a plan, in less than ten seconds.
pub(crate) async fn read_cluster(access: &Access, plan: &ReleasePlan) -> Objects {
    let deadline = Instant::now() + TIME;
    let mut reading = Reading { access, plan, deadline, objects: Objects::default(), absent: Vec::new() };
    // A release without Telemetry resources needs no permission to list those of others.
    let kinds: Vec<&str> = KINDS.into_iter().filter(|kind| *kind != TELEMETRY || !plan.telemetry.is_empty()).collect();
    for kind in &kinds {
        reading.all(kind, plan).await;
    }
    reading.finish(kinds.len())
}

struct Reading<'a> {
    access: &'a Access,
    plan: &'a ReleasePlan,
    deadline: Instant,
    objects: Objects,
    /// The plurals of the kinds that the server does not know.
    absent: Vec<&'static str>,
}

/// The reason why a list was not read.
enum ListError {
    /// The API server does not know the kind.
    Absent,
    /// The account may not read the list.
    Forbidden(UnreadCause),
    /// Anything else.
    Failed(UnreadCause),
}

impl Reading<'_> {
    /// Reads a kind in all namespaces, or, if that is forbidden, in the namespaces of the plan.
    async fn all(&mut self, kind: &str, plan: &ReleasePlan) {
        let (_, _, plural) = source(kind);
        match self.list(kind, None).await {
            Ok(()) => {}
            Err(ListError::Absent) => self.absent.push(plural),
            Err(ListError::Failed(cause)) => self.objects.add_unread(plural, EVERYWHERE, cause),
            Err(ListError::Forbidden(cause)) => {
                for namespace in plan.namespaces() {
                    if let Err(ListError::Failed(cause) | ListError::Forbidden(cause)) =
                        self.list(kind, Some(namespace)).await
                    {
                        self.objects.add_unread(plural, &format!("in the namespace {namespace}"), cause);
                    }
                }
                self.objects.add_unread(
                    plural,
                    "in other namespaces than the release's own, its cells' and its proxies'",
                    cause,
                );
            }
        }
    }

    /// The objects. A cluster may lack some kinds, such as those of the Gateway API. A server without any of them is not the API
    /// server of a cluster with Istio.
    fn finish(mut self, kinds: usize) -> Objects {
        if self.absent.len() == kinds {
            let why = format!("the response to each list is 404, so no kind was found at {}", self.access.url());
            let fix = "check the address (`kubectl proxy` prints it), and whether Istio is installed";
            for plural in self.absent {
                self.objects.add_unread(plural, EVERYWHERE, UnreadCause { why: why.clone(), fix: fix.to_owned() });
            }
        }
        self.objects
    }

    async fn list(&mut self, kind: &str, namespace: Option<&str>) -> Result<(), ListError> {
        let (group, versions, plural) = source(kind);
        for version in versions {
            let within = namespace.map(|namespace| format!("namespaces/{namespace}/")).unwrap_or_default();
            let path = format!("/apis/{group}/{version}/{within}{plural}");
            match self.pages(kind, &format!("{group}/{version}"), &path).await {
                Err(ListError::Absent) => {}
                read => return read,
            }
        }
        Err(ListError::Absent)
    }

    async fn pages(&mut self, kind: &str, api_version: &str, path: &str) -> Result<(), ListError> {
        let mut next = String::new();
        loop {
            let time = self.deadline.saturating_duration_since(Instant::now());
            let page = format!("{path}?limit={PAGE}&continue={next}");
            let answer = self.access.get(&page, RequestLimits { time, ..LIMITS }).await;
            let url = self.access.url();
            let mut list = parse(answer, &url)?;
            let Some(Value::Array(items)) = list.get_mut("items").map(Value::take) else {
                return Err(not_a_list(&url));
            };
            for mut item in items {
                slim(&mut item, self.plan);
                // The items of some lists have no kind and no API version.
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

/// Removes the unused parts of an object, because a cluster may have thousands of them: managed fields, the actions of routes,
/// and all routes of hosts that the release does not share.
fn slim(item: &mut Value, plan: &ReleasePlan) {
    if let Some(Value::Object(metadata)) = item.get_mut("metadata") {
        metadata.remove("managedFields");
    }
    let namespace =
        item.get("metadata").and_then(|metadata| metadata.get("namespace")?.as_str()).unwrap_or_default().to_owned();
    let Some(spec) = item.get_mut("spec") else { return };
    // `examine` reports a field that is not a list of names.
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

fn parse(answer: Result<Response, ResponseError>, url: &str) -> Result<Value, ListError> {
    let answer = answer.map_err(|error| {
        let why = match &error {
            ResponseError::TooLate(_) => format!("not read within {} s", TIME.as_secs()),
            error => error.to_string(),
        };
        let fix = match error {
            ResponseError::Connect(_) | ResponseError::TooLate(_) => {
                format!("check that the API server is reachable at {url}")
            }
            _ => wrong_server(url),
        };
        ListError::Failed(UnreadCause { why, fix })
    })?;
    match answer.status {
        200 => serde_json::from_slice(&answer.body).map_err(|_| not_a_list(url)),
        404 => Err(ListError::Absent),
        status => {
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let message = body.get("message").and_then(Value::as_str).unwrap_or("no message");
            let why = format!("the API server responds with {status}: {message}");
            let fix = match status {
                401 | 403 => "allow the check's service account to list them, or run `cellgate neighbours` with an \
                              account that may"
                    .to_owned(),
                _ => format!("check the API server at {url}, then run the command again"),
            };
            let cause = UnreadCause { why, fix };
            Err(if status == 403 { ListError::Forbidden(cause) } else { ListError::Failed(cause) })
        }
    }
}

fn not_a_list(url: &str) -> ListError {
    let why = "the response of the API server is not a list".to_owned();
    ListError::Failed(UnreadCause { why, fix: wrong_server(url) })
}

/// The fix for a response that no API server sends.
fn wrong_server(url: &str) -> String {
    format!("check that {url} is the address of the API server")
}

/// Percent-encodes a continue token. The API server's tokens are base64url, but others may have more characters.
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
