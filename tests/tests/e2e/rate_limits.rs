//! Rate limits through Envoy: which requests they count, what a client over its limit receives, and that no other client
//! notices.

use cellgate_tests::client::{Request, Response};
use cellgate_tests::options::{BodyMode, Chain, Options, Underscores};
use cellgate_tests::stack::Stack;
use serde_json::{Value, json};

use crate::support::{arrived, counted, key_first, key_last, wait_for_metric};

/// Three at once, and then one an hour: no test lasts so long that a unit comes back.
const THREE: &str = "1/h;burst=3";

fn limited(limits: Value) -> Options {
    Options::default().configure(|config| config["rate_limits"] = limits)
}

fn per_tenant() -> Value {
    json!([{"name": "per-tenant", "key": ["routing_key"], "limit": THREE}])
}

/// The status of each answer.
async fn statuses(stack: &Stack, requests: impl IntoIterator<Item = Request>) -> Vec<u16> {
    let mut statuses = Vec::new();
    for request in requests {
        statuses.push(stack.send(&request).await.status.as_u16());
    }
    statuses
}

#[track_caller]
fn assert_refused(answer: &Response, limit: &str) {
    assert_eq!(answer.status, 429, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    let problem = answer.json();
    assert_eq!(problem["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
    assert_eq!((&problem["status"], &problem["code"]), (&json!(429), &json!("rate_limited")));
    assert_eq!(problem["violated-policies"], json!([limit]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_over_its_limit_gets_429_and_no_other_tenant_notices() {
    let stack = Stack::start(limited(per_tenant())).await;
    let by_body = |tenant: &str| Request::post("/body").json(key_first(tenant, 1_000));
    let by_header = |tenant: &str| Request::get("/header").header("x-tenant-id", tenant);
    assert_eq!(stack.send(&by_body("acme")).await.cell(), "cell-b");
    assert_eq!(stack.send_h2(&by_body("acme")).await.cell(), "cell-b");
    let third = stack.send(&by_header("acme")).await;
    assert_eq!((third.cell(), third.received("x-cell")), ("cell-b", vec!["cell-b".to_owned()]));
    assert_eq!(third.received("x-cellgate-defer"), [""; 0]);
    for request in [by_body("acme"), by_header("acme")] {
        for answer in [stack.send(&request).await, stack.send_h2(&request).await] {
            assert_refused(&answer, "per-tenant");
            let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
            assert!((3_500..=3_600).contains(&wait), "{wait}");
            assert_eq!(answer.header("ratelimit"), Some(&*format!("\"per-tenant\";r=0;t={wait}")));
            assert_eq!(answer.header("ratelimit-policy"), Some("\"per-tenant\";q=1;w=3600;cellgate-burst=3"));
        }
    }
    assert_eq!(stack.send(&by_body("globex")).await.cell(), "cell-c");
    assert_eq!(stack.send(&by_header("globex")).await.cell(), "cell-c");
    assert_eq!(arrived(&stack), 5);
    counted(&stack, "decisions.defer.limit_due", 9).await;
    counted(&stack, "deferrals.headers", 9).await;
    wait_for_metric(&stack, r#"cellgate_rate_limit_checks_total{limit="per-tenant",outcome="within"}"#, 5.0).await;
    wait_for_metric(&stack, r#"cellgate_rate_limit_checks_total{limit="per-tenant",outcome="refused"}"#, 4.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_access_log_says_what_a_limit_did() {
    let stack = Stack::start(limited(json!([{"name": "one", "key": ["routing_key"], "limit": "1/h"}]))).await;
    for (path, code, reason) in [("/first", 200, "exact"), ("/second", 429, "rate_limited")] {
        assert_eq!(stack.send(&Request::get(path).header("x-tenant-id", "acme")).await.status, code);
        let line = stack.envoy().access_line(path).await;
        assert_eq!((line.decision(), line.text("service")), ("defer=headers;reason=limit_due", reason));
        let details = if code == 429 { "cellgate_rate_limited" } else { "via_upstream" };
        assert_eq!((line.code(), line.text("details")), (u64::from(code), details));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decided_request_is_checked_without_its_body() {
    let stack = Stack::start(limited(json!([{"name": "many", "key": ["routing_key"], "limit": "1000/s"}]))).await;
    let sent = || async { stack.admin().stat("cluster.ext-proc.upstream_cx_tx_bytes_total").await.unwrap() };
    // The connection's preface and the first request's header table.
    assert_eq!(stack.post_json("/", key_last("acme", 100)).await.status, 200);
    let before = sent().await;
    let held = key_last("acme", 30_000);
    let peeked = key_first("acme", 3_000_000);
    for body in [held, peeked] {
        let answer = stack.post_json("/", body.clone()).await;
        assert_eq!((answer.cell(), answer.sha256()), ("cell-b", sha256(&body)));
        assert_eq!(stack.send_h2(&Request::post("/").json(body)).await.cell(), "cell-b");
    }
    let bytes = sent().await - before;
    assert!(bytes < 8_000, "the service received {bytes} bytes for four requests");
    assert_eq!(stack.ext_proc_streams().await, 5);
    assert_eq!(stack.ext_proc().metric("cellgate_inspected_bytes_total").await.unwrap(), 0.0);
}

fn sha256(body: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_the_service_reads_is_counted_too() {
    let stack = Stack::start(limited(per_tenant())).await;
    let large = || Request::post("/").json(key_last("acme", 2_000_000));
    assert_eq!(statuses(&stack, [large(), large(), large(), large()]).await, [200, 200, 200, 429]);
    // It is the same allowance as that of a request which the filter decides.
    assert_eq!(stack.post_json("/", key_first("acme", 100)).await.status, 429);
    assert_eq!(arrived(&stack), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_alone_counts_in_every_body_mode() {
    for mode in [BodyMode::Buffered, BodyMode::Streamed] {
        let options = limited(per_tenant()).chain(Chain::Service(mode));
        let stack = Stack::start(options).await;
        let requests = [
            Request::post("/").json(key_last("acme", 20_000)),
            Request::get("/").header("x-tenant-id", "acme"),
            Request::post("/").json(key_first("acme", 20_000)).header("x-cellgate-defer", "headers;limit_due"),
            Request::post("/").json(key_last("acme", 20_000)),
            Request::get("/").header("x-tenant-id", "acme"),
            Request::get("/").header("x-tenant-id", "globex"),
        ];
        assert_eq!(statuses(&stack, requests).await, [200, 200, 200, 429, 429, 200], "{mode:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_go_nowhere_use_nothing() {
    let mut limits = per_tenant();
    limits[0]["limit"] = json!("1/h");
    let stack = Stack::start(limited(limits)).await;
    let refused = [
        Request::post("/").json(r#"{"tenant":{"id":"acme"}"#),
        Request::post("/").json(r#"{"tenant":{"id":"acme"},"tenant":{"id":"acme"}}"#),
        Request::post("/").header("content-type", "text/plain").header("x-tenant-id", "acme").body("x"),
    ];
    for request in refused {
        let status = stack.send(&request).await.status.as_u16();
        assert!(matches!(status, 400 | 415), "{status}");
    }
    assert_eq!(stack.post_json("/", key_first("acme", 100)).await.status, 200);
    assert_eq!(stack.post_json("/", key_first("acme", 100)).await.status, 429);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_key_behind_the_limit_ends_the_request() {
    let stack = Stack::start(limited(per_tenant())).await;
    let body = key_first("acme", 400_000);
    let body = format!("{},\"tenant\":{{\"id\":\"globex\"}}}}", body.strip_suffix('}').unwrap());
    let answer = stack.post_json("/", body).await;
    assert_eq!((answer.status.as_u16(), answer.json()["code"].as_str()), (400, Some("key_duplicated")));
    assert_eq!(stack.cells().iter().map(|cell| cell.complete()).sum::<u64>(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_forge_the_filters_word() {
    let stack = Stack::start(limited(per_tenant()).underscores(Underscores::Allow)).await;
    let forged = || {
        Request::post("/")
            .json(key_first("acme", 100))
            .header("x-cellgate-defer", "headers;limit_due")
            .header("x-cellgate-handover", "cell-c;exact;globex")
            .header("cellgate_handover", "cell-c;exact;globex")
            .header("wasm.cellgate_handover", "cell-c;exact;globex")
    };
    for _ in 0..3 {
        assert_eq!(stack.send(&forged()).await.cell(), "cell-b");
    }
    assert_refused(&stack.send(&forged()).await, "per-tenant");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_over_its_limit_is_exhausted() {
    let stack = Stack::start(limited(json!([{"name": "one", "key": ["routing_key"], "limit": "1/h"}]))).await;
    let call = Request::post("/demo.Echo/Call")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("x-tenant-id", "acme")
        .body(&[0u8, 0, 0, 0, 1, b'x'][..]);
    assert_eq!(stack.send_h2(&call).await.cell(), "cell-b");
    let answer = stack.send_h2(&call).await;
    // RESOURCE_EXHAUSTED: clients do not retry it at once, as they may UNAVAILABLE.
    assert_eq!(answer.header("grpc-status"), Some("8"));
    let message = answer.header("grpc-message").unwrap();
    assert!(message.starts_with("rate_limited: "), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_at_once_are_admitted_to_the_bound_and_not_one_more() {
    let limits = json!([{"name": "twenty", "key": ["routing_key"], "limit": "1/h;burst=20"}]);
    let stack = Stack::start(limited(limits).concurrency(4)).await;
    let requests = (0..100).map(|number| {
        let body = if number % 2 == 0 { key_first("acme", 500) } else { key_last("acme", 20_000) };
        let stack = &stack;
        async move { stack.post_json("/", body).await.status.as_u16() }
    });
    let statuses = futures(requests).await;
    let count = |wanted| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(200), count(429)), (20, 80), "{statuses:?}");
    assert_eq!(arrived(&stack), 20);
}

/// Runs all at once.
async fn futures<T>(tasks: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut tasks: Vec<_> = tasks.into_iter().map(|task| (Box::pin(task), None)).collect();
    std::future::poll_fn(|context| {
        for (task, result) in &mut tasks {
            if result.is_none()
                && let std::task::Poll::Ready(value) = task.as_mut().poll(context)
            {
                *result = Some(value);
            }
        }
        let is_done = tasks.iter().all(|(_, result)| result.is_some());
        if is_done { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    tasks.into_iter().filter_map(|(_, result)| result).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_part_of_a_key_and_every_matcher_counts() {
    let limits = json!([
        {"name": "by-api-key", "key": [{"header": "x-api-key"}], "limit": "1/h", "applies_to": {"paths": ["/api/"]}},
        {"name": "by-anyone", "key": [{"header": "x-user", "otherwise": "anyone"}], "limit": "1/h", "applies_to": {"paths": ["/user/"]}},
        {"name": "by-method", "key": ["routing_key", "method"], "limit": "1/h", "applies_to": {"paths": ["/method/"]}},
        {"name": "by-address", "key": ["client_address"], "limit": "1/h", "applies_to": {"paths": ["/address/"]}},
        {"name": "by-cell", "key": ["cell"], "limit": "1/h", "applies_to": {"paths": ["/cell/"], "cells": ["cell-c"]}},
        {"name": "by-peer", "key": ["peer"], "limit": "1/h", "applies_to": {"paths": ["/peer/"]}},
    ]);
    let stack = Stack::start(limited(limits)).await;
    let get = |path: &str, tenant: &str| Request::get(path).header("x-tenant-id", tenant);
    let api = |key: &str| get("/api/", "acme").header("x-api-key", key);
    // Without the key's value, the limit does not count a request. An unusable value does not escape it.
    let twice = || api("one").header("x-api-key", "two");
    let requests = [api("one"), api("one"), api("two"), get("/api/", "acme"), get("/api/", "acme"), twice(), twice()];
    assert_eq!(statuses(&stack, requests).await, [200, 429, 200, 200, 200, 200, 429]);
    let user = |name: &str| get("/user/", "acme").header("x-user", name);
    let requests = [get("/user/", "acme"), get("/user/", "globex"), user("anyone"), user("eve"), user("eve")];
    assert_eq!(statuses(&stack, requests).await, [200, 429, 429, 200, 429]);
    let post = || Request::post("/method/").header("x-tenant-id", "acme");
    let requests = [get("/method/", "acme"), post(), get("/method/", "acme"), post(), get("/method/", "globex")];
    assert_eq!(statuses(&stack, requests).await, [200, 200, 429, 429, 200]);
    // Every connection has another port.
    assert_eq!(statuses(&stack, [get("/address/", "acme"), get("/address/", "globex")]).await, [200, 429]);
    let requests = [get("/cell/", "acme"), get("/cell/", "acme"), get("/cell/", "globex"), get("/cell/", "globex")];
    assert_eq!(statuses(&stack, requests).await, [200, 200, 200, 429]);
    // Without TLS there is no peer.
    assert_eq!(statuses(&stack, [get("/peer/", "acme"), get("/peer/", "acme")]).await, [200, 200]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_charged_for_all_its_limits_or_for_none() {
    let limits = json!([
        {"name": "per-tenant", "key": ["routing_key"], "limit": "1/h;burst=2"},
        {"name": "per-cell", "key": ["cell"], "limit": "1/h;burst=4"},
        {"name": "measured", "key": [], "limit": "1/h", "shadow": true},
    ]);
    let stack = Stack::start(limited(limits)).await;
    let get = |tenant: &str| Request::get("/").header("x-tenant-id", tenant);
    // `other` and `initech` are in the same cell. What `initech` was refused does not use up the cell's allowance.
    let requests = ["initech", "initech", "initech", "initech", "other", "other", "more"].map(get);
    assert_eq!(statuses(&stack, requests).await, [200, 200, 429, 429, 200, 200, 429]);
    let answer = stack.send(&get("more")).await;
    assert_refused(&answer, "per-cell");
    let fields = answer.header("ratelimit").unwrap();
    assert!(fields.starts_with(r#""per-tenant";r=2;t=0, "per-cell";r=0;t="#), "{fields}");
    wait_for_metric(&stack, r#"cellgate_rate_limit_checks_total{limit="measured",outcome="over"}"#, 7.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cost_is_that_of_the_configuration() {
    let limits = json!([
        {"name": "by-size", "key": ["routing_key"], "limit": "1/h;burst=10", "applies_to": {"paths": ["/size/"]},
         "cost": {"content_length": "1KiB", "otherwise": 10}},
        {"name": "by-number", "key": ["routing_key"], "limit": "1/h;burst=10", "applies_to": {"paths": ["/number/"]},
         "cost": {"header": "x-units", "at_most": 10, "otherwise": 7}},
    ]);
    let stack = Stack::start(limited(limits)).await;
    let size = |tenant: &str, bytes: usize| Request::post("/size/").json(key_last(tenant, bytes));
    let requests = [size("acme", 5_000), size("acme", 5_000), size("acme", 1_000), size("globex", 11_000)];
    assert_eq!(statuses(&stack, requests).await, [200, 200, 429, 429]);
    let pieces = || {
        let body = key_first("initech", 100);
        Request::post("/size/").header("content-type", "application/json").pieces([body])
    };
    assert_eq!(statuses(&stack, [pieces(), pieces()]).await, [200, 429]);
    let number =
        |tenant: &str, units: &str| Request::get("/number/").header("x-tenant-id", tenant).header("x-units", units);
    let requests = [number("acme", "4"), number("acme", "6"), number("acme", "1"), number("globex", "1000")];
    assert_eq!(statuses(&stack, requests).await, [200, 200, 429, 200]);
    let requests = [number("initech", "-1"), number("initech", "4"), number("initech", "3")];
    assert_eq!(statuses(&stack, requests).await, [200, 429, 200]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_limit_takes_force_without_forgetting() {
    let config = cellgate_tests::options::sample_config();
    let stack = Stack::start(limited(per_tenant())).await;
    let get = || Request::get("/").header("x-tenant-id", "acme");
    assert_eq!(statuses(&stack, [get(), get(), get(), get()]).await, [200, 200, 200, 429]);
    for (reload, (limit, expected)) in
        [("1/h;burst=5", [200, 200, 429]), ("1/h;burst=1", [429, 429, 429])].into_iter().enumerate()
    {
        let mut config = config.clone();
        config["rate_limits"] = json!([
            {"name": "another", "key": [{"header": "x-none"}], "limit": "1/h"},
            {"name": "per-tenant", "key": ["routing_key"], "limit": limit},
        ]);
        stack.apply(&config).await.unwrap();
        let series = r#"cellgate_config_reloads_total{result="ok"}"#;
        wait_for_metric(&stack, series, f64::from(u32::try_from(reload + 1).unwrap())).await;
        assert_eq!(statuses(&stack, [get(), get(), get()]).await, expected, "{limit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_can_show_what_is_left() {
    let options = limited(per_tenant()).adjust(|bootstrap| {
        let header = |name: &str, key: &str| json!({"header": {"key": name, "value": format!("%DYNAMIC_METADATA(cellgate:{key})%")}});
        crate::support::connection_manager(bootstrap)["route_config"]["response_headers_to_add"] =
            json!([header("ratelimit", "rate_limit"), header("ratelimit-policy", "rate_limit_policy")]);
    });
    let stack = Stack::start(options).await;
    let answer = stack.send(&Request::get("/").header("x-tenant-id", "acme")).await;
    assert_eq!(answer.header("ratelimit"), Some(r#""per-tenant";r=2;t=3600"#));
    assert_eq!(answer.header("ratelimit-policy"), Some(r#""per-tenant";q=1;w=3600;cellgate-burst=3"#));
    assert_eq!(answer.header("x-ratelimit-limit"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_know_older_fields_get_them_by_option() {
    let options = limited(per_tenant()).service_flag("--x-ratelimit-headers").adjust(|bootstrap| {
        let header = |part: &str| {
            let value = format!("%DYNAMIC_METADATA(cellgate:x_rate_limit_{part})%");
            json!({"header": {"key": format!("x-ratelimit-{part}"), "value": value}})
        };
        crate::support::connection_manager(bootstrap)["route_config"]["response_headers_to_add"] =
            json!([header("limit"), header("remaining"), header("reset")]);
    });
    let stack = Stack::start(options).await;
    for (left, status) in [("2", 200), ("1", 200), ("0", 200), ("0", 429)] {
        let answer = stack.send(&Request::get("/").header("x-tenant-id", "acme")).await;
        assert_eq!(answer.status, status);
        assert_eq!(
            (answer.header("x-ratelimit-limit"), answer.header("x-ratelimit-remaining")),
            (Some("3"), Some(left))
        );
        let reset: u64 = answer.header("x-ratelimit-reset").unwrap().parse().unwrap();
        assert!((3_500..=10_800).contains(&reset), "{reset}");
        if status == 429 {
            assert_eq!(answer.header("retry-after").unwrap().parse(), Ok(reset));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_service_no_request_under_a_limit_reaches_a_cell() {
    let stack = Stack::start(limited(per_tenant())).await;
    stack.ext_proc().kill();
    let answer = stack.send(&Request::get("/").header("x-tenant-id", "acme")).await;
    assert_eq!(answer.status, 503);
    assert_eq!(arrived(&stack), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_the_body_is_counted_whichever_tier_could_decide() {
    let limits = json!([{
        "name": "tokens", "key": ["routing_key", {"json": "/user", "otherwise": "nobody"}], "limit": "1/h;burst=100",
        "cost": {"json": "/max_tokens", "at_most": 1000, "otherwise": 100},
    }]);
    let body = |user: &str, tokens: u32, padding: usize| {
        let padding = "p".repeat(padding);
        format!(r#"{{"x":"{padding}","tenant":{{"id":"acme"}},"user":"{user}","max_tokens":{tokens}}}"#)
    };
    for sources in [json!([{"json": "/tenant/id"}]), json!([{"header": "x-tenant-id"}])] {
        let options = limited(limits.clone()).configure(|config| config["key"] = sources.clone());
        let stack = Stack::start(options).await;
        let post = |text: String| Request::post("/").header("x-tenant-id", "acme").json(text);
        let requests = [
            post(body("eve", 60, 0)),
            post(body("eve", 60, 0)),
            post(body("eve", 40, 300_000)),
            post(body("eve", 1, 300_000)),
            post(body("bob", 100, 2_000_000)),
            post(body("carol", 101, 0)),
            // No tokens and no user are named: the cost is 100, of the allowance that all such requests share.
            post(r#"{"tenant":{"id":"acme"}}"#.to_owned()),
            post(r#"{"tenant":{"id":"acme"}}"#.to_owned()),
        ];
        assert_eq!(statuses(&stack, requests).await, [200, 429, 200, 429, 200, 429, 200, 429], "{sources}");
        let intact = body("dave", 1, 500_000);
        let answer = stack.send(&post(intact.clone())).await;
        assert_eq!((answer.cell(), answer.sha256()), ("cell-b", sha256(&intact)));
    }
}
