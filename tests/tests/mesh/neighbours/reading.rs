//! `cellgate neighbours` with a real API server: with few permissions, and with many objects.

use std::process::Output;

use anyhow::{Context, Result};
use cellgate_tests::artifacts;
use cellgate_tests::mesh::kube::object;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::Shared;

/// More than two pages of a list.
const MANY: usize = 1100;

/// Runs the command like a pod with a service account.
async fn neighbours(mesh: &Shared, namespace: &str, directory: &std::path::Path) -> Result<Output> {
    std::fs::write(directory.join("token"), mesh.kube().token(namespace, "default").await?)?;
    std::fs::write(directory.join("ca.crt"), mesh.control_plane().authority()?)?;
    let plan = json!({
        "release": namespace, "namespace": namespace, "name": namespace, "routing_header": "x-cell",
        "hosts": ["many.test"], "gateways": [format!("{namespace}/gateway")], "inspect_bytes": 65536,
        "proxies": [{"namespace": namespace, "context": "GATEWAY"}], "istio_namespace": "istio-system",
    });
    let file = directory.join("plan.json");
    std::fs::write(&file, plan.to_string())?;
    let address = mesh.control_plane().address();
    let mut command = Command::new(artifacts::cellgate()?);
    command.args(["neighbours", "--plan"]).arg(file).arg("--service-account").arg(directory);
    command.env("KUBERNETES_SERVICE_HOST", address.ip().to_string());
    command.env("KUBERNETES_SERVICE_PORT", address.port().to_string());
    Ok(command.output().await?)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// Allows the default account of a namespace to list Istio's objects, in all namespaces or in its own.
async fn allow(mesh: &Shared, namespace: &str, everywhere: bool) -> Result<()> {
    let [role, binding] = if everywhere { ["ClusterRole", "ClusterRoleBinding"] } else { ["Role", "RoleBinding"] };
    let made = |kind: &str| {
        let mut made = object("rbac.authorization.k8s.io/v1", kind, namespace, &format!("{namespace}-reader"));
        if everywhere {
            made["metadata"].as_object_mut().map(|metadata| metadata.remove("namespace"));
        }
        made
    };
    let (mut rights, mut bound) = (made(role), made(binding));
    rights["rules"] = json!([{"apiGroups": ["networking.istio.io"], "resources": ["*"], "verbs": ["list"]}]);
    bound["roleRef"] =
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": format!("{namespace}-reader")});
    bound["subjects"] = json!([{"kind": "ServiceAccount", "name": "default", "namespace": namespace}]);
    mesh.kube().apply_all(&[rights, bound]).await
}

pub(crate) async fn objects_without_read_permission_are_listed(mesh: Shared) -> Result<()> {
    let (name, directory) = mesh.place()?;
    mesh.create_namespace(&name).await?;

    // Without permissions, the output lists every kind and scope that it cannot see, and guesses nothing.
    let nothing = neighbours(&mesh, &name, &directory).await?;
    let said = text(&nothing);
    assert_eq!(nothing.status.code(), Some(0), "{said}");
    assert!(said.starts_with("neighbours: 0 objects read\n"), "{said}");
    for what in [
        format!("??  virtualservices in the namespace {name} could not be read: the API server responds with 403"),
        "??  envoyfilters in the namespace istio-system could not be read".to_owned(),
        "??  destinationrules in other namespaces than the release's own".to_owned(),
    ] {
        assert!(said.contains(&what), "{what}\n{said}");
    }

    // With permissions for its own namespace, it judges the objects there and lists the rest as not visible.
    allow(&mesh, &name, false).await?;
    let mut service = object("networking.istio.io/v1", "VirtualService", &name, "legacy");
    service["spec"] = json!({"hosts": ["many.test"], "gateways": ["gateway"], "http": [{
        "match": [{"uri": {"prefix": "/api"}}], "directResponse": {"status": 200},
    }]});
    mesh.kube().apply(&service).await?;
    let some = neighbours(&mesh, &name, &directory).await?;
    let said = text(&some);
    assert_eq!(some.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("!!  VirtualService/{name}/legacy is older")), "{said}");
    assert!(said.contains("??  virtualservices in other namespaces than the release's own"), "{said}");
    mesh.kube().clear(&name).await
}

pub(crate) async fn a_thousand_neighbours_are_read(mesh: Shared) -> Result<()> {
    let (name, directory) = mesh.place()?;
    mesh.create_namespace(&name).await?;
    allow(&mesh, &name, true).await?;
    let services: Vec<Value> = (0..MANY)
        .map(|number| {
            let mut service = object("networking.istio.io/v1", "VirtualService", &name, &format!("many-{number}"));
            // Not visible to the proxies of other tests.
            service["spec"] = json!({
                "hosts": [format!("{number}.many.test")], "exportTo": ["."],
                "http": [{"directResponse": {"status": 200}}],
            });
            service
        })
        .collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": services}).to_string();
    mesh.kube().kubectl(&["create", "--filename=-"], &list).await?;
    let output = neighbours(&mesh, &name, &directory).await?;
    let said = text(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let read: usize = said
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("neighbours: ")?.split(' ').next()?.parse().ok())
        .context("no count")?;
    assert!(read >= MANY, "{said}");
    assert!(said.contains("0 errors (!!), 0 warnings (!), 0 unknown (??)") || said.contains("httproutes"), "{said}");
    mesh.kube().clear(&name).await
}
