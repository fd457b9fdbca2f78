//! Rate limits in the mesh: the chart's filter, the service and the routes, beside objects of other teams.

use anyhow::{Context, Result};
use cellgate_tests::client::{Request, Response};
use cellgate_tests::mesh::gateway::Gateway;
use cellgate_tests::mesh::kube::object;
use cellgate_tests::mesh::load::{Expected, Load};
use cellgate_tests::mesh::proxy::Proxy;
use cellgate_tests::mesh::release::{GATEWAY, Release, Setup};
use cellgate_tests::wait;
use serde_json::{Value, json};

use crate::Shared;
use crate::doctor::{BOTH, Report};
use crate::support::{key_last, of, pieces};

/// Another team's host on the same gateway.
const OTHER: &str = "other.test";

/// One replica, because each counts on its own.
pub(crate) fn limited(mesh: &Shared, limits: &Value) -> Setup {
    Setup::new(mesh).with(json!({
        "config": {"rate_limits": limits},
        "routes": {"rateLimitFields": true},
        "extProc": {"replicas": 1},
    }))
}

/// Three at once, and then one an hour: no test lasts so long that a unit comes back.
fn per_tenant() -> Value {
    json!([{"name": "per-tenant", "key": ["routing_key"], "limit": "1/h;burst=3"}])
}

#[track_caller]
fn assert_refused(answer: &Response, limit: &str) {
    assert_eq!((answer.status.as_u16(), answer.served_by()), (429, None), "{}", answer.text());
    assert_eq!(answer.json()["violated-policies"], json!([limit]));
    let wait: u64 = answer.header("retry-after").and_then(|text| text.parse().ok()).unwrap_or_default();
    assert!((3_000..=3_600).contains(&wait), "{answer:?}");
    assert_eq!(answer.values("ratelimit"), [format!("\"{limit}\";r=0;t={wait}")]);
    assert_eq!(answer.values("ratelimit-policy").len(), 1, "{answer:?}");
}

/// How many units the answer says are left.
#[track_caller]
fn left(answer: &Response) -> &str {
    let [field] = answer.values("ratelimit")[..] else { panic!("not one RateLimit: {answer:?}") };
    let (_, rest) = field.split_once("r=").unwrap_or_else(|| panic!("{field}"));
    rest.split(';').next().unwrap_or_default()
}

/// Waits until answers to a request have the field of a limit: the service and the route have the new configuration.
pub(crate) async fn awaits_fields(release: &Release, limit: &str, request: &Request) -> Result<()> {
    let start = format!("\"{limit}\";r=");
    let is_shown = || async {
        let answer = release.gateway().send(request).await?;
        Ok(answer.header("ratelimit").is_some_and(|field| field.starts_with(&start)).then_some(()))
    };
    wait::until(&format!("the field of {limit}"), is_shown).await
}

pub(crate) async fn a_tenant_over_its_limit_gets_429_and_no_other_notices(mesh: Shared) -> Result<()> {
    let mut limits = per_tenant();
    limits[0]["applies_to"] = json!({"except": {"paths": ["/free/"]}});
    let release = limited(&mesh, &limits).install().await?;
    let large = || {
        let body = pieces(&key_last("acme", 256 * 1024));
        Request::post("/large").header("content-type", "application/json").pieces(body)
    };
    let answers = [release.send(&of("acme")).await, release.send_h2(&of("acme")).await, release.send(&large()).await];
    for (answer, expected) in answers.iter().zip(["2", "1", "0"]) {
        assert_eq!((answer.cell(), left(answer)), ("cell-b", expected));
        assert_eq!(answer.header("ratelimit-policy"), Some(r#""per-tenant";q=1;w=3600;cellgate-burst=3"#));
        assert_eq!(answer.received("x-cell"), ["cell-b"]);
        assert!(answer.received("x-cellgate-defer").is_empty());
    }
    for answer in [release.send(&of("acme")).await, release.send_h2(&of("acme")).await, release.send(&large()).await] {
        assert_refused(&answer, "per-tenant");
    }
    let other = release.send(&of("globex")).await;
    assert_eq!((other.cell(), left(&other)), ("cell-c", "2"));
    // A request that no limit counts has no field.
    let free = Request::post("/free/x").json(r#"{"tenant":{"id":"acme"}}"#);
    let answer = release.send(&free).await;
    assert_eq!((answer.cell(), answer.header("ratelimit"), answer.header("ratelimit-policy")), ("cell-b", None, None));
    assert_eq!(release.cell("cell-b").arrived(), 4);
    for asked in BOTH {
        let report = Report::of(&release, asked).await?;
        assert_eq!(report.code, Some(0), "{asked:?}: {report:#?}");
    }
    release.gateway().proxy().must_accept().await
}

/// Connections of the old listener get the filter's new configuration too.
pub(crate) async fn a_limit_is_added_and_removed_without_a_failed_request(mesh: Shared) -> Result<()> {
    let mut release = Setup::new(&mesh).install().await?;
    let large = Request::post("/").header("content-type", "application/json");
    let large = large.pieces(pieces(&key_last("globex", 128 * 1024)));
    let kinds = [Expected { request: of("acme"), cell: "cell-b" }, Expected { request: large, cell: "cell-c" }];
    let load = Load::start(release.gateway(), &kinds);
    load.more(50).await?;
    let limits = json!([{"name": "wide", "key": ["routing_key"], "limit": "1000000/s"}]);
    release.upgrade(json!({"config": {"rate_limits": limits}, "routes": {"rateLimitFields": true}})).await?;
    awaits_fields(&release, "wide", &of("acme")).await?;
    load.more(100).await?;
    release.upgrade(json!({"config": {"rate_limits": []}, "routes": {"rateLimitFields": false}})).await?;
    load.more(100).await?;
    load.finish().await.must_be_right()
}

/// A release with mTLS and a filter in cell-b's sidecar. The filter has no `cell`, so it may call the service.
pub(crate) async fn with_sidecar(mesh: &Shared, limits: &Value) -> Result<Release> {
    let setup = limited(mesh, limits);
    let mut attach = setup.values()["filter"]["attach"].as_array().cloned().unwrap_or_default();
    attach.push(json!({
        "name": "cell-b",
        "type": "sidecar-inbound",
        "namespace": setup.cell_namespace("cell-b"),
        "selector": {"app": "api"},
        "serviceAccount": "api",
    }));
    let release = setup.with(json!({"mtls": {"enabled": true}, "filter": {"attach": attach}})).install().await?;
    // The sidecars of this mesh know no other services. This one must know Cellgate's.
    let path = format!("/apis/networking.istio.io/v1/namespaces/{}-cell-b/sidecars/cell-b", release.name());
    mesh.kube().merge(&path, &json!({"spec": {"egress": [{"hosts": [format!("{}/*", release.name())]}]}})).await?;
    let service = service_cluster(&release);
    sidecar(&release)?.configured("the service's cluster", |dump| dump.to_string().contains(&service)).await?;
    Ok(release)
}

/// The name of the service's cluster.
fn service_cluster(release: &Release) -> String {
    format!("outbound|50051||{0}-ext-proc.{0}.svc.cluster.local", release.name())
}

pub(crate) fn sidecar(release: &Release) -> Result<&Proxy> {
    release.mesh_cell("cell-b").sidecar().context("cell-b has no sidecar")
}

/// The streams that the sidecar has opened to the service.
async fn sidecar_streams(release: &Release) -> Result<u64> {
    sidecar(release)?.admin().stat(&format!("cluster.{};.upstream_rq_total", service_cluster(release))).await
}

pub(crate) async fn a_gateway_and_a_sidecar_count_a_request_once(mesh: Shared) -> Result<()> {
    let release = with_sidecar(&mesh, &per_tenant()).await?;
    for expected in ["2", "1", "0"] {
        let answer = release.send(&of("acme")).await;
        assert_eq!((answer.cell(), left(&answer)), ("cell-b", expected), "{}", answer.text());
    }
    assert_refused(&release.send(&of("acme")).await, "per-tenant");
    let line = sidecar(&release)?.access_line("/").await?;
    assert_eq!(line.decision(), "cell=cell-b;reason=decided_before");
    assert_eq!(release.ext_proc_streams().await, 4);
    assert_eq!(sidecar_streams(&release).await?, 0);
    sidecar(&release)?.must_accept().await
}

pub(crate) async fn a_peer_is_counted_by_its_identity(mesh: Shared) -> Result<()> {
    let limits = json!([{"name": "per-peer", "key": ["peer"], "limit": "1/h;burst=2"}]);
    let release = with_sidecar(&mesh, &limits).await?;
    // Two callers of cell-b with identities of their own. The cell's sidecar accepts no decision of theirs.
    let mut callers = Vec::new();
    for name in ["shop", "batch"] {
        let caller = Gateway::start(&mesh, release.gateway_namespace(), name, release.directory()).await?;
        let host = format!("{name}.test");
        let mut routes = object("networking.istio.io/v1", "VirtualService", release.gateway_namespace(), &host);
        routes["spec"] = json!({
            "hosts": [host],
            "gateways": [format!("{}/{name}", release.gateway_namespace())],
            "http": [{"name": host, "route": [{
                "destination": {"host": release.cell_host("cell-b"), "port": {"number": 8080}},
            }]}],
        });
        mesh.kube().apply(&routes).await?;
        caller.has_routes(&host, std::slice::from_ref(&host)).await?;
        callers.push((caller, host));
    }
    let mut statuses = Vec::new();
    for (caller, host) in &callers {
        // Another tenant and another connection are the same peer.
        for tenant in ["acme", "acme", "acme"] {
            let answer = caller.send(&of(tenant).header("host", host)).await?;
            statuses.push(answer.status.as_u16());
        }
    }
    assert_eq!(statuses, [200, 200, 429, 200, 200, 429]);
    let (shop, host) = &callers[0];
    // A forged identity in a header is none.
    let forged =
        of("acme").header("host", host).header("x-forwarded-client-cert", "URI=spiffe://cluster.local/ns/x/sa/x");
    assert_refused(&shop.send(&forged).await?, "per-peer");
    // Clients of the gateway have no certificate, and the sidecar does not count what the gateway has decided.
    for _ in 0..4 {
        let answer = release.send(&of("acme")).await;
        assert_eq!((answer.cell(), answer.header("ratelimit")), ("cell-b", None));
    }
    assert_eq!(sidecar_streams(&release).await?, 7);
    Ok(())
}

/// Another team's local rate limit and routes with the same fields, and headers that name Cellgate's own: installed first.
async fn neighbour(release: &Release) -> Result<()> {
    let team = format!("{}-team", release.name());
    release.mesh().create_namespace(&team).await?;
    let namespace = release.gateway_namespace();
    let mut host = object("networking.istio.io/v1", "VirtualService", &team, "other");
    host["spec"] = json!({
        "hosts": [OTHER],
        "gateways": [format!("{namespace}/{GATEWAY}")],
        "http": [{
            "name": "other",
            "headers": {
                "request": {"set": {"x-cellgate-handover": "cell-c;exact;globex"}},
                "response": {"set": {"ratelimit": "\"theirs\";r=7", "x-team": "other"}},
            },
            "route": [{"destination": {"host": release.cell_host("cell-a"), "port": {"number": 8080}}}],
        }],
    });
    let filter = |name: &str, priority: i32, http_filter: Value, host_settings: Value| {
        let mut object = object("networking.istio.io/v1alpha3", "EnvoyFilter", namespace, name);
        let mut patches = vec![json!({
            "applyTo": "HTTP_FILTER",
            "match": {"context": "GATEWAY", "listener": {"filterChain": {"filter": {
                "name": "envoy.filters.network.http_connection_manager",
            }}}},
            "patch": {"operation": "INSERT_FIRST", "value": http_filter},
        })];
        if !host_settings.is_null() {
            patches.push(json!({
                "applyTo": "VIRTUAL_HOST",
                "match": {"context": "GATEWAY", "routeConfiguration": {"vhost": {"name": format!("{OTHER}:8080")}}},
                "patch": {"operation": "MERGE", "value": {"typed_per_filter_config": host_settings}},
            }));
        }
        object["spec"] = json!({"priority": priority, "configPatches": patches});
        object
    };
    let local = |bucket: Value| {
        let mut settings = json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
            "stat_prefix": "theirs",
        });
        if !bucket.is_null() {
            let all = json!({"default_value": {"numerator": 100, "denominator": "HUNDRED"}});
            settings["token_bucket"] = bucket;
            settings["filter_enabled"] = all.clone();
            settings["filter_enforced"] = all;
        }
        settings
    };
    let bucket = json!({"max_tokens": 2, "tokens_per_fill": 1, "fill_interval": "3600s"});
    let name = "envoy.filters.http.local_ratelimit";
    let their_limit = filter(
        "their-limit",
        0,
        json!({"name": name, "typed_config": local(Value::Null)}),
        json!({name: local(bucket)}),
    );
    let mutation = |mutations: Value| {
        let sets = mutations.as_object().into_iter().flatten().map(|(key, value)| {
            json!({"append": {
                "header": {"key": key, "value": value},
                "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
            }})
        });
        json!({
            "name": "team.header_mutation",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
                "mutations": {"request_mutations": sets.collect::<Vec<_>>()},
            },
        })
    };
    // In front of Cellgate's filters: its patch comes later.
    let forged = json!({
        "x-cell": "cell-c",
        "x-cellgate-defer": "headers;limit_due",
        "x-cellgate-handover": "cell-c;exact;globex",
        "wasm.cellgate_handover": "cell-c;exact;globex",
    });
    let in_front = filter("in-front", 20, mutation(forged), Value::Null);
    release.mesh().kube().apply_all(&[host, their_limit, in_front]).await?;
    release.gateway().has_routes(OTHER, &["other".to_owned()]).await
}

pub(crate) async fn a_neighbours_limits_and_headers_change_nothing(mesh: Shared) -> Result<()> {
    let release = limited(&mesh, &per_tenant()).prepare().await?;
    neighbour(&release).await?;
    release.install().await?;
    let chain = release.gateway().proxy().http_filters().await?;
    let expected = [
        "team.header_mutation".to_owned(),
        release.filter_name(),
        format!("{}-ext-proc", release.filter_name()),
        "envoy.filters.http.local_ratelimit".to_owned(),
    ];
    assert_eq!(chain[..4], expected, "{chain:?}");
    for expected in ["2", "1", "0"] {
        let answer = release.send(&of("acme")).await;
        assert_eq!((answer.cell(), left(&answer)), ("cell-b", expected), "{}", answer.text());
    }
    // What `acme` was refused is not charged to `globex`, which the forged headers name.
    for _ in 0..4 {
        assert_refused(&release.send(&of("acme")).await, "per-tenant");
    }
    let answer = release.send(&of("globex")).await;
    assert_eq!((answer.cell(), left(&answer)), ("cell-c", "2"));

    // Their host has their limit and their fields, and none of ours.
    let mut statuses = Vec::new();
    for number in 0..3 {
        let answer = release.send(&of("acme").header("host", OTHER)).await;
        statuses.push(answer.status.as_u16());
        if number < 2 {
            assert_eq!((answer.cell(), answer.header("x-team")), ("cell-a", Some("other")));
            assert_eq!(answer.values("ratelimit"), [r#""theirs";r=7"#]);
        } else {
            assert_eq!(answer.text(), "local_rate_limited");
        }
    }
    assert_eq!(statuses, [200, 200, 429]);
    assert_eq!(release.ext_proc_streams().await, 8);
    release.gateway().proxy().must_accept().await
}
