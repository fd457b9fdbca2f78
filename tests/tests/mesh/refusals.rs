//! `helm install` rejects wrong values with a sentence that says what to do, and leaves nothing behind.

use anyhow::Result;
use cellgate_tests::mesh::helm::Helm;
use cellgate_tests::mesh::kube::object;
use cellgate_tests::mesh::release::{Setup, merge};
use serde_json::{Value, json};

use crate::Shared;
use crate::support::objects_of;

/// A release without running parts: the namespaces of its values exist, but no cells and no gateway.
struct Plan {
    mesh: Shared,
    setup: Setup,
    helm: Helm,
}

impl Plan {
    async fn new(mesh: &Shared) -> Result<Self> {
        let setup = Setup::new(mesh);
        let cells = ["cell-a", "cell-b", "cell-c"].map(|cell| setup.cell_namespace(cell));
        for namespace in [setup.name().to_owned(), setup.gateway_namespace()].into_iter().chain(cells) {
            mesh.create_namespace(&namespace).await?;
        }
        let (_, directory) = mesh.place()?;
        let helm = Helm::new(mesh.kube(), &directory, setup.name(), setup.name())?;
        Ok(Self { mesh: mesh.clone(), setup, helm })
    }

    fn name(&self) -> &str {
        self.setup.name()
    }

    /// Runs `helm install` with changed values. No node runs the pods of hooks.
    async fn install(&self, change: &Value) -> Result<()> {
        let mut values = self.setup.values().clone();
        merge(&mut values, change.clone());
        self.helm.install(&values, &["--no-hooks"]).await.map(drop)
    }

    /// Fails unless `helm install` fails with these words in one line, and leaves nothing behind.
    async fn is_refused(&self, change: &Value, words: &[&str]) -> Result<()> {
        let Err(refused) = self.install(change).await else { panic!("installed: {change}") };
        let said = refused.to_string();
        let is_said = said.lines().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(is_said, "{words:?} are not in one line of: {said}");
        let secrets = self.mesh.kube().list(&format!("/api/v1/namespaces/{}/secrets", self.name())).await?;
        let records: Vec<&Value> = secrets.iter().map(|secret| &secret["metadata"]["name"]).collect();
        assert!(!records.iter().any(|name| name.to_string().contains("helm")), "{change}: {records:?}");
        Ok(())
    }

    async fn has_left_nothing(&self) -> Result<()> {
        assert_eq!(objects_of(&self.mesh, self.name()).await?, Vec::<String>::new());
        Ok(())
    }

    /// Installs changed values that are valid.
    async fn is_installed(&self, change: &Value) -> Result<()> {
        self.install(change).await?;
        assert_ne!(objects_of(&self.mesh, self.name()).await?, Vec::<String>::new());
        Ok(())
    }
}

pub(crate) async fn contradictory_values_install_nothing(mesh: Shared) -> Result<()> {
    let plan = Plan::new(&mesh).await?;
    let overrides = json!({"config": {"placement": {"overrides": {"acme": "cell-z"}}}});
    let known = ["config.placement.overrides.acme", "cell-z", "[cell-a, cell-b, cell-c]"];
    for (change, words) in [
        (overrides, &known[..]),
        (json!({"cells": null}), &["cells: this value is required; add at least one cell"]),
        (
            json!({"filter": {"bufferBytes": "32KiB"}}),
            &["filter.bufferBytes: it is less than config.limits.inspect_bytes (65536)", "raise it"],
        ),
        (
            json!({"extProc": {"maxHeldBytes": "1GiB"}}),
            &["extProc.resources.limits.memory: 768Mi is not more than extProc.maxHeldBytes (1GiB)", "raise it"],
        ),
        (
            json!({"traffic": {"timeout": "1s", "retries": {"perTryTimeout": "10s"}}}),
            &[
                "traffic.retries.perTryTimeout: 10s is longer than the timeout of the whole request (1s)",
                "make it shorter",
            ],
        ),
        (json!({"image": {"tag": "latest"}}), &["image.tag: the image behind latest can change", "set a version"]),
        (
            json!({"filter": {"enabled": false}}),
            &["filter.enabled: without the filter", "trust a client's own x-cell header"],
        ),
        (json!({"cells": {"cell-a": {"conectionPool": {}}}}), &["conectionPool"]),
    ] {
        plan.is_refused(&change, words).await?;
    }
    plan.has_left_nothing().await
}

pub(crate) async fn missing_prerequisites_are_reported_at_installation(mesh: Shared) -> Result<()> {
    let plan = Plan::new(&mesh).await?;
    let [keys, registry, store, authorities, nowhere] =
        ["keys", "registry", "store", "authorities", "nowhere"].map(|what| format!("{}-{what}", plan.name()));
    let change = json!({
        "extProc": {
            "secrets": [{"name": keys, "mountPath": "/etc/cellgate/keys"}],
            "limitStore": {
                "url": "rediss://valkey.example:6379",
                "secret": {"name": store},
                "tls": {"configMap": authorities, "caKey": "ca.crt"},
            },
        },
        "image": {"pullSecrets": [registry]},
        "cells": {"cell-a": {"namespace": nowhere}},
    });
    for (path, kind, name) in [
        ("extProc.secrets", "Secret", &keys),
        ("image.pullSecrets", "Secret", &registry),
        ("extProc.limitStore.secret.name", "Secret", &store),
        ("extProc.limitStore.tls.configMap", "ConfigMap", &authorities),
    ] {
        let missing = format!("the {kind} {name} does not exist in the namespace {}", plan.name());
        plan.is_refused(&change, &[path, &missing]).await?;
        mesh.kube().apply(&object("v1", kind, plan.name(), name)).await?;
    }
    plan.is_refused(&change, &["cells.cell-a.namespace", &format!("the namespace {nowhere} does not exist")]).await?;
    plan.has_left_nothing().await?;

    mesh.create_namespace(&nowhere).await?;
    plan.is_installed(&change).await
}

pub(crate) async fn an_unsupported_istio_version_is_rejected(mesh: Shared) -> Result<()> {
    let plan = Plan::new(&mesh).await?;
    let namespace = format!("{}-istio", plan.name());
    mesh.create_namespace(&namespace).await?;
    let istiod = |revision: &str, labels: Value, tag: &str| {
        let mut deployment = object("apps/v1", "Deployment", &namespace, revision);
        deployment["metadata"]["labels"] = labels;
        deployment["spec"] = json!({
            "selector": {"matchLabels": {"app": "istiod"}},
            "template": {
                "metadata": {"labels": {"app": "istiod"}},
                "spec": {"containers": [{"name": "discovery", "image": format!("registry.example:5000/pilot:{tag}")}]},
            },
        });
        deployment
    };
    let of_label = json!({"app.kubernetes.io/version": "1.27.8"});
    mesh.kube().apply(&istiod("istiod", of_label, "any")).await?;
    mesh.kube().apply(&istiod("istiod-canary", json!({}), "1.27.0-distroless")).await?;
    let [change, canary] =
        ["", "canary"].map(|revision| json!({"istio": {"namespace": namespace, "revision": revision}}));
    plan.is_refused(&change, &["istio: istiod is version 1.27", "update Istio to 1.28"]).await?;
    plan.is_refused(&canary, &["istio: istiod-canary is version 1.27", "update Istio to 1.28"]).await?;
    plan.has_left_nothing().await?;

    // The first supported version.
    mesh.kube().apply(&istiod("istiod-canary", json!({}), "1.28.0")).await?;
    plan.is_installed(&canary).await
}

pub(crate) async fn a_rejected_upgrade_changes_nothing(mesh: Shared) -> Result<()> {
    let plan = Plan::new(&mesh).await?;
    plan.install(&json!({})).await?;
    let before = plan.helm.run(&["get", "manifest", plan.name()]).await?;
    let mut values = plan.setup.values().clone();
    merge(&mut values, json!({"routes": {"undecided": {"cell": "cell-z"}}}));
    let refused = plan.helm.upgrade(&values, &[]).await.unwrap_err().to_string();
    assert!(refused.contains("routes.undecided.cell: \"cell-z\" is not one of the cells"), "{refused}");
    let history: Value = serde_json::from_str(&plan.helm.run(&["history", plan.name(), "--output=json"]).await?)?;
    assert_eq!((history[0]["revision"].as_u64(), &history[0]["status"]), (Some(1), &json!("deployed")), "{history}");
    assert_eq!(history.as_array().map(Vec::len), Some(1), "{history}");
    assert_eq!(plan.helm.run(&["get", "manifest", plan.name()]).await?, before);
    Ok(())
}
