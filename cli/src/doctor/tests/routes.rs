//! Routes of other teams in a virtual host of the cells. The expected findings are in `tests/fixtures/doctor/`.

use serde_json::{Value, json};

use super::{Finding, istiod, snapshot};

fn origin(kind: &str, namespace: &str, name: &str) -> Value {
    let config = format!("/apis/networking.istio.io/v1/namespaces/{namespace}/{kind}/{name}");
    json!({"filterMetadata": {"istio": {"config": config}}})
}

/// The routes of the release: cell-a, cell-b, undecided.
fn routes(change: impl FnOnce(&mut Vec<Value>)) -> Vec<Finding> {
    istiod(|dump| {
        let configs = dump["configs"].as_array_mut().unwrap();
        let routes = configs.iter_mut().find(|config| config["dynamicRouteConfigs"].is_array()).unwrap();
        let routes = routes.pointer_mut("/dynamicRouteConfigs/0/routeConfig/virtualHosts/0/routes").unwrap();
        let routes = routes.as_array_mut().unwrap();
        assert_eq!(routes.len(), 3);
        for route in routes.iter_mut() {
            route["metadata"] = origin("virtual-service", "cellgate-system", "edge");
        }
        change(routes);
    })
}

fn with(name: &str, conditions: Value, action: (&str, Value)) -> Value {
    json!({"name": name, "match": conditions, action.0: action.1})
}

fn to(cluster: &str) -> (&'static str, Value) {
    ("route", json!({"cluster": cluster}))
}

fn answer(status: u16) -> (&'static str, Value) {
    ("directResponse", json!({"status": status}))
}

/// A route of another team's VirtualService.
fn legacy(mut route: Value) -> Value {
    route["metadata"] = origin("virtual-service", "team", "legacy");
    route
}

/// A route of the VirtualService with the cells' routes.
fn own(mut route: Value) -> Value {
    route["metadata"] = origin("virtual-service", "cellgate-system", "edge");
    route
}

#[track_caller]
fn expect(name: &str, change: impl FnOnce(&mut Vec<Value>)) {
    snapshot(name, &routes(|_| {}), &routes(change));
}

#[test]
fn an_older_virtual_service_takes_paths_from_the_cells() {
    expect("older-virtual-service", |routes| {
        routes.insert(0, legacy(with("legacy-api", json!({"prefix": "/api"}), to("legacy-a"))));
        routes.insert(3, legacy(with("legacy-rest", json!({"prefix": "/"}), to("legacy-a"))));
    });
}

/// Each form of path, with and without further conditions, and with each action.
#[test]
fn every_route_before_the_cells_is_named_with_its_paths() {
    let template =
        json!({"name": "uri", "typedConfig": {"@type": "x.UriTemplateMatchConfig", "pathTemplate": "/v/{id}"}});
    let post = json!({"name": ":method", "stringMatch": {"exact": "POST"}});
    let beta = json!({"name": "x-beta", "presentMatch": true});
    let all = [
        ("exact", json!({"path": "/login"}), answer(200)),
        ("separated", json!({"pathSeparatedPrefix": "/files"}), ("redirect", json!({"httpsRedirect": true}))),
        ("regex", json!({"safeRegex": {"regex": "/v[0-9]+/.*"}}), to("v")),
        ("template", json!({"pathMatchPolicy": template}), to("v")),
        ("method", json!({"prefix": "/", "headers": [post]}), to("v")),
        ("header", json!({"prefix": "/", "headers": [beta]}), to("beta")),
        ("query", json!({"prefix": "/q", "queryParameters": [{"name": "debug"}]}), to("v")),
    ];
    expect("paths", |routes| {
        let all = all.into_iter().map(|(name, conditions, action)| legacy(with(name, conditions, action)));
        drop(routes.splice(1..1, all));
    });
}

#[test]
fn a_younger_virtual_service_takes_requests_without_a_decision() {
    expect("younger-virtual-service", |routes| {
        routes.insert(2, legacy(with("legacy-api", json!({"prefix": "/api"}), answer(200))));
        routes.push(legacy(with("legacy-rest", json!({"prefix": "/"}), to("legacy-a"))));
    });
}

#[test]
fn routes_of_the_cells_own_virtual_service_are_deliberate() {
    expect("own-routes", |routes| {
        routes.insert(0, own(with("maintenance", json!({"prefix": "/reports"}), answer(503))));
        routes.insert(1, own(with("static", json!({"prefix": "/static/"}), to("static"))));
        routes.insert(4, own(with("rest", json!({"prefix": "/rest/"}), to("static"))));
    });
}

#[test]
fn a_route_for_everything_before_a_cell_is_never_deliberate() {
    expect("own-catch-all", |routes| routes.insert(1, own(with("all", json!({"prefix": "/"}), to("static")))));
}

#[test]
fn preflights_and_certificate_challenges_are_harmless() {
    let preflight = json!({"prefix": "/", "headers": [
        {"name": ":method", "stringMatch": {"exact": "OPTIONS"}},
        {"name": "origin", "presentMatch": true},
        {"name": "access-control-request-method", "presentMatch": true},
    ]});
    let challenge = json!({"prefix": "/.well-known/acme-challenge/"});
    expect("harmless", |routes| {
        routes.insert(0, own(with("edge-preflight", preflight, to("cell-a"))));
        routes.insert(0, legacy(with("challenge", challenge.clone(), to("solver"))));
        routes.insert(4, legacy(with("challenges", challenge, to("solver"))));
    });
}

/// istiod merges all HTTPRoutes of a host into one VirtualService.
#[test]
fn an_http_route_is_named_by_its_routes() {
    expect("http-route", |routes| {
        for (index, route) in routes.iter_mut().enumerate() {
            route["name"] = json!(format!("cellgate-system.edge.{index}"));
        }
        routes.insert(0, with("team.legacy.0", json!({"pathSeparatedPrefix": "/api"}), to("legacy-a")));
        for route in routes {
            route["metadata"] = origin("virtual-service", "istio-ingress", "istio-ingress~gateway~api.example.com");
        }
    });
}

#[test]
fn a_pattern_may_take_a_cells_requests() {
    let pattern = json!([{"name": "x-cell", "stringMatch": {"prefix": "cell-"}}]);
    let absent = json!([{"name": "x-cell", "presentMatch": true, "invertMatch": true}]);
    expect("pattern", |routes| {
        routes.insert(0, legacy(with("any", json!({"prefix": "/", "headers": pattern}), to("v"))));
        routes.insert(0, legacy(with("none", json!({"prefix": "/", "headers": absent}), to("v"))));
    });
}

/// Without Istio, a route with a direct response is deliberate, and a route that forwards is not.
#[test]
fn without_metadata_only_forwarding_is_an_error() {
    expect("no-metadata", |routes| {
        routes.iter_mut().for_each(|route| route["metadata"] = Value::Null);
        routes.insert(0, with("maintenance", json!({"path": "/reports"}), answer(503)));
        routes.insert(1, with("static", json!({"prefix": "/static/"}), to("static")));
        routes.insert(4, with("rest", json!({"prefix": "/rest/"}), to("static")));
    });
}

#[test]
fn paths_without_a_cell_are_not_taken_from_cells() {
    expect("disjoint", |routes| {
        for route in routes.iter_mut().take(2) {
            route["match"]["prefix"] = json!("/api");
        }
        routes.insert(0, legacy(with("static", json!({"prefix": "/static/"}), to("static"))));
    });
}

/// With the chart's guard, only the filter can route requests to a cell.
#[test]
fn the_charts_guard_on_the_cells_routes_does_not_narrow_them() {
    let guarded = routes(|routes| {
        for route in routes.iter_mut().take(2) {
            route["match"]["filterState"] = json!([{"key": "wasm.cellgate.cell", "stringMatch": {"exact": "cell-a"}}]);
        }
    });
    assert_eq!(guarded, routes(|_| {}));
}
