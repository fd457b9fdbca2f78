//! The API server checks the chart's objects: schemas, pod security, and the service's permissions.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

use anyhow::{Context, Result};
use cellgate_tests::mesh::helm::Helm;
use cellgate_tests::mesh::kube::object;
use cellgate_tests::mesh::release::{Setup, merge};
use cellgate_tests::mesh::tools;
use cellgate_tests::{artifacts, wait};
use serde_json::{Value, json};

use crate::Shared;

/// The namespaces in the repository's values.
const NAMESPACES: [&str; 5] = ["cellgate", "cell-a", "cell-b", "istio-ingress", "argocd"];

/// Named changes of the repository's values.
fn changes() -> Vec<(&'static str, Value)> {
    let gateway_api = json!({
        "api": "gateway-api",
        "parentRefs": [{"name": "public", "namespace": "istio-ingress"}],
    });
    let attach = |kind: &str| json!({"name": kind, "type": kind, "namespace": "cell-a", "serviceAccount": "api"});
    let selected = |kind: &str, more: Value| {
        let mut entry = attach(kind);
        merge(&mut entry, json!({"selector": {"app": "api"}}));
        merge(&mut entry, more);
        entry
    };
    let mut waypoint = attach("waypoint");
    let target = json!([{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "waypoint"}]);
    merge(&mut waypoint, json!({"targetRefs": target}));
    let canary = json!([
        {"name": "stable", "labels": {"version": "v1"}, "weight": 90},
        {"name": "canary", "labels": {"version": "v2"}, "weight": 10},
    ]);
    let secret = json!({"name": "credentials", "mountPath": "/etc/cellgate/credentials"});
    let external = json!({
        "name": "credentials",
        "store": {"kind": "ClusterSecretStore", "name": "vault"},
        "data": [{"secretKey": "token", "remoteRef": {"key": "cellgate/token"}}],
    });
    let store = json!({
        "url": "rediss://valkey.data.svc.cluster.local",
        "secret": {"name": "credentials", "passwordKey": "password"},
        "tls": {"secret": "credentials", "caKey": "ca.crt"},
    });
    let digest = format!("sha256:{}", "a1".repeat(32));
    vec![
        ("as it is", json!({})),
        ("hpa", json!({"extProc": {"autoscaling": {"type": "hpa"}}})),
        ("keda", json!({"extProc": {"autoscaling": {"type": "keda", "prometheusAddress": "http://prometheus:9090"}}})),
        (
            "monitoring",
            json!({"monitoring": {"serviceMonitor": {"enabled": true}, "prometheusRule": {"enabled": true}}}),
        ),
        ("external secret", json!({"extProc": {"secrets": [secret], "externalSecrets": [external]}})),
        ("limit store", json!({"extProc": {"externalSecrets": [external], "limitStore": store}})),
        ("gateway api", json!({"routes": gateway_api})),
        ("no mtls", json!({"mtls": {"enabled": false}})),
        ("permissive", json!({"mtls": {"mode": "PERMISSIVE", "callers": ["apps/shop"]}})),
        ("inbound", json!({"filter": {"attach": [selected("sidecar-inbound", json!({"cell": "cell-a"}))]}})),
        ("outbound", json!({"filter": {"attach": [selected("sidecar-outbound", json!({"ports": [80, 8080]}))]}})),
        ("waypoint", json!({"filter": {"attach": [waypoint]}})),
        ("no service", json!({"extProc": {"enabled": false}})),
        ("canary", json!({"cells": {"cell-a": {"versions": canary}}})),
        ("mirror", json!({"cells": {"cell-a": {"mirror": {"cell": "cell-b", "percent": 10}}}})),
        ("drain", json!({"cells": {"cell-b": {"drain": true}}})),
        ("fault", json!({"cells": {"cell-a": {"fault": {"abort": {"httpStatus": 503, "percentage": {"value": 1}}}}}})),
        ("digests", json!({"image": {"digest": digest}, "filter": {"module": {"sha256": "5e".repeat(32)}}})),
        ("undecided to a cell", json!({"routes": {"undecided": {"cell": "cell-a"}}})),
        ("openshift", json!({"openshift": true, "nameOverride": "router", "commonAnnotations": {"team": "edge"}})),
        (
            "additions",
            json!({
                "image": {"pullSecrets": [{"name": "registry"}]},
                "podSecurityContext": {"runAsUser": 1000},
                "extProc": {
                    "annotations": {"a": "b"},
                    "service": {"annotations": {"a": "b"}, "ipFamilyPolicy": "PreferDualStack"},
                    "extraArgs": ["--log-format=human"],
                    "extraEnv": [{"name": "A", "value": "b"}],
                    "extraVolumes": [{"name": "scratch", "emptyDir": {}}],
                    "extraVolumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
                },
            }),
        ),
        ("no network policy", json!({"extProc": {"networkPolicy": {"enabled": false}}})),
    ]
}

/// Renders the chart with values files and a change.
struct Chart {
    helm: Helm,
    name: String,
    directory: PathBuf,
}

impl Chart {
    /// A new release. Creates its namespace and those of the values.
    async fn new(mesh: &Shared) -> Result<Self> {
        let (name, directory) = mesh.place()?;
        for namespace in NAMESPACES.into_iter().chain([name.as_str()]) {
            mesh.create_namespace(namespace).await?;
        }
        // A pod is admitted only if its service account exists.
        for namespace in ["cellgate", &name] {
            for account in ["ext-proc", "neighbours"] {
                let account = object("v1", "ServiceAccount", namespace, &format!("{namespace}-{account}"));
                mesh.kube().apply(&account).await?;
            }
        }
        Ok(Self { helm: Helm::new(mesh.kube(), &directory, &name, &name)?, name, directory })
    }

    async fn render(&self, files: &[PathBuf], change: &Value) -> Result<String> {
        // The example has a placeholder, which the chart refuses.
        let digest = self.directory.join("digest.json");
        std::fs::write(&digest, json!({"filter": {"module": {"sha256": "5e".repeat(32)}}}).to_string())?;
        let changed = self.directory.join("change.json");
        std::fs::write(&changed, change.to_string())?;
        let chart = tools::chart();
        let mut arguments = vec!["template".to_owned(), self.name.clone(), chart.to_string_lossy().into_owned()];
        for file in files.iter().chain([&digest, &changed]) {
            arguments.extend(["--values".to_owned(), file.to_string_lossy().into_owned()]);
        }
        self.helm.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).await
    }
}

/// A file of the repository.
fn file(path: &str) -> PathBuf {
    artifacts::checkout().join(path)
}

/// The API server in dry-run mode.
struct Server {
    mesh: Shared,
    /// The accepted documents.
    accepted: HashSet<String>,
    /// Their kinds.
    kinds: BTreeSet<String>,
}

impl Server {
    fn new(mesh: &Shared) -> Self {
        Self { mesh: mesh.clone(), accepted: HashSet::new(), kinds: BTreeSet::new() }
    }

    /// Submits each distinct document of a YAML stream once, and returns the documents with the server's defaults.
    async fn accepts(&mut self, yaml: &str) -> Result<Vec<Value>> {
        let documents = yaml.split("\n---").map(str::trim).filter(|document| !document.is_empty());
        let new: Vec<&str> = documents.filter(|document| self.accepted.insert((*document).to_owned())).collect();
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let answer = apply(&self.mesh, &new.join("\n---\n")).await?;
        let objects = match answer["items"].as_array() {
            Some(objects) => objects.clone(),
            None => vec![answer],
        };
        self.kinds.extend(objects.iter().filter_map(|object| object["kind"].as_str()).map(str::to_owned));
        for deployment in objects.iter().filter(|object| object["kind"] == "Deployment") {
            let pod = pod_of(deployment);
            self.mesh.kube().admit(&pod).await?;
        }
        Ok(objects)
    }
}

/// `kubectl apply` as a server-side dry run. Unknown fields and the server's warnings are errors.
async fn apply(mesh: &Shared, yaml: &str) -> Result<Value> {
    let arguments = [
        "apply",
        "--server-side",
        "--force-conflicts",
        "--dry-run=server",
        "--validate=strict",
        "--warnings-as-errors",
        "--output=json",
        "--filename=-",
    ];
    Ok(serde_json::from_str(&mesh.kube().kubectl(&arguments, yaml).await?)?)
}

/// The pod that the Deployment controller would create.
fn pod_of(deployment: &Value) -> Value {
    let metadata = &deployment["metadata"];
    let [namespace, name] = ["namespace", "name"].map(|field| metadata[field].as_str().unwrap_or_default());
    let mut pod = object("v1", "Pod", namespace, name);
    merge(&mut pod, deployment["spec"]["template"].clone());
    pod
}

pub(crate) async fn every_rendering_is_accepted(mesh: Shared) -> Result<()> {
    let chart = Chart::new(&mesh).await?;
    let mut server = Server::new(&mesh);
    let example = file("istio/values.yaml");
    for (name, change) in changes() {
        let rendered = chart.render(std::slice::from_ref(&example), &change).await.with_context(|| name)?;
        server.accepts(&rendered).await.with_context(|| name)?;
    }
    for environment in ["dev", "staging", "prod"] {
        let files = [
            example.clone(),
            file(&format!("charts/cellgate/values-{environment}.yaml")),
            file(&format!("istio/gitops/environments/{environment}/values.yaml")),
        ];
        let rendered = chart.render(&files, &json!({})).await.context(environment)?;
        server.accepts(&rendered).await.context(environment)?;
    }
    let wanted = [
        "AuthorizationPolicy",
        "ClusterRole",
        "ClusterRoleBinding",
        "ConfigMap",
        "Deployment",
        "DestinationRule",
        "EnvoyFilter",
        "ExternalSecret",
        "HTTPRoute",
        "HorizontalPodAutoscaler",
        "NetworkPolicy",
        "PeerAuthentication",
        "Pod",
        "PodDisruptionBudget",
        "PrometheusRule",
        "ReferenceGrant",
        "ScaledObject",
        "Service",
        "ServiceAccount",
        "ServiceMonitor",
        "VirtualService",
    ];
    assert_eq!(server.kinds, wanted.map(str::to_owned).into());
    Ok(())
}

pub(crate) async fn every_recipe_is_accepted(mesh: Shared) -> Result<()> {
    let chart = Chart::new(&mesh).await?;
    let mut server = Server::new(&mesh);
    let mut count = 0;
    for recipe in std::fs::read_dir(file("istio/recipes"))? {
        let recipe = recipe?.path();
        if !recipe.join("values.yaml").is_file() {
            continue;
        }
        count += 1;
        let place = || recipe.display().to_string();
        let files = [file("istio/values.yaml"), recipe.join("values.yaml")];
        server.accepts(&chart.render(&files, &json!({})).await.with_context(place)?).await.with_context(place)?;
        for manifest in std::fs::read_dir(&recipe)? {
            let manifest = manifest?.path();
            if manifest.extension().is_some_and(|kind| kind == "yaml") && !manifest.ends_with("values.yaml") {
                server.accepts(&std::fs::read_to_string(manifest)?).await.with_context(place)?;
            }
        }
    }
    assert!(count >= 9, "only {count} recipes");
    Ok(())
}

pub(crate) async fn objects_applied_by_kustomize_and_argo_cd_are_accepted(mesh: Shared) -> Result<()> {
    // For its namespaces only.
    Chart::new(&mesh).await?;
    let mut server = Server::new(&mesh);
    for folder in ["base", "overlays/dev", "overlays/staging", "overlays/prod"] {
        let folder = file("istio").join(folder);
        let path = folder.to_string_lossy();
        let objects = mesh.kube().kubectl(&["kustomize", &path], "").await?;
        server.accepts(&objects).await.with_context(|| path.into_owned())?;
    }
    for path in ["root.yaml", "apps/project.yaml", "apps/environments.yaml"] {
        let text = std::fs::read_to_string(file("istio/gitops").join(path))?;
        server.accepts(&text).await.context(path)?;
    }
    for kind in ["Deployment", "EnvoyFilter", "HorizontalPodAutoscaler", "Application", "AppProject", "ApplicationSet"]
    {
        assert!(server.kinds.contains(kind), "no {kind} in {:?}", server.kinds);
    }
    Ok(())
}

pub(crate) async fn a_misspelt_field_is_rejected(mesh: Shared) -> Result<()> {
    let chart = Chart::new(&mesh).await?;
    let rendered = chart.render(&[file("istio/values.yaml")], &json!({})).await?;
    for (right, wrong) in [
        ("connectionPool:", "conectionPool:"),
        ("terminationGracePeriodSeconds:", "terminationGracePeriod:"),
        ("maxUnavailable:", "maxUnavailible:"),
        ("configPatches:", "configPatch:"),
        ("retryOn:", "perTry:"),
    ] {
        assert!(rendered.contains(right), "{right}");
        let refused = apply(&mesh, &rendered.replace(right, wrong)).await.unwrap_err().to_string();
        let field = wrong.trim_end_matches(':');
        assert!(refused.contains(field) && refused.contains("not declared in schema"), "{wrong} {refused}");
    }
    Ok(())
}

pub(crate) async fn pods_fit_a_restricted_namespace(mesh: Shared) -> Result<()> {
    let chart = Chart::new(&mesh).await?;
    let rendered = chart.render(&[file("istio/values.yaml")], &json!({})).await?;
    let objects = Server::new(&mesh).accepts(&rendered).await?;
    let find = |kind: &str| objects.iter().find(|object| object["kind"] == kind).with_context(|| format!("no {kind}"));
    let mut test = find("Pod")?.clone();
    // The server rejects these fields in a new object.
    let admitted = ["creationTimestamp", "uid", "managedFields", "resourceVersion", "generation"];
    merge(&mut test["metadata"], admitted.map(|field| (field.to_owned(), Value::Null)).into_iter().collect());
    merge(&mut test, json!({"status": null}));

    for pod in [pod_of(find("Deployment")?), test] {
        let whole = mesh.kube().admit(&pod).await?;
        assert!(!whole["spec"].to_string().contains("serviceAccountToken"), "a token is mounted: {whole}");

        // The counter-check: the namespace rejects a privileged pod.
        for (what, part, value) in [
            ("privileged", "privileged", json!(true)),
            ("allowPrivilegeEscalation", "allowPrivilegeEscalation", json!(true)),
            ("unrestricted capabilities", "capabilities", json!({"add": ["NET_ADMIN"]})),
            ("seccompProfile", "seccompProfile", json!({"type": "Unconfined"})),
            ("runAsUser=0", "runAsUser", json!(0)),
        ] {
            let mut weak = pod.clone();
            if what == "privileged" {
                weak["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = json!(true);
            }
            weak["spec"]["containers"][0]["securityContext"][part] = value;
            let refused = mesh.kube().admit(&weak).await.unwrap_err().to_string();
            assert!(refused.contains("violates PodSecurity \"restricted") && refused.contains(what), "{refused}");
        }
        let mut with_token = pod.clone();
        with_token["spec"]["automountServiceAccountToken"] = json!(true);
        let whole = mesh.kube().admit(&with_token).await?;
        assert!(whole["spec"].to_string().contains("serviceAccountToken"), "{whole}");
    }
    Ok(())
}

pub(crate) async fn the_service_account_has_no_permissions(mesh: Shared) -> Result<()> {
    let setup = Setup::new(&mesh).with(json!({"extProc": {"replicas": 1}}));
    let release = setup.install().await?;
    let namespace = release.name();
    let account = format!("{namespace}-ext-proc");
    let pod = mesh.kube().list(&format!("/apis/apps/v1/namespaces/{namespace}/deployments")).await?;
    assert_eq!(pod[0]["spec"]["template"]["spec"]["serviceAccountName"], account);
    let rights = async |account: &str| {
        let user = format!("--as=system:serviceaccount:{namespace}:{account}");
        let groups = ["system:serviceaccounts", "system:authenticated", &format!("system:serviceaccounts:{namespace}")]
            .map(|group| format!("--as-group={group}"));
        let mut arguments = vec!["auth", "can-i", "--list", "--namespace", namespace, &user];
        arguments.extend(groups.iter().map(String::as_str));
        mesh.kube().kubectl(&arguments, "").await
    };
    // The permissions of any service account.
    let everybody = rights("default").await?;
    assert!(everybody.contains("selfsubjectaccessreviews"), "{everybody}");
    assert_eq!(rights(&account).await?, everybody);
    for kind in ["roles", "rolebindings"] {
        let path = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/{kind}");
        assert_eq!(mesh.kube().list(&path).await?, Vec::<Value>::new());
    }
    for kind in ["clusterroles", "clusterrolebindings"] {
        let all = mesh.kube().list(&format!("/apis/rbac.authorization.k8s.io/v1/{kind}")).await?;
        assert!(!all.is_empty());
        assert!(!all.iter().any(|role| role.to_string().contains(&format!("\"{namespace}"))), "{all:#?}");
    }

    // The counter-check: a granted permission is visible.
    let group = "rbac.authorization.k8s.io";
    let mut role = object(&format!("{group}/v1"), "Role", namespace, "added");
    role["rules"] = json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]);
    let mut binding = object(&format!("{group}/v1"), "RoleBinding", namespace, "added");
    binding["roleRef"] = json!({"apiGroup": group, "kind": "Role", "name": "added"});
    binding["subjects"] = json!([{"kind": "ServiceAccount", "name": account, "namespace": namespace}]);
    mesh.kube().apply_all(&[role, binding]).await?;
    wait::until("the API server to apply a new permission", || async {
        Ok((rights(&account).await? != everybody).then_some(()))
    })
    .await
}
