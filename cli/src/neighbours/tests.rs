//! Each kind of object, older and newer than the release, and its finding.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::object::{BadObjects, KINDS};
use super::*;

mod telemetry;

/// A release for `api.example.com` on the gateway `ingress/public`, and one cell.
fn plan() -> Value {
    json!({
        "release": "cellgate", "namespace": "cellgate", "name": "cellgate", "routing_header": "x-cell",
        "hosts": ["api.example.com", "*.tenants.example.com"],
        "gateways": ["ingress/public"],
        "services": [{"host": "api.cell-b.svc.cluster.local", "namespace": "cell-b", "value": "cells.cell-b"}],
        "proxies": [{"namespace": "ingress", "labels": {"istio": "ingress", "app": "gateway"}, "context": "GATEWAY"}],
        "inspect_bytes": 65536, "streams": true, "priority": 10,
        "istio_namespace": "istio-system", "istio_version": "1.30",
    })
}

fn object(group: &str, kind: &str, place: &str, second: u8, spec: Value) -> Value {
    let (namespace, name) = place.split_once('/').unwrap();
    json!({
        "apiVersion": group, "kind": kind, "spec": spec,
        "metadata": {
            "namespace": namespace, "name": name, "creationTimestamp": format!("2026-11-27T10:00:{second:02}Z"),
        },
    })
}

fn virtual_service(place: &str, second: u8, spec: Value) -> Value {
    object("networking.istio.io/v1beta1", "VirtualService", place, second, spec)
}

fn of_release(mut object: Value) -> Value {
    object["metadata"]["labels"] = json!({"app.kubernetes.io/instance": "cellgate"});
    object["metadata"]["annotations"] = json!({"meta.helm.sh/release-namespace": "cellgate"});
    object
}

fn gateway(place: &str, selector: Value) -> Value {
    object("networking.istio.io/v1", "Gateway", place, 0, json!({"selector": selector}))
}

/// The report's lines about these objects, without head, sum and fixes.
fn findings_of(change: Value, objects: &[Value]) -> Vec<String> {
    let mut plan = plan();
    for (field, value) in change.as_object().unwrap() {
        plan[field] = value.clone();
    }
    let plan = ReleasePlan::read(plan.to_string().as_bytes()).unwrap();
    let objects = read_file(json!({"items": objects}).to_string().as_bytes()).unwrap();
    let text = text(&objects, &examine(&plan, &objects));
    let mut lines: Vec<String> =
        text.lines().filter(|line| !line.contains("to do: ")).map(|line| line.trim().to_owned()).collect();
    lines.pop();
    lines.remove(0);
    lines
}

fn legacy(second: u8) -> Value {
    virtual_service(
        "team-a/legacy",
        second,
        json!({
            "hosts": ["api.example.com"], "gateways": ["ingress/public"],
            "http": [
                {"name": "api", "match": [{"uri": {"prefix": "/api"}}, {"uri": {"exact": "/v1"}, "method": {"exact": "GET"}}]},
                {"name": "rest"},
            ],
        }),
    )
}

#[test]
fn an_older_virtual_service_takes_its_paths_from_the_cells() {
    let older = "!!  VirtualService/team-a/legacy is older, so its routes for api.example.com stand before the cells': it \
                 takes /api*, /v1 with conditions on method, and requests without a decision, whatever tenant the request \
                 names";
    assert_eq!(findings_of(json!({}), &[legacy(1)]), [older]);
    let own = |second| of_release(virtual_service("cellgate/cellgate", second, json!({"hosts": ["api.example.com"]})));
    assert_eq!(findings_of(json!({}), &[own(2), legacy(1)]), [older]);
    let newer = findings_of(json!({}), &[own(1), legacy(2)]);
    assert_eq!(
        newer,
        [
            "!   VirtualService/team-a/legacy takes requests for api.example.com without a decision, on /api*, /v1 with \
             conditions on method",
            "!   VirtualService/team-a/legacy has a route for every other request of api.example.com that is never \
             reached: routes.undecided is before it",
        ]
    );
    let accepted = findings_of(json!({"accepted": ["VirtualService/team-a/legacy"]}), &[legacy(1)]);
    assert_eq!(
        accepted,
        [older.replace("!!  VirtualService/team-a/legacy ", "ok  VirtualService/team-a/legacy accepted: ")]
    );
}

#[test]
fn a_gateway_of_the_same_proxies_is_the_same_gateway() {
    let bound = |gateways: Value| {
        let spec = json!({"hosts": ["api.example.com"], "gateways": gateways, "http": [{"match": [{"uri": {"prefix": "/api"}}]}]});
        virtual_service("team-a/legacy", 1, spec)
    };
    let gateways = [
        gateway("ingress/public", json!({"istio": "ingress"})),
        gateway("team-a/own", json!({"istio": "ingress", "app": "gateway"})),
        gateway("team-a/other", json!({"istio": "egress"})),
    ];
    for (names, expected) in
        [(json!(["own"]), 1), (json!(["team-a/own"]), 1), (json!(["other"]), 0), (json!(null), 0), (json!(["mesh"]), 0)]
    {
        let objects = [&gateways[..], &[bound(names.clone())]].concat();
        assert_eq!(findings_of(json!({}), &objects).len(), expected, "{names}");
    }
    // One without a selector is for all proxies; one with other labels may be for the same.
    for (selector, level) in [(json!(null), "!!"), (json!({"team": "a"}), "??")] {
        let found =
            findings_of(json!({}), &[gateways[0].clone(), gateway("team-a/any", selector), bound(json!(["any"]))]);
        assert!(found.len() == 1 && found[0].starts_with(level), "{found:?}");
    }
    // A match may be for another of its gateways.
    let mut elsewhere = bound(json!(["ingress/public", "other"]));
    elsewhere["spec"]["http"] = json!([{"match": [
        {"uri": {"prefix": "/there"}, "gateways": ["other"]},
        {"uri": {"prefix": "/here"}, "gateways": ["ingress/public"]},
    ]}]);
    let both = findings_of(json!({}), &[&gateways[..], &[elsewhere]].concat());
    assert!(both[0].contains("it takes /here*, whatever"), "{both:?}");
    // In sidecars there is one VirtualService for a host.
    let both = findings_of(json!({"gateways": ["ingress/public", "mesh"]}), &[bound(json!(null))]);
    assert!(both[0].starts_with("!!  VirtualService/team-a/legacy is for api.example.com in sidecars too"), "{both:?}");
}

#[test]
fn objects_for_other_hosts_and_proxies_have_no_finding() {
    let spec = |hosts: Value, more: Value| {
        let mut spec =
            json!({"hosts": hosts, "gateways": ["ingress/public"], "http": [{"match": [{"uri": {"prefix": "/x"}}]}]});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        virtual_service("team-a/other", 1, spec)
    };
    for (hosts, more) in [
        (json!(["other.example.com"]), json!({})),
        (json!(["*"]), json!({})),
        (json!(["api.example.com"]), json!({"exportTo": ["."]})),
        (json!(["api.example.com"]), json!({"exportTo": ["team-b"]})),
    ] {
        assert_eq!(findings_of(json!({}), &[spec(hosts.clone(), more)]), Vec::<String>::new(), "{hosts}");
    }
    assert_eq!(findings_of(json!({}), &[spec(json!(["api.example.com"]), json!({"exportTo": ["ingress"]}))]).len(), 1);
    let inside = findings_of(json!({}), &[spec(json!(["acme.tenants.example.com"]), json!({}))]);
    assert!(
        inside[0].starts_with("!   VirtualService/team-a/other takes all requests for acme.tenants.example.com"),
        "{inside:?}"
    );
    let challenge = json!({"http": [{"match": [{"uri": {"exact": "/.well-known/acme-challenge/x"}}]}]});
    let challenge = findings_of(json!({}), &[spec(json!(["api.example.com"]), challenge)]);
    assert_eq!(challenge, ["ok  VirtualService/team-a/other answers certificate challenges for api.example.com"]);
    let by_cell = json!({"http": [{"match": [{"uri": {"prefix": "/x"}, "headers": {"X-Cell": {"exact": "cell-b"}}}]}]});
    let by_cell = findings_of(json!({}), &[spec(json!(["api.example.com"]), by_cell)]);
    assert!(by_cell[0].contains("it takes requests with x-cell on /x*"), "{by_cell:?}");
}

#[test]
fn a_longer_path_of_an_http_route_takes_precedence() {
    let route = |rules: Value| {
        let spec = json!({"parentRefs": [{"name": "public", "namespace": "gw"}], "hostnames": ["api.example.com"], "rules": rules});
        object("gateway.networking.k8s.io/v1", "HTTPRoute", "team-a/route", 5, spec)
    };
    let on = |rules: Value| findings_of(json!({"gateways": [], "parents": ["gw/public"]}), &[route(rules)]);
    let path = |kind: &str, path: &str| json!([{"matches": [{"path": {"type": kind, "value": path}}]}]);
    assert!(on(path("PathPrefix", "/api"))[0].starts_with("!!  HTTPRoute/team-a/route takes /api* of api.example.com"));
    assert!(on(path("Exact", "/"))[0].contains("takes / of"));
    assert!(on(json!([{"matches": [{"method": "GET"}]}]))[0].contains("takes GET /* of"));
    assert!(on(path("PathPrefix", "/"))[0].contains("only gets requests without a decision"));
    assert!(on(path("PathPrefix", "/.well-known/acme-challenge/x"))[0].starts_with("ok "));
    let elsewhere = findings_of(json!({}), &[route(path("PathPrefix", "/"))]);
    assert!(elsewhere[0].starts_with("!   HTTPRoute/team-a/route serves api.example.com by the Gateway gw/public"));
    // A longer path outranks the cells with the routing header too, and so does one more condition.
    let header = json!([{"name": "x-cell", "value": "cell-b"}]);
    let longer = on(json!([{"matches": [{"path": {"type": "PathPrefix", "value": "/api"}, "headers": header}]}]));
    assert!(longer[0].contains("takes /api* of"), "{longer:?}");
    let query = on(json!([{"matches": [{"headers": header, "queryParams": [{"name": "v", "value": "1"}]}]}]));
    assert!(query[0].starts_with("!! "), "{query:?}");
    let spec = json!({"parentRefs": [{"name": "public", "namespace": "gw"}], "hostnames": ["api.example.com"], "rules": [
        {"matches": [{"method": {"service": "shop.Orders"}}]},
    ]});
    let grpc = object("gateway.networking.k8s.io/v1", "GRPCRoute", "team-a/calls", 5, spec);
    let grpc = findings_of(json!({"gateways": [], "parents": ["gw/public"]}), &[grpc]);
    assert!(grpc[0].starts_with("!!  GRPCRoute/team-a/calls takes /shop.Orders/* of"), "{grpc:?}");
    let pool = json!([{"matches": [{"headers": [{"name": "x-cell", "value": "a"}]}], "backendRefs": [{"kind": "InferencePool", "name": "p"}]}]);
    assert!(on(pool)[0].starts_with("!!  HTTPRoute/team-a/route leads to an InferencePool"));
}

#[test]
fn another_destination_rule_is_named_with_the_settings_it_replaces() {
    let rule = |place: &str, second, spec: Value| {
        object("networking.istio.io/v1alpha3", "DestinationRule", place, second, spec)
    };
    let simple = |host: &str| json!({"host": host, "trafficPolicy": {"loadBalancer": {"simple": "ROUND_ROBIN"}}});
    let own = |second| of_release(rule("cell-b/cellgate-cell-b", second, simple("api.cell-b.svc.cluster.local")));
    for (objects, level, words) in [
        (vec![rule("cell-b/old", 1, simple("api"))], "!!", "is older and for api.cell-b.svc.cluster.local"),
        (vec![own(2), rule("cell-b/old", 1, simple("api.cell-b.svc.cluster.local"))], "!!", "is older"),
        (vec![own(1), rule("cell-b/new", 2, simple("api"))], "! ", "is newer than the rule of cells.cell-b"),
        (
            vec![own(1), rule("ingress/any", 2, simple("*.cell-b.svc.cluster.local"))],
            "!!",
            "in the namespace of the proxies",
        ),
        (vec![rule("cell-b/subsets", 1, json!({"host": "api", "subsets": []}))], "ok", "adds subsets"),
        (vec![rule("cell-b/broken", 1, json!({"host": 7}))], "??", "spec.host is not a name"),
    ] {
        let found = findings_of(json!({}), &objects);
        assert!(found.len() == 1 && found[0].starts_with(level) && found[0].contains(words), "{words}: {found:?}");
    }
    for harmless in [
        rule("cell-b/other", 1, simple("other")),
        rule("cell-b/any", 1, simple("*.local")),
        rule("istio-system/any", 1, simple("*")),
    ] {
        assert_eq!(findings_of(json!({}), &[harmless]), Vec::<String>::new());
    }
}

#[test]
fn envoy_filters_of_the_same_proxies_are_read() {
    let filter = |place: &str, spec: Value| object("networking.istio.io/v1alpha3", "EnvoyFilter", place, 1, spec);
    let limit = |bytes: u64| json!([{"applyTo": "LISTENER", "patch": {"operation": "MERGE", "value": {"per_connection_buffer_limit_bytes": bytes}}}]);
    let of = |bytes| json!({"configPatches": limit(bytes)});
    let low = "sets per_connection_buffer_limit_bytes to 1024, below limits.inspect_bytes (65536)";
    for place in ["ingress/low", "istio-system/low"] {
        let found = findings_of(json!({}), &[filter(place, of(1024))]);
        assert!(found[0].starts_with("!! ") && found[0].contains(low), "{found:?}");
    }
    let high = findings_of(json!({}), &[filter("ingress/high", of(10_485_760))]);
    assert_eq!(
        high,
        ["ok  EnvoyFilter/ingress/high sets per_connection_buffer_limit_bytes to 10485760, which stays in force"]
    );
    let selecting = |labels: Value| json!({"workloadSelector": {"labels": labels}, "configPatches": limit(1024)});
    assert_eq!(findings_of(json!({}), &[filter("ingress/low", selecting(json!({"app": "gateway"})))]).len(), 1);
    assert!(findings_of(json!({}), &[filter("ingress/low", selecting(json!({"app": "other"})))]).is_empty());
    assert!(findings_of(json!({}), &[filter("team-a/low", of(1024))]).is_empty());
    let sidecars = json!([{"match": {"context": "SIDECAR_INBOUND"}, "patch": {"value": {"per_connection_buffer_limit_bytes": 1}}}]);
    assert!(findings_of(json!({}), &[filter("istio-system/sidecars", json!({"configPatches": sidecars}))]).is_empty());

    let processor = json!({"applyTo": "HTTP_FILTER", "patch": {"operation": "INSERT_FIRST", "value": {
        "name": "envoy.filters.http.ext_proc", "typed_config": {"processing_mode": {"request_body_mode": "FULL_DUPLEX_STREAMED"}},
    }}});
    let processor = filter("ingress/processor", json!({"priority": 20, "configPatches": [processor]}));
    for (version, level) in [("1.30", "!!"), ("1.31", "ok"), ("", "??")] {
        let found = findings_of(json!({"istio_version": version}), std::slice::from_ref(&processor));
        assert!(
            found.iter().any(|line| line.starts_with(level) && line.contains("FULL_DUPLEX_STREAMED")),
            "{version}: {found:?}"
        );
        assert!(
            found.iter().any(|line| line.starts_with("!   EnvoyFilter/ingress/processor puts its filter before")),
            "{found:?}"
        );
    }
    assert!(findings_of(json!({"streams": false, "priority": 20}), &[processor]).is_empty());
}

#[test]
fn malformed_objects_are_unknown() {
    for spec in [
        json!({"hosts": "api.example.com", "gateways": ["ingress/public"]}),
        json!({"hosts": [7], "gateways": ["ingress/public"]}),
    ] {
        let found = findings_of(json!({}), &[virtual_service("team-a/broken", 1, spec)]);
        assert_eq!(
            found,
            ["??  VirtualService/team-a/broken its spec.hosts is not a list of names, so it was not compared"]
        );
    }
    let nothing = [json!(null), json!({}), json!({"kind": "VirtualService"}), json!([])];
    assert_eq!(findings_of(json!({}), &nothing), Vec::<String>::new());
    assert!(matches!(read_file(b"{}"), Err(BadObjects::NotList)));
    assert!(matches!(read_file(b"nothing"), Err(BadObjects::NotJson(_))));
    assert!(ReleasePlan::read(b"{\"relese\": 1}").unwrap_err().to_string().contains("relese"));
}

#[test]
fn an_acceptance_without_a_finding_is_a_warning() {
    let found = findings_of(json!({"accepted": ["VirtualService/team-a/gone"]}), &[]);
    assert_eq!(found, ["!   VirtualService/team-a/gone is in neighbours.accept, but there is no finding about it"]);
}

#[test]
fn a_pattern_on_a_server_that_names_the_host_is_the_same_host() {
    let mut served = gateway("ingress/public", json!({"istio": "ingress"}));
    served["spec"]["servers"] = json!([{"hosts": ["*/api.example.com"]}]);
    for host in ["*.example.com", "*"] {
        let spec = json!({"hosts": [host], "gateways": ["ingress/public"], "http": [{"match": [{"uri": {"prefix": "/api"}}]}]});
        let found = findings_of(json!({}), &[served.clone(), virtual_service("team-a/any", 1, spec)]);
        assert!(
            found.iter().any(|line| line.starts_with("!!  ") && line.contains("it takes /api*")),
            "{host}: {found:?}"
        );
    }
}

#[test]
fn every_spelling_of_a_gateway_is_read() {
    for (place, name) in [("ingress/legacy", "./public"), ("team-a/legacy", "public.ingress.svc.cluster.local")] {
        let spec = json!({"hosts": ["api.example.com"], "gateways": [name], "http": [{}]});
        assert_eq!(findings_of(json!({}), &[virtual_service(place, 1, spec)]).len(), 1, "{name}");
    }
    let spec = json!({"hosts": ["api.example.com"], "gateways": ["ingress/public"], "http": [{}]});
    let filter_elsewhere = findings_of(json!({"proxies": []}), &[virtual_service("team-a/legacy", 1, spec)]);
    assert_eq!(filter_elsewhere.len(), 1, "the routes are the release's, whoever has the filter");
}

#[test]
fn a_regex_like_a_challenge_and_other_gateways_are_distinguished() {
    let with = |http: Value| {
        let spec = json!({"hosts": ["api.example.com"], "gateways": ["ingress/public", "other"], "http": http});
        findings_of(json!({}), &[virtual_service("team-a/x", 1, spec)])
    };
    let regex = with(json!([{"match": [{"uri": {"regex": "/.well-known/acme-challenge/.*|/api.*"}}]}]));
    assert!(regex[0].starts_with("!! "), "{regex:?}");
    assert!(with(json!([])).is_empty(), "TLS routes only");
    assert!(with(json!([{"match": [{"uri": {"prefix": "/x"}, "gateways": ["other"]}]}])).is_empty());
}

#[test]
fn of_rules_that_are_not_merged_the_last_one_is_used() {
    let rule = |place: &str, second, more: Value| {
        let mut spec = json!({"host": "api.cell-b.svc.cluster.local", "trafficPolicy": {}});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        object("networking.istio.io/v1", "DestinationRule", place, second, spec)
    };
    let own = of_release(rule("cell-b/cellgate-cell-b", 5, json!({})));
    let exported = json!({"exportTo": ["*"]});
    let newer = findings_of(json!({}), &[own.clone(), rule("cell-b/new", 6, exported.clone())]);
    assert!(newer[0].starts_with("!!  ") && newer[0].contains("is newer"), "{newer:?}");
    let older = findings_of(json!({}), &[own, rule("cell-b/old", 1, exported)]);
    assert!(older[0].starts_with("! "), "{older:?}");
    // The mesh's own default, in the namespace that its gateway is in too.
    let mesh =
        object("networking.istio.io/v1", "DestinationRule", "istio-system/default", 1, json!({"host": "*.local"}));
    let proxies = json!([{"namespace": "istio-system", "labels": {"istio": "ingress"}, "context": "GATEWAY"}]);
    assert!(findings_of(json!({"proxies": proxies}), &[mesh]).is_empty());
}

#[test]
fn envoy_filters_are_read_for_each_of_the_proxies() {
    let proxies = json!([
        {"namespace": "ingress", "labels": {"istio": "ingress"}, "context": "GATEWAY"},
        {"namespace": "cell-a", "labels": {"app": "api"}, "context": "SIDECAR_INBOUND"},
    ]);
    let limit =
        json!({"match": {"context": "SIDECAR_INBOUND"}, "patch": {"value": {"per_connection_buffer_limit_bytes": 1}}});
    let filter = |spec: Value| object("networking.istio.io/v1alpha3", "EnvoyFilter", "istio-system/low", 1, spec);
    let both = findings_of(json!({"proxies": proxies}), &[filter(json!({"configPatches": [limit]}))]);
    assert!(both[0].starts_with("!! "), "{both:?}");
    let other = filter(json!({"workloadSelector": {"labels": {"tier": "edge"}}, "configPatches": [limit]}));
    let other = findings_of(json!({"proxies": proxies}), &[other]);
    assert!(other[0].starts_with("?? "), "{other:?}");
}

/// Any JSON, with the names that are looked for among its fields.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z*./-]{0,12}".prop_map(Value::from),
        Just(json!("api.example.com")),
        Just(json!("ingress/public")),
        Just(json!("api.cell-b.svc.cluster.local")),
    ];
    let field = proptest::sample::select(vec![
        "hosts",
        "gateways",
        "http",
        "match",
        "uri",
        "prefix",
        "headers",
        "exportTo",
        "hostnames",
        "parentRefs",
        "rules",
        "matches",
        "path",
        "value",
        "host",
        "trafficPolicy",
        "selector",
        "configPatches",
        "patch",
        "applyTo",
        "context",
        "workloadSelector",
        "labels",
        "targetRefs",
        "name",
        "namespace",
        "kind",
        "spec",
        "priority",
        "per_connection_buffer_limit_bytes",
    ]);
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((field.clone(), inner), 0..6)
                .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    /// Whatever is in an object, it is judged or named, and nothing ends the check.
    #[test]
    fn no_object_panics(specs in proptest::collection::vec((0..KINDS.len(), anything(), anything()), 1..6)) {
        let objects: Vec<Value> = specs
            .into_iter()
            .map(|(kind, spec, whole)| {
                let kind = KINDS[kind];
                let group = if kind == "HTTPRoute" { "gateway.networking.k8s.io/v1" } else { "networking.istio.io/v1" };
                let place = if kind == "DestinationRule" { "cell-b/x" } else { "ingress/x" };
                let mut made = object(group, kind, place, 1, spec);
                if whole.is_array() {
                    made["metadata"] = whole;
                }
                made
            })
            .collect();
        for line in findings_of(json!({"parents": ["ingress/public"]}), &objects) {
            prop_assert!(["ok", "??", "! ", "!!"].iter().any(|mark| line.starts_with(mark)), "{line}");
        }
    }
}
