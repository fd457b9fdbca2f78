//! Gets the document of `/inspect`.

use std::time::Duration;

use cellgate_ext_proc::inspection::Inspection;
use http_body_util::Full;
use hyper::Request;
use serde_json::Value;
use serde_json::error::Category;

use crate::http_client::{RequestLimits, ResponseError, Server};

/// The document has a few kilobytes.
const MAX_BYTES: usize = 1 << 20;

const ADVICE: &str = "Use the URL of the service's admin port, which is 9902 unless `serve --admin` sets another; in \
                      Kubernetes, forward it with `kubectl -n NAMESPACE port-forward deploy/cellgate-ext-proc 9902`";
/// The most characters of a refusal that are shown.
const MAX_REFUSAL: usize = 300;

/// The answer of one service.
#[derive(Debug)]
pub(crate) struct Inspected {
    /// Its URL, without the path.
    pub(crate) url: String,
    /// The document as it came, with fields that this version does not know.
    pub(crate) document: Value,
    /// The fields that this version knows.
    pub(crate) inspection: Inspection,
}

/// There is no document to show.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InspectError {
    /// The server does not respond.
    #[error("{url}: {source}. {ADVICE}")]
    Unreachable {
        /// The URL of the request.
        url: String,
        /// The cause.
        source: ResponseError,
    },
    /// The service does not answer under this name, or a proxy forbids the request.
    #[error("{url}: status 403: {why}")]
    Forbidden {
        /// The URL of the request.
        url: String,
        /// What the server says.
        why: String,
    },
    /// The server responds with another status.
    #[error(
        "{url}: status {status}, so this is not Cellgate's admin port, or Cellgate is too old for `inspect`. {ADVICE}"
    )]
    Refused {
        /// The URL of the request.
        url: String,
        /// The status of the response.
        status: u16,
    },
    /// The response is not JSON.
    #[error("{url}: not valid JSON: {source}, so this is not Cellgate's admin port. {ADVICE}")]
    NotJson {
        /// The URL of the request.
        url: String,
        /// The cause.
        source: serde_json::Error,
    },
    /// The response is another document.
    #[error("{url}: not the document of a Cellgate service: {source}. {ADVICE}")]
    NotInspection {
        /// The URL of the request.
        url: String,
        /// The cause.
        source: serde_json::Error,
    },
}

/// Gets the document of one service.
///
/// # Errors
/// The service cannot be reached in time, or it is no Cellgate service.
pub(crate) async fn fetch(server: &Server, time: Duration) -> Result<Inspected, InspectError> {
    let url = server.url("/inspect");
    let unreachable = |source| InspectError::Unreachable { url: url.clone(), source };
    let request = Request::get(server.target("/inspect")).header("host", server.authority()).body(Full::default());
    let request = request.map_err(|error| unreachable(ResponseError::Request(error)))?;
    let limits = RequestLimits { time, bytes: MAX_BYTES };
    let response = server.send(request, limits).await.map_err(unreachable)?;
    if response.status == 403 {
        let text = String::from_utf8_lossy(&response.body);
        let why = text.trim().chars().filter(|character| !character.is_control()).take(MAX_REFUSAL).collect();
        return Err(InspectError::Forbidden { url, why });
    }
    if response.status != 200 {
        return Err(InspectError::Refused { url, status: response.status });
    }
    let read = || -> serde_json::Result<_> {
        Ok((serde_json::from_slice(&response.body)?, serde_json::from_slice(&response.body)?))
    };
    match read() {
        Ok((document, inspection)) => Ok(Inspected { url: server.url(""), document, inspection }),
        Err(source) if source.classify() == Category::Data => Err(InspectError::NotInspection { url, source }),
        Err(source) => Err(InspectError::NotJson { url, source }),
    }
}
