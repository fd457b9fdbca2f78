//! Traces in the mesh: the spans of the gateway, of the service and of the sidecars are one trace, and the gateway's span has the
//! decision.
//!
//! MeshConfig, the values and the Telemetry of the cells are those of docs/observe.md and of the notes of `helm install`.

mod contexts;
mod documented;
mod neighbours;

use anyhow::{Context, Result};
use cellgate_tests::client::Request;
use cellgate_tests::jaeger::{Span, Trace};
use cellgate_tests::mesh::collector::Collector;
use cellgate_tests::mesh::kube::object;
use cellgate_tests::mesh::proxy::{Proxy, visit};
use cellgate_tests::mesh::release::{Release, Setup};
use serde_json::{Value, json};

use crate::Shared;
use crate::support::key_last;
use documented::Documented;

pub(crate) use contexts::{a_clients_context_is_continued, a_malformed_context_hides_the_request_at_the_gateway};
pub(crate) use neighbours::{a_newer_telemetry_replaces_the_tags, the_release_replaces_the_tags_of_older_telemetries};

/// The `service.name` of the service's own spans.
const SERVICE: &str = "cellgate";
/// Larger than the filter holds.
const LARGE: usize = 200 * 1024;

/// A release with the documented values, whose gateway traces every request.
async fn traced(mesh: &Shared, is_encrypted: bool) -> Result<Release> {
    let release = prepared(mesh, is_encrypted).await?;
    release.install().await?;
    trace(&release).await?;
    Ok(release)
}

/// Such a release before its installation.
async fn prepared(mesh: &Shared, is_encrypted: bool) -> Result<Release> {
    documented(mesh, is_encrypted).await?.prepare().await
}

async fn documented(mesh: &Shared, is_encrypted: bool) -> Result<Setup> {
    mesh.collector().await?;
    let mut values = Documented::read()?.values;
    values["istio"]["telemetry"]["tracing"]["sampling"] = json!(100);
    let setup = Setup::new(mesh).with(values);
    Ok(setup.with(json!({"mtls": {"enabled": is_encrypted}, "extProc": {"replicas": 1}})))
}

/// Does what the notes of the installed release ask for, and waits until its proxies trace requests.
async fn trace(release: &Release) -> Result<()> {
    let lines = documented::notes(release).await?;
    Documented::read()?.must_agree_with(&lines)?;
    release.mesh().istiod().extend_mesh_config(&lines).await?;
    traces_requests(release.gateway().proxy()).await?;
    for pod in release.node().pods() {
        if let Some(sidecar) = pod.sidecar() {
            traces_requests(sidecar).await?;
        }
    }
    Ok(())
}

/// Lets the service's proxies trace no request by chance.
async fn without_chance_at_the_service(release: &Release) -> Result<()> {
    let path = format!("/apis/telemetry.istio.io/v1/namespaces/{0}/telemetries/{0}-ext-proc", release.name());
    let kube = release.mesh().kube();
    let mut telemetry = kube.get(&path).await?.context("the service's proxies have no Telemetry")?;
    assert_eq!(telemetry["spec"]["tracing"][0]["randomSamplingPercentage"], 100);
    telemetry["spec"]["tracing"][0]["randomSamplingPercentage"] = json!(0);
    kube.merge(&path, &json!({"spec": telemetry["spec"]})).await?;
    let is_zero = |tracing: &Value| tracing["random_sampling"]["value"].as_f64().unwrap_or_default() == 0.0;
    for pod in release.node().pods() {
        let sidecar = pod.sidecar().context("the pod has no sidecar")?;
        sidecar.configured("no chance", |dump| tracings(dump).iter().all(is_zero)).await?;
    }
    Ok(())
}

/// Waits until a proxy has the tracer.
async fn traces_requests(proxy: &Proxy) -> Result<()> {
    proxy.configured("the tracer", |dump| !tracings(dump).is_empty()).await
}

/// The `tracing` of the connection managers of all active listeners.
fn tracings(dump: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    visit(dump, "active_state", &mut |listener| {
        visit(listener, "tracing", &mut |tracing| {
            if tracing["provider"]["name"] == "envoy.tracers.opentelemetry" {
                found.push(tracing.clone());
            }
        });
    });
    found
}

/// `POST path` with the key at the end of a body that is too large for the filter.
fn deferred(path: &str, tenant: &str) -> Request {
    Request::post(path).json(key_last(tenant, LARGE))
}

/// `POST path` with a small body.
fn small(path: &str, tenant: &str) -> Request {
    Request::post(path).json(format!(r#"{{"tenant":{{"id":"{tenant}"}}}}"#))
}

/// The id of the trace of the request with this path, by the gateway's access log.
async fn trace_id(release: &Release, path: &str) -> Result<String> {
    Ok(release.gateway().proxy().access_line(path).await?.text("trace_id").to_owned())
}

/// The `service.name` of a proxy's spans.
fn name_of(proxy: &Proxy) -> String {
    format!("{}.{}", proxy.role().name, proxy.role().namespace)
}

fn tag<'a>(span: &'a Span, name: &str) -> &'a str {
    span.tags.get(name).map_or("", String::as_str)
}

/// The tags of the decision: the filter's, the service's reason and cell, and the routing header.
fn decision(span: &Span) -> [&str; 4] {
    ["cellgate.filter", "cellgate.service.reason", "cellgate.service.cell", "cellgate.cell"].map(|name| tag(span, name))
}

/// The server's span of a program.
fn server<'a>(trace: &'a Trace, service: &str) -> Option<&'a Span> {
    trace.spans.iter().find(|span| span.service == service && tag(span, "span.kind") == "server")
}

/// Waits for the spans of these programs in one trace, and for all that are between them.
async fn trace_of(collector: &Collector, id: &str, programs: &[&str]) -> Result<Trace> {
    let what = format!("with a server's span of {} in one tree", programs.join(", "));
    let has_all = |trace: &Trace| programs.iter().all(|program| server(trace, program).is_some());
    let is_whole = |trace: &Trace| has_all(trace) && trace.roots().count() == 1;
    collector.trace_that(id, &what, is_whole).await
}

/// The span of the request at the gateway: the only one without a parent in the trace.
#[track_caller]
fn ingress<'a>(trace: &'a Trace, release: &Release) -> &'a Span {
    let roots: Vec<&Span> = trace.roots().collect();
    let gateway = name_of(release.gateway().proxy());
    assert!(roots.len() == 1 && roots[0].service == gateway, "not one tree below the gateway's span:\n{trace}");
    roots[0]
}

/// Gateway, service with sidecar, and cell with sidecar.
pub(crate) async fn a_deferred_request_is_one_trace(mesh: Shared) -> Result<()> {
    let release = traced(&mesh, true).await?;
    let cell = release.mesh_cell("cell-b").sidecar().context("cell-b has no sidecar")?;
    let mut telemetry = Documented::read()?.telemetry;
    telemetry["metadata"]["namespace"] = json!(cell.role().namespace);
    mesh.kube().apply(&telemetry).await?;
    traces_requests(cell).await?;
    // Neither the cell's proxy, with Istio's 1 %, nor the service's may cut the gateway's trace.
    without_chance_at_the_service(&release).await?;

    let answer = release.send(&deferred("/deferred", "acme")).await;
    assert_eq!(answer.cell(), "cell-b", "{}", answer.text());
    let id = trace_id(&release, "/deferred").await?;
    let pod = release.node().pods().first().cloned().context("no pod")?;
    let sidecar = name_of(pod.sidecar().context("the pod has no sidecar")?);
    let gateway = name_of(release.gateway().proxy());
    let programs = [&gateway, &sidecar, SERVICE, &name_of(cell)];
    let trace = trace_of(mesh.collector().await?, &id, &programs).await?;

    let top = ingress(&trace, &release);
    assert_eq!(decision(top), ["defer=stream;reason=body_too_large", "exact", "cell-b", "cell-b"], "{trace}");
    let call = trace.only("the gateway's call of the service", |span| span.name.contains("ExternalProcessor.Process"));
    assert_eq!((&call.service, call.parent.as_ref()), (&gateway, Some(&top.id)), "{trace}");
    let service = server(&trace, SERVICE).context("no span of the service")?;
    let path = server(&trace, &sidecar).context("no span of the service's sidecar")?;
    assert!(path.parent.as_ref() == Some(&call.id) && trace.is_below(service, path), "{trace}");
    let told = ["cellgate.tier", "cellgate.cell", "cellgate.reason", "cellgate.source"].map(|name| tag(service, name));
    assert_eq!(told, ["service", "cell-b", "exact", "json /tenant/id"], "{trace}");
    let inbound = server(&trace, &name_of(cell)).context("no span of the cell's sidecar")?;
    assert!(trace.is_below(inbound, top) && !trace.is_below(inbound, call), "{trace}");
    // The cell itself can continue the trace: it is told of its sidecar's span, and not of the service's.
    let told = answer.received("traceparent").concat();
    let parent = trace.only("the cell's parent", |span| told == format!("00-{id}-{}-01", span.id));
    assert!(parent.id == inbound.id || trace.is_below(parent, inbound), "{told}\n{trace}");
    cell.must_accept().await
}

/// Without sidecars. What the service sends passes its NetworkPolicy: the node resolves the receiver's host only then.
pub(crate) async fn the_service_without_a_sidecar_is_below_the_gateways_call(mesh: Shared) -> Result<()> {
    let release = traced(&mesh, false).await?;
    let gateway = name_of(release.gateway().proxy());
    let keyless = Request::post("/keyless").json(format!(r#"{{"x":"{}"}}"#, "p".repeat(LARGE)));
    for (request, path, status, expected) in [
        (deferred("/cell", "globex"), "/cell", 200, ["exact", "cell-c", "cell-c"]),
        (keyless, "/keyless", 400, ["key_missing", "", ""]),
    ] {
        assert_eq!(release.send(&request).await.status, status);
        let id = trace_id(&release, path).await?;
        let trace = trace_of(mesh.collector().await?, &id, &[&gateway, SERVICE]).await?;
        let top = ingress(&trace, &release);
        let [reason, cell, header] = expected;
        assert_eq!(decision(top), ["defer=stream;reason=body_too_large", reason, cell, header], "{trace}");
        let call = trace.only("the call of the service", |span| span.name.contains("ExternalProcessor.Process"));
        let service = server(&trace, SERVICE).context("no span of the service")?;
        assert_eq!(service.parent.as_ref(), Some(&call.id), "{trace}");
        assert_eq!([tag(service, "cellgate.reason"), tag(service, "cellgate.cell")], [reason, cell], "{trace}");
        assert_eq!(tag(top, "http.status_code"), status.to_string(), "{trace}");
    }
    Ok(())
}

/// Requests that the filter decides alone: into a cell, or not.
pub(crate) async fn the_gateways_span_explains_what_never_reached_the_service(mesh: Shared) -> Result<()> {
    let release = traced(&mesh, false).await?;
    let gateway = name_of(release.gateway().proxy());
    // A client's own routing header is in no tag.
    let spoofed = Request::post("/keyless").header("x-cell", "cell-c").json("{}");
    for (request, path, status, filter, cell) in [
        (small("/decided", "acme"), "/decided", 200, "cell=cell-b;reason=exact", "cell-b"),
        (Request::post("/broken").json("{"), "/broken", 400, "reject=400;reason=body_truncated", ""),
        (spoofed, "/keyless", 400, "reject=400;reason=key_missing", ""),
    ] {
        assert_eq!(release.send(&request).await.status, status);
        let id = trace_id(&release, path).await?;
        let trace = trace_of(mesh.collector().await?, &id, &[&gateway]).await?;
        let top = ingress(&trace, &release);
        assert_eq!(decision(top), [filter, "", "", cell], "{trace}");
        assert_eq!(tag(top, "http.status_code"), status.to_string(), "{trace}");
        assert_eq!(trace.of(SERVICE).count(), 0, "{trace}");
        assert!(trace.spans.iter().all(|span| span.tags.values().all(|text| !text.contains("cell-c"))), "{trace}");
    }
    assert_eq!(release.ext_proc_streams().await, 0);
    Ok(())
}

/// Istio before 1.29 has no tags with access-log commands. The chart is told this version by an istiod's Deployment; the istiod
/// that runs is a newer one.
pub(crate) async fn before_istio_1_29_the_routing_header_is_the_tag(mesh: Shared) -> Result<()> {
    let setup = documented(&mesh, false).await?;
    let namespace = format!("{}-istio", setup.name());
    mesh.create_namespace(&namespace).await?;
    let mut istiod = object("apps/v1", "Deployment", &namespace, "istiod");
    istiod["metadata"]["labels"] = json!({"app.kubernetes.io/version": "1.28.3"});
    istiod["spec"] = json!({
        "selector": {"matchLabels": {"app": "istiod"}},
        "template": {
            "metadata": {"labels": {"app": "istiod"}},
            "spec": {"containers": [{"name": "discovery", "image": "registry.example/pilot:1.28.3"}]},
        },
    });
    mesh.kube().apply(&istiod).await?;
    let release = setup.with(json!({"istio": {"namespace": namespace}})).install().await?;
    trace(&release).await?;
    let gateway = name_of(release.gateway().proxy());
    for (request, path, cell) in [
        (small("/decided", "acme"), "/decided", "cell-b"),
        (deferred("/deferred", "globex"), "/deferred", "cell-c"),
        (Request::post("/broken").header("x-cell", "cell-c").json("{"), "/broken", "none"),
    ] {
        release.send(&request).await;
        let id = trace_id(&release, path).await?;
        let trace = trace_of(mesh.collector().await?, &id, &[&gateway]).await?;
        assert_eq!(decision(ingress(&trace, &release)), ["", "", "", cell], "{trace}");
    }
    Ok(())
}
