//! Where a dump comes from: Envoy's admin port, istiod's debug port, or a file.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::Value;

use super::dump::{Dump, NoDump};
use super::message::text;
use super::updates::Stats;
use crate::http_client::{Bounds, NoAnswer, Server};

/// A gateway with thousands of clusters has some tens of megabytes.
const BOUNDS: Bounds = Bounds { time: Duration::from_secs(30), bytes: 256 << 20 };

/// How much of an answer that is no dump is shown.
const SHOWN: usize = 200;

/// Where to look.
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
    /// A file that one of them has written.
    File(PathBuf),
}

/// What was found there.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// What it is, for the report's first line.
    pub(crate) subject: String,
    /// The dump.
    pub(crate) dump: Dump,
    /// The statistics; istiod and files have none.
    pub(crate) stats: Option<Stats>,
}

/// Nothing can be examined.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// A file cannot be read.
    #[error("{path}: {source}", path = .path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A server does not answer, or refuses.
    #[error("{url}: {what}. {advice}")]
    Unavailable {
        /// What was asked.
        url: String,
        /// What happened.
        what: String,
        /// What to do.
        advice: &'static str,
    },
    /// It answers, and that is no dump.
    #[error("{place}: {what}")]
    Unreadable {
        /// A file or URL.
        place: String,
        /// Why.
        what: String,
    },
}

const REACH_ADMIN: &str = "Is it Envoy's admin port, and does a port-forward lead there? In Kubernetes: \
                           kubectl -n NAMESPACE port-forward deploy/GATEWAY 15000";
const REACH_ISTIOD: &str =
    "Does a port-forward lead to istiod? In Kubernetes: kubectl -n istio-system port-forward deploy/istiod 15014";
const NAME_PROXY: &str =
    "Is --proxy POD.NAMESPACE, of a gateway that is connected to this istiod? `istioctl proxy-status` lists them";
const SHOW_TOKEN: &str = "istiod wants to know who asks: give --token FILE with a service account's token of istiod's \
                          namespace, or ask from istiod's own pod by kubectl port-forward";

/// Gets the dump.
///
/// # Errors
/// The source cannot be reached, or has no dump.
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
    let unavailable = |what: String| FetchError::Unavailable { url: server.url(path), what, advice };
    let mut request = Request::get(server.target(path)).header("host", server.authority());
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.body(Full::default()).map_err(|error| unavailable(error.to_string()))?;
    let answer = server.send(request, BOUNDS).await.map_err(|error: NoAnswer| unavailable(error.to_string()))?;
    Ok((answer.status, answer.body))
}

fn refused(server: &Server, path: &str, (status, body): &(u16, Bytes), advice: &'static str) -> FetchError {
    let said: String = String::from_utf8_lossy(body).chars().take(SHOWN).collect();
    // A page for browsers says nothing that the status does not.
    let said = if said.starts_with('<') { "" } else { said.trim().trim_end_matches('.') };
    let what = if said.is_empty() { format!("status {status}") } else { format!("status {status}, {said}") };
    FetchError::Unavailable { url: server.url(path), what, advice }
}

fn read(bytes: &[u8], place: &str) -> Result<Dump, FetchError> {
    let unreadable = |error: NoDump| FetchError::Unreadable { place: place.to_owned(), what: error.to_string() };
    Dump::read(&document(bytes, place)?).map_err(unreadable)
}

fn document(bytes: &[u8], place: &str) -> Result<Value, FetchError> {
    let unreadable = |error: serde_json::Error| FetchError::Unreadable {
        place: place.to_owned(),
        what: format!("not JSON: {error}"),
    };
    serde_json::from_slice(bytes).map_err(unreadable)
}
