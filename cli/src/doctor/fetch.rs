//! Reads a configuration dump from Envoy's admin port, istiod's debug port or a file.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::Value;

use super::dump::{Dump, NoDump};
use super::message::text;
use super::updates::Stats;
use crate::http_client::{RequestLimits, ResponseError, Server};

/// The dump of a gateway with thousands of clusters has tens of megabytes.
const LIMITS: RequestLimits = RequestLimits { time: Duration::from_secs(30), bytes: 256 << 20 };

/// How many characters of an unexpected response an error shows.
const SHOWN: usize = 200;

/// A source of a configuration dump.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// Envoy's admin port.
    Admin(Server),
    /// istiod's debug port.
    Istiod {
        /// The port.
        server: Server,
        /// `NAME.NAMESPACE`.
        proxy: String,
        /// A file with a service account's token.
        token: Option<PathBuf>,
    },
    /// A file with the response of one of the two.
    File(PathBuf),
}

/// A configuration dump and its source.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// The first line of the report.
    pub(crate) subject: String,
    /// The dump.
    pub(crate) dump: Dump,
    /// The statistics. istiod and files have none.
    pub(crate) stats: Option<Stats>,
}

/// There is no configuration dump to examine.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// A file cannot be read.
    #[error("{path}: {source}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A server does not respond.
    #[error("{url}: {source}. {advice}")]
    Unreachable {
        /// The URL of the request.
        url: String,
        /// The cause.
        source: ResponseError,
        /// How to reach the server.
        advice: &'static str,
    },
    /// A server responds with an error.
    #[error("{url}: status {status}{details}. {advice}")]
    Refused {
        /// The URL of the request.
        url: String,
        /// The status of the response.
        status: u16,
        /// The beginning of the response body, after a comma.
        details: String,
        /// How to get a dump.
        advice: &'static str,
    },
    /// The content is not JSON.
    #[error("{place}: not valid JSON: {source}; {EXPECTED}")]
    NotJson {
        /// A file or URL.
        place: String,
        /// The cause.
        source: serde_json::Error,
    },
    /// The content is JSON, but not a dump.
    #[error("{place}: {source}; {EXPECTED}")]
    NotDump {
        /// A file or URL.
        place: String,
        /// The cause.
        source: NoDump,
    },
}

const EXPECTED: &str =
    "use the response of Envoy's `/config_dump?include_eds` or of istiod's `/debug/config_dump?proxyID=…&include_eds`";
const REACH_ADMIN: &str = "Use the URL of Envoy's admin port; in Kubernetes, forward it with \
                           `kubectl -n NAMESPACE port-forward deploy/GATEWAY 15000`";
const REACH_ISTIOD: &str = "Use the URL of istiod's debug port; in Kubernetes, forward it with \
                            `kubectl -n istio-system port-forward deploy/istiod 15014`";
const NAME_PROXY: &str =
    "Use a proxy that is connected to this istiod, as `istioctl proxy-status` lists it: --proxy POD.NAMESPACE";
const SHOW_TOKEN: &str = "istiod requires a token: use --token FILE with the token of a service account in istiod's namespace, \
                          or forward the port of istiod's own pod with `kubectl port-forward`";

/// Gets the dump.
///
/// # Errors
/// The source cannot be reached, or returns no dump.
pub(crate) async fn fetch(source: &Source) -> Result<Fetched, FetchError> {
    match source {
        Source::Admin(server) => admin(server).await,
        Source::Istiod { server, proxy, token } => istiod(server, proxy, token.as_ref()).await,
        Source::File(path) => {
            let bytes = std::fs::read(path).map_err(|source| FetchError::File { path: path.clone(), source })?;
            let place = path.display().to_string();
            let dump = read(&bytes, &place)?;
            Ok(Fetched { subject: format!("Configuration dump {place}"), dump, stats: None })
        }
    }
}

async fn admin(server: &Server) -> Result<Fetched, FetchError> {
    let ask = async |path: &str| {
        let answer = get(server, path, None, REACH_ADMIN).await?;
        if answer.0 == 200 { Ok(answer.1) } else { Err(refused(server, path, &answer, REACH_ADMIN)) }
    };
    let dump = read(&ask("/config_dump?include_eds").await?, &server.url("/config_dump"))?;
    let stats = document(&ask("/stats?format=json").await?, &server.url("/stats"))?;
    let info = document(&ask("/server_info").await?, &server.url("/server_info"))?;
    // REVISION/VERSION/STATE/BUILD/TLS
    let version = text(&info, "version").split('/').nth(1).unwrap_or("of unknown version");
    let state = text(&info, "state");
    let node = Some(text(&info, "node.id")).filter(|id| !id.is_empty()).map(|id| format!(", {id}")).unwrap_or_default();
    let subject = format!("Envoy {version}, {state}{node} (http://{})", server.authority());
    Ok(Fetched { subject, dump, stats: Some(Stats::read(&stats)) })
}

async fn istiod(server: &Server, proxy: &str, token: Option<&PathBuf>) -> Result<Fetched, FetchError> {
    let token = match token {
        None => None,
        Some(path) => {
            let token =
                std::fs::read_to_string(path).map_err(|source| FetchError::File { path: path.clone(), source })?;
            Some(token.trim().to_owned())
        }
    };
    let path = format!("/debug/config_dump?proxyID={proxy}&include_eds");
    let answer = get(server, &path, token.as_deref(), REACH_ISTIOD).await?;
    match answer.0 {
        200 => {}
        401 | 403 => return Err(refused(server, &path, &answer, SHOW_TOKEN)),
        404 => return Err(refused(server, &path, &answer, NAME_PROXY)),
        _ => return Err(refused(server, &path, &answer, REACH_ISTIOD)),
    }
    let dump = read(&answer.1, &server.url(&path))?;
    let subject = format!("What istiod (http://{}) has for {proxy}", server.authority());
    Ok(Fetched { subject, dump, stats: None })
}

async fn get(
    server: &Server,
    path: &str,
    token: Option<&str>,
    advice: &'static str,
) -> Result<(u16, Bytes), FetchError> {
    let unreachable = |source| FetchError::Unreachable { url: server.url(path), source, advice };
    let mut request = Request::get(server.target(path)).header("host", server.authority());
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Full::default()).map_err(|error| unreachable(ResponseError::Request(error)))?;
    let answer = server.send(request, LIMITS).await.map_err(unreachable)?;
    Ok((answer.status, answer.body))
}

fn refused(server: &Server, path: &str, (status, body): &(u16, Bytes), advice: &'static str) -> FetchError {
    let text: String = String::from_utf8_lossy(body).chars().take(SHOWN).collect();
    let text = text.trim().trim_end_matches('.');
    // An HTML page adds nothing to the status.
    let details = if text.is_empty() || text.starts_with('<') { String::new() } else { format!(", {text}") };
    FetchError::Refused { url: server.url(path), status: *status, details, advice }
}

fn read(bytes: &[u8], place: &str) -> Result<Dump, FetchError> {
    let not_dump = |source: NoDump| FetchError::NotDump { place: place.to_owned(), source };
    Dump::read(&document(bytes, place)?).map_err(not_dump)
}

fn document(bytes: &[u8], place: &str) -> Result<Value, FetchError> {
    serde_json::from_slice(bytes).map_err(|source| FetchError::NotJson { place: place.to_owned(), source })
}
