//! Objects of another team for the same host, service or proxies, created before or after the release.

mod reading;

use anyhow::{Context, Result};
use cellgate_tests::cell::Reading;
use cellgate_tests::client::Request;
use cellgate_tests::mesh::kube::object;
use cellgate_tests::mesh::load::{Expected, Load};
use cellgate_tests::mesh::release::{GATEWAY, Release, Setup, merge};
use cellgate_tests::wait;
use serde_json::{Value, json};

use crate::Shared;
use crate::doctor::{Asked, BOTH, Report};
use crate::support::{objects_of, of};

pub(crate) use reading::{a_thousand_neighbours_are_read, objects_without_read_permission_are_listed};

/// The host of the release.
const HOST: &str = "cellgate.test";
/// Another team's host on the same gateway.
const OTHER: &str = "other.test";
/// Larger than the filter holds.
const LARGE: usize = 300 * 1024;

/// Creates another team's namespace. Its objects stay until the mesh stops, unless a test deletes them.
async fn team_of(release: &Release) -> Result<String> {
    let team = format!("{}-team", release.name());
    release.mesh().create_namespace(&team).await?;
    Ok(team)
}

fn answer(status: u16, text: &str) -> Value {
    json!({"status": status, "body": {"string": text}})
}

/// A VirtualService that routes `/api` of the release's host to one place and the rest to another. If two objects have
/// the same creation second, Istio treats the one with the first name as older.
fn legacy(release: &Release, team: &str, name: &str) -> Value {
    let mut service = object("networking.istio.io/v1", "VirtualService", team, name);
    service["spec"] = json!({
        "hosts": [HOST],
        "gateways": [format!("{}/{GATEWAY}", release.gateway_namespace())],
        "http": [
            {"name": "legacy-api", "match": [{"uri": {"prefix": "/api"}}], "directResponse": answer(200, "legacy")},
            {"name": "legacy-rest", "directResponse": answer(200, "rest")},
        ],
    });
    service
}

/// The other team's host, whose route responds with a 200.
fn other_host(release: &Release, team: &str) -> Value {
    let mut service = object("networking.istio.io/v1", "VirtualService", team, "other");
    service["spec"] = json!({
        "hosts": [OTHER],
        "gateways": [format!("{}/{GATEWAY}", release.gateway_namespace())],
        "http": [{"name": "other", "directResponse": answer(200, "other")}],
    });
    service
}

fn simple_rule(release: &Release, cell: &str, name: &str) -> Value {
    let namespace = format!("{}-{cell}", release.name());
    let mut rule = object("networking.istio.io/v1", "DestinationRule", &namespace, name);
    rule["spec"] = json!({
        "host": release.cell_host(cell),
        "trafficPolicy": {"loadBalancer": {"simple": "ROUND_ROBIN"}},
    });
    rule
}

/// Another team's EnvoyFilter that raises the buffer limit of these gateways.
fn larger_buffer(release: &Release) -> Value {
    let mut filter = object("networking.istio.io/v1alpha3", "EnvoyFilter", release.gateway_namespace(), "larger");
    filter["spec"] = json!({"configPatches": [{
        "applyTo": "LISTENER",
        "match": {"context": "GATEWAY"},
        "patch": {"operation": "MERGE", "value": {"per_connection_buffer_limit_bytes": 10_485_760}},
    }]});
    filter
}

/// Waits until the gateway responds to a request in this way.
async fn answers(release: &Release, request: &Request, status: u16, text: &str) -> Result<()> {
    wait::until(&format!("{status} {text:?}"), || async {
        let answer = release.gateway().send(request).await?;
        Ok((answer.status.as_u16() == status && answer.text().contains(text)).then_some(()))
    })
    .await
}

/// Runs `helm install`, which the check of neighbours must stop. Returns the log of the check's pod.
async fn refused(release: &Release, values: &Value) -> Result<String> {
    let refused = release.helm().install(values, &["--timeout=60s"]).await;
    let said = refused.expect_err("helm must reject an installation that misroutes requests").to_string();
    assert!(said.contains(&format!("{}-neighbours", release.name())), "{said}");
    let path = format!("/api/v1/namespaces/{0}/pods/{0}-neighbours", release.name());
    let pod = release.mesh().kube().get(&path).await?.context("the pod is gone, and its log with it")?;
    let left = objects_of(release.mesh(), release.name()).await?;
    let is_installed = |object: &&String| !object.starts_with("Pod ") && !object.starts_with("Secret ");
    assert_eq!(left.iter().filter(is_installed).collect::<Vec<_>>(), Vec::<&String>::new());
    Ok(pod["status"]["message"].as_str().unwrap_or_default().to_owned())
}

/// The release's values that accept these objects.
fn accepting(release: &Release, objects: &[String]) -> Value {
    let mut values = release.values().clone();
    merge(&mut values, json!({"neighbours": {"accept": objects}}));
    values
}

async fn install_over(release: &Release, values: &Value) -> Result<()> {
    release.helm().upgrade(values, &["--install", "--timeout=60s"]).await?;
    release.settled().await
}

/// Waits until the doctor has a finding with this level and text, from both sources.
async fn doctor_says(release: &Release, level: &str, part: &str) -> Result<()> {
    for asked in BOTH {
        wait::until(&format!("{level} {part:?} by {asked:?}"), || async {
            Ok(Report::of(release, asked).await?.find(level, "", part).map(drop))
        })
        .await?;
    }
    Ok(())
}

fn post(path: &str, tenant: &str) -> Request {
    Request::post(path).json(format!(r#"{{"tenant":{{"id":"{tenant}"}}}}"#))
}

/// If the host has an owner, the installation is rejected. If the values accept the owner's object, the doctor reports
/// the lost requests. Then the release takes over the owner's routes without a failed request.
pub(crate) async fn a_host_that_has_an_owner_is_taken_over(mesh: Shared) -> Result<()> {
    let mut release = Setup::new(&mesh).prepare().await?;
    let team = team_of(&release).await?;
    let theirs = legacy(&release, &team, "legacy");
    mesh.kube().apply(&theirs).await?;
    answers(&release, &post("/api/x", "acme"), 200, "legacy").await?;

    let said = refused(&release, release.values()).await?;
    let name = format!("VirtualService/{team}/legacy");
    assert!(said.contains(&format!("!!  {name} is older, so its routes for {HOST} stand before")), "{said}");
    assert!(said.contains("it takes /api*, and requests without a decision"), "{said}");
    assert_eq!(release.send(&post("/api/x", "acme")).await.text(), "legacy");

    // With the object accepted, the check's prediction holds, and the doctor reports it too.
    let values = accepting(&release, std::slice::from_ref(&name));
    install_over(&release, &values).await?;
    assert_eq!(release.send(&post("/api/x", "acme")).await.text(), "legacy");
    assert_eq!(release.send(&post("/orders", "acme")).await.cell(), "cell-b");
    doctor_says(&release, "error", "/api").await?;

    // The owner's path becomes a route of the release, and the owner's object is deleted: docs/operate.md.
    let kept = json!({
        "neighbours": {"accept": [name]},
        "config": {"applies_to": {"except": {"paths": ["/api/"]}}},
        "routes": {"extra": [{
            "name": "kept-api", "match": [{"uri": {"prefix": "/api/"}}], "directResponse": answer(200, "legacy"),
        }]},
    });
    let load = Load::start(release.gateway(), &[Expected { request: post("/orders", "acme"), cell: "cell-b" }]);
    load.more(50).await?;
    release.upgrade(kept).await?;
    assert_eq!(release.send(&post("/api/x", "acme")).await.text(), "legacy");
    mesh.kube().delete(&theirs).await?;
    release.upgrade(json!({"neighbours": {"accept": []}})).await?;
    for asked in BOTH {
        wait::until(&format!("no error by {asked:?}"), || async {
            Ok((Report::of(&release, asked).await?.code == Some(0)).then_some(()))
        })
        .await?;
    }
    assert_eq!(release.send(&post("/api/x", "acme")).await.text(), "legacy");
    load.more(50).await?;
    load.finish().await.must_be_right()?;
    release.gateway().proxy().must_accept().await
}

/// A wildcard host takes requests like the exact name if the Gateway's server has the name, since Istio intersects the
/// two.
pub(crate) async fn an_older_wildcard_on_a_server_of_the_host_is_reported(mesh: Shared) -> Result<()> {
    let release = Setup::new(&mesh).prepare().await?;
    let team = team_of(&release).await?;
    let mut gateway = mesh
        .kube()
        .get(&format!("/apis/networking.istio.io/v1/namespaces/{}/gateways/{GATEWAY}", release.gateway_namespace()))
        .await?
        .context("no Gateway")?;
    gateway["spec"]["servers"][0]["hosts"] = json!([HOST]);
    let path = format!("/apis/networking.istio.io/v1/namespaces/{}/gateways/{GATEWAY}", release.gateway_namespace());
    mesh.kube().merge(&path, &json!({"spec": gateway["spec"]})).await?;
    let mut theirs = legacy(&release, &team, "legacy");
    theirs["spec"]["hosts"] = json!(["*.test"]);
    mesh.kube().apply(&theirs).await?;
    answers(&release, &post("/api/x", "acme"), 200, "legacy").await?;
    let said = refused(&release, release.values()).await?;
    assert!(said.contains(&format!("!!  VirtualService/{team}/legacy is older")), "{said}");
    // The prediction holds.
    let values = accepting(&release, &[format!("VirtualService/{team}/legacy")]);
    install_over(&release, &values).await?;
    assert_eq!(release.send(&post("/orders", "acme")).await.cell(), "cell-b");
    assert_eq!(release.send(&post("/api/x", "acme")).await.text(), "legacy");
    mesh.kube().clear(&team).await
}

/// The owner's object is newer: the cells keep their requests, also in upgrades, rollbacks and `helm test`.
pub(crate) async fn a_newer_virtual_service_takes_no_requests_from_the_cells(mesh: Shared) -> Result<()> {
    let mut release = Setup::new(&mesh).install().await?;
    let team = team_of(&release).await?;
    mesh.kube().apply(&legacy(&release, &team, "younger")).await?;
    release.gateway().has_route("legacy-api", |_| true).await?;
    assert_eq!(release.send(&post("/api/x", "acme")).await.cell(), "cell-b");
    doctor_says(&release, "warning", "/api").await?;

    release.upgrade(json!({"config": {"placement": {"exact": {"umbrella": "cell-c"}}}})).await?;
    assert_eq!(release.send(&post("/api/x", "umbrella")).await.cell(), "cell-c");
    release.test().await?;
    release.helm().rollback(1, &["--timeout=60s"]).await?;
    release.settled().await?;
    assert_eq!(release.send(&post("/api/x", "umbrella")).await.cell(), "cell-a");
    assert_eq!(release.send(&post("/api/x", "acme")).await.cell(), "cell-b");
    mesh.kube().clear(&team).await
}

/// Istio uses the oldest rule of a service, so the cell would have no circuit breaker.
pub(crate) async fn an_existing_destination_rule_is_reported(mesh: Shared) -> Result<()> {
    let release = Setup::new(&mesh).prepare().await?;
    let rule = simple_rule(&release, "cell-b", "simple");
    mesh.kube().apply(&rule).await?;
    let said = refused(&release, release.values()).await?;
    let name = format!("DestinationRule/{}-cell-b/simple", release.name());
    assert!(said.contains(&format!("!!  {name} is older and for {}", release.cell_host("cell-b"))), "{said}");
    assert!(said.contains("put its trafficPolicy and subsets into cells.cell-b and delete it"), "{said}");

    let values = accepting(&release, &[name]);
    install_over(&release, &values).await?;
    let cluster = release.cluster("cell-b");
    release.gateway().has_cluster(&cluster, |cluster| cluster["outlier_detection"].is_null()).await?;
    // The finding names the rule in force, and does not suggest what the chart already sets.
    for asked in BOTH {
        let report = Report::of(&release, asked).await?;
        let finding =
            report.find("warning", &cluster, "an endpoint that fails").context("no finding about the ejection")?;
        let rule = format!("DestinationRule simple in namespace {}-cell-b", release.name());
        let fix = finding["fix"].as_str().unwrap_or_default();
        assert!(fix.contains(&format!("set outlierDetection in {rule}, or delete it")), "{asked:?}: {finding}");
        let replaced = format!("{rule} is in force instead of {}-cell-b", release.name());
        assert!(report.find("warning", &cluster, &replaced).is_some(), "{asked:?}: {report:#?}");
    }
    mesh.kube().delete(&rule).await?;
    release.gateway().has_cluster(&cluster, |cluster| cluster["outlier_detection"].is_object()).await
}

/// Istio does not merge rules with different `exportTo`. The last one counts.
pub(crate) async fn a_newer_rule_with_an_export_is_reported(mesh: Shared) -> Result<()> {
    let release = Setup::new(&mesh).install().await?;
    let mut rule = simple_rule(&release, "cell-b", "younger");
    rule["spec"]["exportTo"] = json!(["*"]);
    mesh.kube().apply(&rule).await?;
    release.gateway().has_cluster(&release.cluster("cell-b"), |cluster| cluster["outlier_detection"].is_null()).await?;
    let refused = release.helm().upgrade(release.values(), &["--timeout=60s"]).await;
    assert!(refused.is_err(), "an upgrade beside a rule that takes the cell's breaker");
    let path = format!("/api/v1/namespaces/{0}/pods/{0}-neighbours", release.name());
    let pod = mesh.kube().get(&path).await?.context("the pod is gone, and its log with it")?;
    let said = pod["status"]["message"].as_str().unwrap_or_default();
    assert!(said.contains(&format!("!!  DestinationRule/{}-cell-b/younger is newer", release.name())), "{said}");
    Ok(())
}

/// A newer rule does not affect the cell.
pub(crate) async fn a_newer_destination_rule_changes_nothing(mesh: Shared) -> Result<()> {
    let mut release = Setup::new(&mesh).install().await?;
    let rule = simple_rule(&release, "cell-b", "younger");
    mesh.kube().apply(&rule).await?;
    release.upgrade(json!({"config": {"placement": {"exact": {"umbrella": "cell-b"}}}})).await?;
    assert_eq!(release.send(&of("umbrella")).await.cell(), "cell-b");
    let kept = |cluster: &Value| cluster["outlier_detection"].is_object() && cluster["retry_budget"].is_null();
    release.gateway().has_cluster(&release.cluster("cell-b"), kept).await
}

/// The other team's larger bodies arrive, whichever object is older.
pub(crate) async fn a_larger_buffer_limit_is_kept(mesh: Shared) -> Result<()> {
    let large = Request::post("/").header("host", OTHER).body(vec![b'x'; LARGE]);
    for before in [true, false] {
        let release = Setup::new(&mesh).prepare().await?;
        let team = team_of(&release).await?;
        mesh.kube().apply(&other_host(&release, &team)).await?;
        if before {
            mesh.kube().apply(&larger_buffer(&release)).await?;
            release.install().await?;
        } else {
            release.install().await?;
            mesh.kube().apply(&larger_buffer(&release)).await?;
        }
        let raised = |listener: &Value| listener["per_connection_buffer_limit_bytes"] == 10_485_760;
        release.gateway().proxy().configured("the larger buffer", |dump| has(dump, "listener", &raised)).await?;
        answers(&release, &large, 200, "other").await?;
        assert_eq!(release.send(&of("acme")).await.cell(), "cell-b");
        doctor_says(&release, "ok", "10485760").await?;
        mesh.kube().clear(&team).await?;
    }
    Ok(())
}

/// The rejections and timeouts of the cells' hosts do not apply to other hosts, whichever object is older.
pub(crate) async fn other_hosts_are_served_as_before(mesh: Shared) -> Result<()> {
    let traced = Request::post("/").header("host", OTHER).header("ot-baggage-sentry-trace_id", "1").body("x");
    for before in [true, false] {
        let release = Setup::new(&mesh).prepare().await?;
        let team = team_of(&release).await?;
        if before {
            mesh.kube().apply(&other_host(&release, &team)).await?;
            answers(&release, &traced, 200, "other").await?;
            release.install().await?;
        } else {
            release.install().await?;
            mesh.kube().apply(&other_host(&release, &team)).await?;
        }
        answers(&release, &traced, 200, "other").await?;
        // Their streams have no idle timeout, as in Istio's gateways.
        let unlimited =
            |manager: &Value| manager["stream_idle_timeout"] == "0s" || manager["stream_idle_timeout"].is_null();
        release.gateway().proxy().configured("no idle timeout", |dump| has(dump, "typed_config", &unlimited)).await?;
        // The filter removes these headers, since Envoy does not reject them here.
        let spoofed = of("acme").header("x_cell", "cell-c");
        let answer = release.send(&spoofed).await;
        assert_eq!((answer.cell(), answer.received("x_cell").len()), ("cell-b", 0));
        mesh.kube().clear(&team).await?;
    }
    Ok(())
}

/// The cells' routes have an idle timeout that no other host has.
pub(crate) async fn only_the_cells_routes_have_an_idle_timeout(mesh: Shared) -> Result<()> {
    let release = Setup::new(&mesh).with(json!({"traffic": {"idleTimeout": "1s"}})).install().await?;
    release.cell("cell-b").reading(Reading::Never);
    let answer = release.send(&post("/stands-still", "acme")).await;
    assert_eq!((answer.status.as_u16(), answer.served_by()), (504, None));
    let line = release.gateway().proxy().access_line("/stands-still").await?;
    assert_eq!(line.text("flags"), "SI", "{line:?}");
    assert_eq!(release.send(&post("/", "globex")).await.cell(), "cell-c");
    Ok(())
}

/// A certificate challenge has no tenant. A solver creates a route for it and removes it again.
pub(crate) async fn a_certificate_challenge_is_answered(mesh: Shared) -> Result<()> {
    const PATH: &str = "/.well-known/acme-challenge/token";
    for before in [true, false] {
        let release = Setup::new(&mesh).prepare().await?;
        let team = team_of(&release).await?;
        let mut solver = object("networking.istio.io/v1", "VirtualService", &team, "solver");
        solver["spec"] = json!({
            "hosts": [HOST],
            "gateways": [format!("{}/{GATEWAY}", release.gateway_namespace())],
            "http": [{
                "name": "legacy-solver", "match": [{"uri": {"exact": PATH}}], "directResponse": answer(200, "proof"),
            }],
        });
        if before {
            mesh.kube().apply(&solver).await?;
            release.install().await?;
        } else {
            release.install().await?;
            mesh.kube().apply(&solver).await?;
        }
        answers(&release, &Request::get(PATH), 200, "proof").await?;
        assert_eq!(release.send(&of("acme")).await.cell(), "cell-b");
        // Every other request without a tenant is rejected.
        let other = release.send(&Request::get("/.well-known/other")).await;
        assert_eq!((other.status.as_u16(), other.json()["code"].as_str()), (400, Some("body_absent")));
        mesh.kube().clear(&team).await?;
    }
    Ok(())
}

/// The doctor reports another FULL_DUPLEX_STREAMED processor, like Istio's for InferencePools, and the bodies arrive.
pub(crate) async fn another_processor_is_reported(mesh: Shared) -> Result<()> {
    let release = Setup::new(&mesh).install().await?;
    let mut filter = object("networking.istio.io/v1alpha3", "EnvoyFilter", release.gateway_namespace(), "processor");
    filter["spec"] = json!({"configPatches": [{
        "applyTo": "HTTP_FILTER",
        "match": {
            "context": "GATEWAY",
            "listener": {"filterChain": {"filter": {
                "name": "envoy.filters.network.http_connection_manager",
                "subFilter": {"name": "envoy.filters.http.router"},
            }}},
        },
        "patch": {"operation": "INSERT_BEFORE", "value": {
            "name": "another-processor",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
                "grpc_service": {"envoy_grpc": {"cluster_name": format!(
                    "outbound|50051||{0}-ext-proc.{0}.svc.cluster.local", release.name(),
                )}},
                "disable_clear_route_cache": true,
                "processing_mode": {
                    "request_header_mode": "SEND", "request_body_mode": "FULL_DUPLEX_STREAMED",
                    "request_trailer_mode": "SEND", "response_header_mode": "SKIP", "response_trailer_mode": "SKIP",
                },
            },
        }},
    }]});
    mesh.kube().apply(&filter).await?;
    let report = wait::until("the other processor", || async {
        let report = Report::of(&release, Asked::Envoy).await?;
        Ok(report.findings.iter().any(|finding| finding.to_string().contains("another-processor")).then_some(report))
    })
    .await?;
    let finding = report.findings.iter().find(|finding| finding.to_string().contains("another-processor"));
    let level = finding.context("no finding")?["level"].as_str().unwrap_or_default().to_owned();
    assert!(matches!(&*level, "ok" | "error"), "by Envoy's version: {report:?}");
    Ok(())
}

/// Whether an object under `key`, at any depth of a dump, meets a condition.
fn has(dump: &Value, key: &str, is_met: &dyn Fn(&Value) -> bool) -> bool {
    let mut met = false;
    cellgate_tests::mesh::proxy::visit(dump, key, &mut |value| met |= is_met(value));
    met
}
