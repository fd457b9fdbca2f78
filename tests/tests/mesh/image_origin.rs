//! istio/recipes/image-origin: the API server itself admits images and modules of one registry only, by digest.

use anyhow::{Context, Result};
use cellgate_tests::mesh::kube::object;
use cellgate_tests::mesh::release::merge;
use cellgate_tests::{artifacts, wait};
use serde_json::{Value, json};

use crate::Shared;

/// The registry of the recipe.
const REGISTRY: &str = "registry.example";

/// The recipe for one namespace: other tests share the API server.
async fn apply(mesh: &Shared, namespace: &str) -> Result<()> {
    let path = artifacts::checkout().join("istio/recipes/image-origin/registry.yaml");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    for policy in ["cellgate-images", "cellgate-modules"] {
        assert_eq!(text.matches(&format!(": {policy}\n")).count(), 3, "{policy}");
    }
    let selected = format!(
        "  matchResources:\n    namespaceSelector: {{ matchLabels: {{ kubernetes.io/metadata.name: {namespace} }} }}\n  \
         validationActions:"
    );
    let text = text
        .replace("cellgate-images", &format!("{namespace}-images"))
        .replace("cellgate-modules", &format!("{namespace}-modules"))
        .replace("  validationActions:", &selected);
    mesh.kube().kubectl(&["apply", "--server-side", "--validate=strict", "--filename=-"], &text).await.map(drop)
}

fn deployment(namespace: &str, image: &str) -> Value {
    let mut found = object("apps/v1", "Deployment", namespace, "ext-proc");
    let labels = json!({"app.kubernetes.io/name": "cellgate"});
    merge(
        &mut found,
        json!({
            "metadata": {"labels": labels},
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "ext-proc", "image": image}]}},
            },
        }),
    );
    found
}

/// The part of the chart's EnvoyFilter that has the module, and a patch of another kind.
fn filter(namespace: &str, code: &Value) -> Value {
    let mut found = object("networking.istio.io/v1alpha3", "EnvoyFilter", namespace, "filter");
    let wasm = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {"name": "cellgate", "vm_config": {"runtime": "envoy.wasm.runtime.v8", "code": code}},
    });
    let patches = json!([
        {"applyTo": "EXTENSION_CONFIG", "patch": {"operation": "ADD", "value": {"name": "cellgate", "typed_config": wasm}}},
        {"applyTo": "LISTENER", "patch": {"operation": "MERGE", "value": {"per_connection_buffer_limit_bytes": 65536}}},
    ]);
    merge(&mut found, json!({"spec": {"configPatches": patches}}));
    found
}

fn remote(url: &str, sha256: &str) -> Value {
    json!({"remote": {"http_uri": {"uri": url, "cluster": "_", "timeout": "10s"}, "sha256": sha256}})
}

/// A module in places where the chart has none.
fn hidden(code: &Value) -> [Value; 4] {
    let wasm = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
    let config = json!({"name": "cellgate", "vm_config": {"runtime": "envoy.wasm.runtime.v8", "code": code}});
    let typed = json!({"@type": wasm, "config": config});
    let manager =
        "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    let structure = "type.googleapis.com/xds.type.v3.TypedStruct";
    let elsewhere = json!({"api_config_source": {"api_type": "GRPC"}});
    [
        json!({"name": "a", "typed_config": {"@type": structure, "type_url": wasm, "value": {"config": config}}}),
        json!({"name": "a", "typed_config": {"@type": manager, "http_filters": [{"name": "b", "typed_config": typed}]}}),
        json!({"name": "a", "config_discovery": {"config_source": elsewhere, "type_urls": [wasm]}}),
        json!({"name": "a", "config_discovery": {"config_source": {"ads": {}}, "type_urls": [wasm], "default_config": typed}}),
    ]
}

pub(crate) async fn only_a_digest_of_the_registry_is_admitted(mesh: Shared) -> Result<()> {
    let (name, _) = mesh.place()?;
    mesh.create_namespace(&name).await?;
    let digest = "5e".repeat(32);
    let (image, module) = (format!("{REGISTRY}/cellgate"), format!("oci://{REGISTRY}/cellgate-filter:0.2.0"));
    let by_tag = deployment(&name, &format!("{image}:0.2.0"));
    mesh.kube().apply(&by_tag).await.context("without the policy")?;
    mesh.kube().delete(&by_tag).await?;

    apply(&mesh, &name).await?;
    // The API server reads policies from its own watch.
    let refused = || async { Ok(mesh.kube().apply(&by_tag).await.err()) };
    let refusal = wait::until("a refusal of a tag", refused).await?.to_string();
    assert!(refusal.contains("set image.digest to the digest of the release"), "{refusal}");

    for wrong in [
        "docker.io/library/cellgate".to_owned(),
        format!("registryXexample/cellgate@sha256:{digest}"),
        format!("{REGISTRY}/cellgate-other@sha256:{digest}"),
        format!("{image}@sha256:{}", &digest[1..]),
    ] {
        let refusal = mesh.kube().apply(&deployment(&name, &wrong)).await.unwrap_err().to_string();
        assert!(refusal.contains("must be registry.example/cellgate by its digest"), "{wrong}: {refusal}");
    }
    mesh.kube().apply(&deployment(&name, &format!("{image}@sha256:{digest}"))).await.context("by its digest")?;

    let elsewhere = remote("oci://elsewhere.example/cellgate-filter:0.2.0", &digest);
    let refused = || async { Ok(mesh.kube().apply(&filter(&name, &elsewhere)).await.err()) };
    wait::until("a refusal of a module", refused).await?;
    let local = json!({"local": {"filename": "/etc/cellgate/cellgate.wasm"}});
    let without = json!({"remote": {"http_uri": {"uri": module, "cluster": "_", "timeout": "10s"}}});
    for wrong in [
        elsewhere,
        remote("https://registry.example/cellgate.wasm", &digest),
        remote(&module, &"0".repeat(64)),
        remote(&module, &digest[1..]),
        without,
        local,
    ] {
        let refusal = mesh.kube().apply(&filter(&name, &wrong)).await.unwrap_err().to_string();
        assert!(refusal.contains("must come from oci://registry.example/cellgate-filter"), "{wrong}: {refusal}");
    }
    for hidden in hidden(&remote("oci://elsewhere.example/cellgate-filter:0.2.0", &digest)) {
        let mut found = object("networking.istio.io/v1alpha3", "EnvoyFilter", &name, "filter");
        let patches = json!([{"applyTo": "HTTP_FILTER", "patch": {"operation": "INSERT_FIRST", "value": hidden}}]);
        merge(&mut found, json!({"spec": {"configPatches": patches}}));
        let refusal = mesh.kube().apply(&found).await.unwrap_err().to_string();
        assert!(refusal.contains("must come from oci://registry.example/cellgate-filter"), "{hidden}: {refusal}");
    }
    let mut plugin = object("extensions.istio.io/v1alpha1", "WasmPlugin", &name, "plugin");
    merge(&mut plugin, json!({"spec": {"url": "oci://elsewhere.example/cellgate-filter:0.2.0", "sha256": digest}}));
    let refusal = mesh.kube().apply(&plugin).await.unwrap_err().to_string();
    assert!(refusal.contains("a WasmPlugin must have a url of"), "{refusal}");
    mesh.kube().apply(&filter(&name, &remote(&module, &digest))).await.context("the module of a release").map(drop)
}
