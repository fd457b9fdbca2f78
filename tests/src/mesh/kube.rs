//! A client of the Kubernetes API: objects as JSON, over the plain HTTP of `kubectl proxy`.

mod watch;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

pub use watch::{Change, Watch};

use crate::client::{Http1, Request, Response};

/// The field manager of the tests' own objects.
const MANAGER: &str = "cellgate-tests";

/// The kinds that istiod reads from a namespace, by API group.
const CONFIGURATION: [(&str, &[&str]); 5] = [
    ("/api/v1", &["services"]),
    (
        "/apis/networking.istio.io/v1",
        &["destinationrules", "gateways", "serviceentries", "sidecars", "virtualservices", "workloadentries"],
    ),
    ("/apis/networking.istio.io/v1alpha3", &["envoyfilters"]),
    ("/apis/security.istio.io/v1", &["authorizationpolicies", "peerauthentications"]),
    ("/apis/telemetry.istio.io/v1", &["telemetries"]),
];

/// A client of the API server.
#[derive(Clone, Debug)]
pub struct Kube {
    proxy: SocketAddr,
    kubectl: PathBuf,
    kubeconfig: PathBuf,
}

impl Kube {
    pub(super) fn new(proxy: SocketAddr, kubectl: PathBuf, kubeconfig: PathBuf) -> Self {
        Self { proxy, kubectl, kubeconfig }
    }

    /// The administrator's kubeconfig file, for programs.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Sends a GET for an API path, such as `/api/v1/namespaces/x/services`. `None` if the object does not exist.
    ///
    /// # Errors
    /// When the API server rejects the request.
    pub async fn get(&self, path: &str) -> Result<Option<Value>> {
        let answer = self.send(Request::get(path)).await?;
        if answer.status.as_u16() == 404 {
            return Ok(None);
        }
        accepted("GET", path, &answer).map(Some)
    }

    /// The objects of a list, such as `/api/v1/namespaces/x/services`.
    ///
    /// # Errors
    /// When the API server has no such list.
    pub async fn list(&self, path: &str) -> Result<Vec<Value>> {
        let list = self.get(path).await?.with_context(|| format!("the API server has no {path}"))?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    /// Creates or changes an object (server-side apply).
    ///
    /// # Errors
    /// When the API server rejects it.
    pub async fn apply(&self, object: &Value) -> Result<Value> {
        let path = format!("{}?fieldManager={MANAGER}&force=true", path_of(object)?);
        self.patch(&path, "application/apply-patch+yaml", object).await
    }

    /// Calls [`Kube::apply`] for each object in order.
    ///
    /// # Errors
    /// When the API server rejects one.
    pub async fn apply_all(&self, objects: &[Value]) -> Result<()> {
        for object in objects {
            self.apply(object).await?;
        }
        Ok(())
    }

    /// Changes fields of the object at `path` (JSON merge patch).
    ///
    /// # Errors
    /// When the API server rejects it.
    pub async fn merge(&self, path: &str, change: &Value) -> Result<Value> {
        self.patch(path, "application/merge-patch+json", change).await
    }

    /// The API server's response to a new object, including admission, in a dry run.
    ///
    /// # Errors
    /// When the API server would reject it. The message has the reason.
    pub async fn admit(&self, object: &Value) -> Result<Value> {
        let path = format!("{}?dryRun=All", collection_of(object)?);
        let answer = self.send(Request::post(&path).json(object.to_string())).await?;
        accepted("POST", &path, &answer)
    }

    /// Requests a token of a service account, like a kubelet.
    ///
    /// # Errors
    /// When the account does not exist.
    pub async fn token(&self, namespace: &str, account: &str) -> Result<String> {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let request =
            json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}});
        let answer = self.send(Request::post(&path).json(request.to_string())).await?;
        let granted = accepted("POST", &path, &answer)?;
        granted["status"]["token"].as_str().map(str::to_owned).context("the API server gives no token")
    }

    /// Deletes an object, given in its stored or its applied form. A missing object is not an error.
    ///
    /// # Errors
    /// When the API server rejects the request.
    pub async fn delete(&self, object: &Value) -> Result<()> {
        let path = path_of(object)?;
        let answer = self.send(Request::new("DELETE", &path)).await?;
        if answer.status.as_u16() == 404 {
            return Ok(());
        }
        accepted("DELETE", &path, &answer).map(drop)
    }

    /// Deletes istiod's configuration in a namespace, so that it does not slow down other tests.
    ///
    /// # Errors
    /// When the API server rejects the request.
    pub async fn clear(&self, namespace: &str) -> Result<()> {
        for (group, kinds) in CONFIGURATION {
            for kind in kinds {
                let path = format!("{group}/namespaces/{namespace}/{kind}");
                accepted("DELETE", &path, &self.send(Request::new("DELETE", &path)).await?)?;
            }
        }
        Ok(())
    }

    /// Watches the objects of a list. Existing objects come first.
    ///
    /// # Errors
    /// When the API server rejects the request.
    pub async fn watch(&self, path: &str) -> Result<Watch> {
        Watch::open(self.proxy, path).await
    }

    /// Runs `kubectl` with `input` as its standard input, and returns its output.
    ///
    /// # Errors
    /// When it fails. The message has its output.
    pub async fn kubectl(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut command = Command::new(&self.kubectl);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).await?;
        }
        let output = child.wait_with_output().await?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success(),
            "kubectl {}: {}{}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim(),
            printed.trim()
        );
        Ok(printed)
    }

    async fn patch(&self, path: &str, media_type: &str, body: &Value) -> Result<Value> {
        let request = Request::new("PATCH", path).header("content-type", media_type).body(body.to_string());
        accepted("PATCH", path, &self.send(request).await?)
    }

    async fn send(&self, request: Request) -> Result<Response> {
        let request = request.header("host", self.proxy.to_string()).header("connection", "close");
        Http1::connect(self.proxy).await?.send(&request).await
    }
}

/// An object without a specification, for [`Kube::apply`]. The caller adds the rest.
#[must_use]
pub fn object(api_version: &str, kind: &str, namespace: &str, name: &str) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"namespace": namespace, "name": name}})
}

/// The path of an object.
///
/// # Errors
/// When it has no name.
pub fn path_of(object: &Value) -> Result<String> {
    let name = object["metadata"]["name"].as_str().context("the object has no metadata.name")?;
    Ok(format!("{}/{name}", collection_of(object)?))
}

/// The path of the list that an object is in.
fn collection_of(object: &Value) -> Result<String> {
    let version = object["apiVersion"].as_str().context("the object has no apiVersion")?;
    let kind = object["kind"].as_str().context("the object has no kind")?;
    let group = if version.contains('/') { format!("/apis/{version}") } else { format!("/api/{version}") };
    let namespace = match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("/namespaces/{namespace}"),
        None => String::new(),
    };
    Ok(format!("{group}{namespace}/{}", plural(kind)))
}

/// The plural of a kind in API paths. Kubernetes and Istio use English plurals.
fn plural(kind: &str) -> String {
    let kind = kind.to_ascii_lowercase();
    if let Some(stem) = kind.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u'])) {
        format!("{stem}ies")
    } else if kind.ends_with('s') {
        format!("{kind}es")
    } else {
        format!("{kind}s")
    }
}

fn accepted(method: &str, path: &str, answer: &Response) -> Result<Value> {
    if answer.status.is_success() {
        return Ok(answer.json());
    }
    let status: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let text = answer.text();
    bail!("{method} {path}: {} {}", answer.status, status["message"].as_str().unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_the_plural_of_the_kind() {
        let paths = [
            ("v1", "Service", "/api/v1/namespaces/n/services/o"),
            ("networking.istio.io/v1", "WorkloadEntry", "/apis/networking.istio.io/v1/namespaces/n/workloadentries/o"),
            ("networking.istio.io/v1", "Gateway", "/apis/networking.istio.io/v1/namespaces/n/gateways/o"),
            ("networking.k8s.io/v1", "Ingress", "/apis/networking.k8s.io/v1/namespaces/n/ingresses/o"),
        ];
        for (version, kind, path) in paths {
            assert_eq!(path_of(&object(version, kind, "n", "o")).unwrap(), path);
        }
    }
}
