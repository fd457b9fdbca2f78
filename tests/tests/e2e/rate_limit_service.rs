//! Envoy's own ratelimit filter with the service's `RateLimitService`: no other part of Cellgate is in the chain.

use std::process::Command;

use cellgate_tests::artifacts;
use cellgate_tests::client::{Request, Response};
use cellgate_tests::ext_proc::ExtProc;
use cellgate_tests::options::{Chain, Options, sample_config};
use cellgate_tests::stack::Stack;
use cellgate_tests::wait;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::connection_manager;

/// No allowance refills while a test runs.
fn limits() -> Value {
    json!([
        {"name": "per-user", "domain": "shop", "descriptor": [{"key": "user"}], "limit": "3/day"},
        {"name": "writes", "domain": "shop", "descriptor": [{"key": "method", "value": "POST"}, {"key": "user"}], "limit": "1/day"},
        {"name": "measured", "domain": "shop", "descriptor": [{"key": "agent"}], "limit": "1/day", "shadow": true},
        {"name": "bulk", "domain": "shop", "descriptor": [{"key": "bulk"}], "limit": "5/day"},
        {"name": "banned", "domain": "shop", "descriptor": [{"key": "user", "value": "eve"}], "always": "deny"},
    ])
}

/// A descriptor of a header's value.
fn header(name: &str, key: &str) -> Value {
    json!({"request_headers": {"header_name": name, "descriptor_key": key}})
}

fn rate_limits() -> Value {
    json!([
        {"actions": [header("x-user", "user")]},
        {"actions": [header(":method", "method"), header("x-user", "user")]},
        {"actions": [header("x-agent", "agent")]},
    ])
}

struct Limited {
    stack: Stack,
    service: ExtProc,
    _directory: TempDir,
}

impl Limited {
    /// `settings` are those of Envoy's filter.
    async fn start(service_options: &[&str], rate_limits: Value, settings: Value) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = sample_config();
        config["descriptor_limits"] = limits();
        let options: Vec<_> = service_options.iter().map(|option| (*option).to_owned()).collect();
        let service = ExtProc::start(&config, directory.path(), &options).await.unwrap();
        let port = service.addresses().grpc.port();
        let adjusted = Options::default().chain(Chain::Plain).adjust(move |bootstrap| {
            add_filter(bootstrap, port, settings);
            // Envoy reads the costs of `rate_limits` only here, and not in the virtual host's own.
            connection_manager(bootstrap)["route_config"]["virtual_hosts"][0]["typed_per_filter_config"] = json!({
                "envoy.filters.http.ratelimit": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimitPerRoute",
                    "rate_limits": rate_limits,
                },
            });
        });
        Self { stack: Stack::start(adjusted).await, service, _directory: directory }
    }

    async fn send(&self, method: &str, user: impl AsRef<[u8]>) -> Response {
        let request = Request::new(method, "/").header("x-cell", "cell-a").header("x-user", user);
        self.stack.send(&request.header("x-agent", "crawler")).await
    }

    async fn calls(&self, outcome: &str) -> f64 {
        let series = format!("cellgate_rate_limit_calls_total{{outcome=\"{outcome}\"}}");
        self.service.metric(&series).await.unwrap()
    }
}

/// Inserts Envoy's filter before the router.
fn add_filter(bootstrap: &mut Value, port: u16, settings: Value) {
    let mut config = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit",
        "domain": "shop",
        "timeout": "5s",
        "rate_limit_service": {
            "transport_api_version": "V3",
            "grpc_service": {"envoy_grpc": {"cluster_name": "limits"}},
        },
    });
    config.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    let filters = connection_manager(bootstrap)["http_filters"].as_array_mut().unwrap();
    filters.insert(filters.len() - 1, json!({"name": "envoy.filters.http.ratelimit", "typed_config": config}));
    let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().unwrap();
    clusters.push(json!({
        "name": "limits",
        "type": "STATIC",
        "connect_timeout": "5s",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }},
        "load_assignment": {"cluster_name": "limits", "endpoints": [{"lb_endpoints": [
            {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}}
        ]}]},
    }));
}

/// The minor version of Envoy: its program says `…/1.40.0/Clean/RELEASE/…`.
fn minor() -> u32 {
    let output = Command::new(artifacts::envoy().unwrap()).arg("--version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split('/').find_map(|part| part.strip_prefix("1.")?.split('.').next()?.parse().ok()).unwrap()
}

fn status(answer: &Response) -> u16 {
    answer.status.as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_over_the_limit_gets_429_with_the_fields_of_both() {
    let settings = json!({"enable_x_ratelimit_headers": "DRAFT_VERSION_03"});
    let limited = Limited::start(&[], rate_limits(), settings).await;
    for left in ["2", "1", "0"] {
        let answer = limited.send("GET", "acme").await;
        assert_eq!((answer.cell(), answer.header("x-ratelimit-remaining")), ("cell-a", Some(left)));
        assert_eq!((answer.header("ratelimit"), answer.header("retry-after")), (None, None));
    }
    let answer = limited.send("GET", "acme").await;
    assert_eq!((status(&answer), answer.header("x-envoy-ratelimited")), (429, Some("true")), "{answer:?}");
    assert_eq!(answer.header("x-ratelimit-limit"), Some(r#"3, 3;w=86400;name="per-user""#));
    let wait: u64 = answer.header("x-ratelimit-reset").unwrap().parse().unwrap();
    assert!((28_700..=28_800).contains(&wait), "{wait}");
    assert_eq!(answer.values("retry-after"), [wait.to_string()]);
    assert_eq!(answer.header("ratelimit"), Some(&*format!("\"per-user\";r=0;t={wait}")));
    assert_eq!(answer.header("ratelimit-policy"), Some(r#""per-user";q=3;w=86400"#));
    assert_eq!(status(&limited.send("GET", "globex").await), 200);
    assert_eq!((limited.calls("admitted").await, limited.calls("refused").await), (4.0, 1.0));
    // A limit that only measures refused nobody, and no client sees it.
    let over = r#"cellgate_rate_limit_checks_total{limit="measured",outcome="over"}"#;
    assert!(limited.service.metric(over).await.unwrap() >= 3.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refusal_charges_no_descriptor() {
    let limited = Limited::start(&[], rate_limits(), json!({})).await;
    assert_eq!(status(&limited.send("POST", "acme").await), 200);
    for _ in 0..5 {
        assert_eq!(status(&limited.send("POST", "acme").await), 429);
    }
    let reads =
        [limited.send("GET", "acme").await, limited.send("GET", "acme").await, limited.send("GET", "acme").await];
    assert_eq!(reads.each_ref().map(status), [200, 200, 429]);
    let eve = limited.send("GET", "eve").await;
    assert_eq!((status(&eve), eve.header("retry-after")), (429, None));
}

/// Envoy sends the bytes of a header as they are. A service that takes only UTF-8 fails such calls, and Envoy then lets the
/// requests pass.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_not_utf_8_is_counted() {
    let limited = Limited::start(&[], rate_limits(), json!({})).await;
    let mut statuses = Vec::new();
    for user in [b"\xff\xfe", b"\xff\xfe", b"\xff\xfe", b"\xff\xfe", b"\xff\xfd"] {
        statuses.push(status(&limited.send("GET", user).await));
    }
    assert_eq!(statuses, [200, 200, 200, 429, 200]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cost_is_envoys_hits_addend() {
    let bulk = json!([{"actions": [header("x-bulk", "bulk")], "hits_addend": {"number": 2}}]);
    let limited = Limited::start(&[], bulk, json!({"enable_x_ratelimit_headers": "DRAFT_VERSION_03"})).await;
    let mut answers = Vec::new();
    for _ in 0..3 {
        let request = Request::get("/").header("x-cell", "cell-a").header("x-bulk", "export");
        let answer = limited.stack.send(&request).await;
        answers.push((status(&answer), answer.header("x-ratelimit-remaining").map(str::to_owned)));
    }
    let left = |text: &str| Some(text.to_owned());
    assert_eq!(answers, [(200, left("3")), (200, left("1")), (429, left("1"))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_makes_retry_after_of_the_duration() {
    if minor() < 40 {
        return;
    }
    for headers in ["none", "refused"] {
        let settings = json!({"enable_retry_after_header": true});
        let limited = Limited::start(&["--limit-headers", headers], rate_limits(), settings).await;
        assert_eq!(status(&limited.send("POST", "acme").await), 200);
        let answer = limited.send("POST", "acme").await;
        let [wait] = &answer.values("retry-after")[..] else { panic!("{headers}: {answer:?}") };
        let wait: u64 = wait.parse().unwrap();
        assert!((86_300..=86_400).contains(&wait), "{wait}");
        assert_eq!(answer.header("ratelimit").is_some(), headers == "refused");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_answers_may_have_the_fields() {
    let limited = Limited::start(&["--limit-headers", "all"], rate_limits(), json!({})).await;
    let answer = limited.send("GET", "acme").await;
    assert_eq!((status(&answer), answer.header("ratelimit")), (200, Some(r#""per-user";r=2;t=28800"#)));
    assert_eq!(answer.header("ratelimit-policy"), Some(r#""per-user";q=3;w=86400"#));
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_decides_what_happens_without_the_service() {
    for (deny, without) in [(false, 200), (true, 500)] {
        let limited = Limited::start(&[], rate_limits(), json!({"failure_mode_deny": deny})).await;
        assert_eq!(status(&limited.send("GET", "acme").await), 200);
        limited.service.kill();
        assert_eq!(status(&limited.send("GET", "acme").await), without, "failure_mode_deny: {deny}");
        limited.service.restart().await.unwrap();
        let admitted = || async {
            let status = status(&limited.send("GET", "globex").await);
            Ok((status == 200 && limited.calls("admitted").await > 0.0).then_some(()))
        };
        wait::until("Envoy to call the service again", admitted).await.unwrap();
    }
}
