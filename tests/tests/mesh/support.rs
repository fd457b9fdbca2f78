//! Helpers of several modules.

use anyhow::{Context, Result};
use cellgate_tests::client::Request;
use cellgate_tests::mesh::Mesh;
use serde_json::Value;

/// `{"x":"ppp…","tenant":{"id":TENANT}}` of exactly `size` bytes, with the key last.
pub(crate) fn key_last(tenant: &str, size: usize) -> String {
    let (start, end) = (r#"{"x":""#, format!(r#"","tenant":{{"id":"{tenant}"}}}}"#));
    let padding = size.checked_sub(start.len() + end.len()).expect("the size has room for the key");
    format!("{start}{}{end}", "p".repeat(padding))
}

/// A body in pieces of 16 KiB, for requests without a Content-Length.
pub(crate) fn pieces(body: &str) -> Vec<Vec<u8>> {
    body.as_bytes().chunks(16 * 1024).map(<[u8]>::to_vec).collect()
}

/// A small request of a tenant.
pub(crate) fn of(tenant: &str) -> Request {
    Request::post("/").json(format!(r#"{{"tenant":{{"id":"{tenant}"}}}}"#))
}

/// Every object in any namespace that has the release's label or is helm's record of the release.
pub(crate) async fn objects_of(mesh: &Mesh, release: &str) -> Result<Vec<String>> {
    let kube = mesh.kube();
    let kinds = kube.kubectl(&["api-resources", "--verbs=list", "--output=name"], "").await?;
    let kinds = kinds.lines().filter(|kind| !kind.starts_with("events")).collect::<Vec<_>>().join(",");
    let labelled = format!("app.kubernetes.io/instance={release}");
    let mut found = Vec::new();
    for selector in [labelled, format!("owner=helm,name={release}")] {
        let arguments = ["get", &kinds, "--all-namespaces", "--output=json", "--selector", &selector];
        let list: Value = serde_json::from_str(&kube.kubectl(&arguments, "").await?)?;
        let items = list["items"].as_array().context("no items")?;
        found.extend(items.iter().map(|object| {
            let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
            format!("{} {}/{}", object["kind"].as_str().unwrap_or_default(), text("namespace"), text("name"))
        }));
    }
    Ok(found)
}
