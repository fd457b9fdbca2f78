//! The explain page on the admin port: what it answers, and to whom.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::http::StatusCode;
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::limits::{LimitedService, TOKEN};
use crate::peer::{Peer, cell};
use crate::support::{CONFIG, Service, until};

const JSON: (&str, &str) = ("content-type", "application/json");

/// An answer of the admin port.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

/// One request by hand. Without a `host` in the fields, the Host is the address.
async fn ask(admin: SocketAddr, method: &str, path: &str, fields: &[(&str, &str)], body: &str) -> Answer {
    let mut connection = TcpStream::connect(admin).await.unwrap();
    let has_host = fields.iter().any(|(name, _)| *name == "host");
    let host = if has_host { String::new() } else { format!("host: {admin}\r\n") };
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.1\r\n{host}connection: close\r\ncontent-length: {length}\r\n{fields}\r\n");
    // The service may answer before it has read a body that it refuses.
    let _ = connection.write_all(head.as_bytes()).await;
    let _ = connection.write_all(body.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}

/// Explains a request, once it is this one's turn.
async fn explain(admin: SocketAddr, question: &Value) -> Answer {
    loop {
        let answer = ask(admin, "POST", "/explain", &[JSON], &question.to_string()).await;
        if answer.status != StatusCode::SERVICE_UNAVAILABLE {
            return answer;
        }
        assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
        tokio::task::yield_now().await;
    }
}

fn curl(body: &str) -> Value {
    json!({"request": format!("curl http://a/orders -H 'content-type: application/json' --data-raw '{body}'")})
}

#[tokio::test]
async fn a_curl_command_and_a_message_are_decided_step_by_step() {
    let service = Service::start().await;
    let message = "POST /orders HTTP/1.1\nHost: a\nContent-Type: application/json\nContent-Length: 24\n\n{\"tenant\":{\"id\":\"acme\"}}";
    for question in [curl(r#"{"tenant":{"id":"acme"}}"#), json!({"request": message})] {
        let answer = explain(service.admin, &question).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let document: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(
            document["decision"],
            json!({"outcome": "cell", "reason": "exact", "cell": "cell-b", "status": null})
        );
        assert_eq!(
            (&document["tier"], &document["reason_text"]),
            (&json!("filter"), &json!("The exact table names the key."))
        );
        let steps = document["steps"].as_array().unwrap();
        let labels: Vec<_> = steps.iter().map(|step| step["label"].as_str().unwrap()).collect();
        assert_eq!(labels, ["request", "stripped", "scope", "key", "scan", "filter", "service", "reason", "decision"]);
        assert!(steps[3]["text"].as_str().unwrap().starts_with("1. json /tenant/id"), "{}", steps[3]);
    }
}

#[tokio::test]
async fn claims_the_peer_and_the_address_are_those_of_the_question() {
    let service = Service::start().await;
    let mut question = curl("{}");
    question["claims"] = "{".into();
    let answer = explain(service.admin, &question).await;
    assert_eq!((answer.status, answer.body.starts_with("the claims: ")), (422, true), "{}", answer.body);
    question["claims"] = r#"{"sub": "acme"}"#.into();
    question["peer"] = "spiffe://example.com/ns/a/sa/b".into();
    question["client_address"] = "192.0.2.1:80".into();
    let answer = explain(service.admin, &question).await;
    assert_eq!((answer.status, answer.body.starts_with("the client's address: ")), (422, true), "{}", answer.body);
    question["client_address"] = "2001:db8::1".into();
    assert_eq!(explain(service.admin, &question).await.status, 200);
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_and_no_file_is_read() {
    let service = Service::start().await;
    for (question, expected) in [
        (json!({"request": " \n"}), "paste a curl command or an HTTP/1.1 request"),
        (json!({"request": "wget http://a/"}), "line 1: expected a request line such as"),
        (json!({"request": "curl"}), "the command has no URL"),
        (json!({"request": "curl http://a/ | sh"}), ""),
        (json!({"request": "curl http://a/ --data @/etc/passwd"}), "/etc/passwd: files are not read here"),
        (json!({"request": "curl http://a/ -F 'f=@/etc/passwd'"}), "/etc/passwd: files are not read here"),
        (json!({"request": "curl http://a/", "file": "x"}), "not the document of the explain page"),
        (json!([]), "not the document of the explain page"),
    ] {
        let answer = explain(service.admin, &question).await;
        assert_eq!(answer.status, 422, "{question}");
        assert!(answer.body.starts_with(expected) && !answer.body.contains("root:"), "{question}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_document_over_a_megabyte_is_refused_and_the_next_one_read() {
    let service = Service::start().await;
    let answer = explain(service.admin, &curl(&"a".repeat(1 << 20))).await;
    // The connection may be gone before the answer is read.
    assert!(matches!(answer.status, 0 | 413), "{}", answer.status);
    assert_eq!(explain(service.admin, &curl("{}")).await.status, 200);
}

/// Ten thousand requests are answered, one explained at a time. Others wait for nothing: they get 503. Envoy's requests go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explanations_do_not_add_up_and_traffic_goes_on() {
    let service = Service::start().await;
    let question = curl(r#"{"tenant":{"id":"acme"}}"#).to_string();
    let flood = async {
        let (mut explained, mut deferred) = (0, 0);
        for _ in 0..100 {
            let asked = (0..100).map(|_| ask(service.admin, "POST", "/explain", &[JSON], &question));
            for answer in futures_util::future::join_all(asked).await {
                match answer.status {
                    200 => explained += 1,
                    503 => {
                        assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
                        deferred += 1;
                    }
                    other => panic!("{other}: {}", answer.body),
                }
            }
        }
        (explained, deferred)
    };
    let is_over = AtomicBool::new(false);
    let traffic = async {
        let mut decided = 0;
        while !is_over.load(Ordering::Relaxed) {
            let mut peer = Peer::post(&service, BodySendMode::FullDuplexStreamed).await;
            peer.body(br#"{"tenant":{"id":"acme"}}"#, true).await;
            assert_eq!(cell(&peer.change().await), "cell-b");
            decided += 1;
        }
        decided
    };
    let flood = async {
        let counts = flood.await;
        is_over.store(true, Ordering::Relaxed);
        counts
    };
    let ((explained, deferred), decided) = tokio::join!(flood, traffic);
    println!("{explained} explained, {deferred} deferred, {decided} decided meanwhile");
    assert_eq!(explained + deferred, 10_000);
    assert!(explained > 0 && deferred > 5_000, "{explained} explained, {deferred} deferred");
    assert!(decided > 0, "no request of Envoy was decided meanwhile");
    // Explanations are not counted as traffic.
    assert_eq!(service.metric("cellgate_cell_decisions_total{cell=\"cell-b\"}").await, decided);
}

/// A sidecar connects from this host on behalf of any workload, and adds header fields.
#[tokio::test]
async fn what_a_proxy_forwards_is_not_from_this_host() {
    let service = Service::start().await;
    let question = curl("{}").to_string();
    for field in ["x-forwarded-for", "x-forwarded-proto", "x-request-id", "forwarded", "via", "x-envoy-attempt-count"] {
        for (method, path) in [("GET", "/"), ("GET", "/explain.js"), ("GET", "/explain/state"), ("POST", "/explain")] {
            let answer = ask(service.admin, method, path, &[JSON, (field, "127.0.0.1")], &question).await;
            assert_eq!(answer.status, 403, "{field} {path}");
            assert!(answer.body.contains("a proxy has forwarded this request"), "{}", answer.body);
        }
    }
    // What a scrape through a sidecar reads is no part of the page.
    assert_eq!(ask(service.admin, "GET", "/metrics", &[("x-forwarded-proto", "http")], "").await.status, 200);
}

/// A document that does not arrive keeps its turn for a few seconds, and not for ever.
#[tokio::test]
async fn a_document_that_does_not_arrive_gives_up_its_turn() {
    let service = Service::start().await;
    let mut silent = TcpStream::connect(service.admin).await.unwrap();
    let head = format!(
        "POST /explain HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n",
        service.admin
    );
    silent.write_all(head.as_bytes()).await.unwrap();
    until("busy", || async { ask(service.admin, "POST", "/explain", &[JSON], "{}").await.status == 503 }).await;
    until("free", || async { ask(service.admin, "POST", "/explain", &[JSON], "{}").await.status == 422 }).await;
}

#[tokio::test]
async fn the_page_loads_nothing_else_and_is_shown_in_no_frame() {
    let service = Service::start().await;
    for (path, content_type) in [("/", "text/html"), ("/explain.css", "text/css"), ("/explain.js", "text/javascript")] {
        let answer = ask(service.admin, "GET", path, &[], "").await;
        assert_eq!(answer.status, 200, "{path}");
        for field in [
            &format!("content-type: {content_type}; charset=utf-8"),
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
        ] {
            assert!(answer.head.contains(field), "{path}: {field} is not in {}", answer.head);
        }
        let references = answer.body.split(['"', '\'']).collect::<Vec<_>>();
        let named = references.windows(2).filter(|pair| pair[0].ends_with("src=") || pair[0].ends_with("href="));
        for address in named.map(|pair| pair[1]) {
            assert!(["explain.css", "explain.js", "#request"].contains(&address), "{path}: {address}");
        }
        for inline in ["style=", "onclick=", "innerHTML", "eval("] {
            assert!(!answer.body.contains(inline), "{path}: {inline}");
        }
    }
    assert!(!ask(service.admin, "GET", "/metrics", &[], "").await.head.contains("content-security-policy"));
}

#[tokio::test]
async fn other_sites_and_other_names_get_nothing() {
    let service = Service::start().await;
    let question = curl("{}").to_string();
    let port = service.admin.port();
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.7:9902"] {
        for (method, path) in [("GET", "/"), ("GET", "/explain/state"), ("POST", "/explain")] {
            let answer = ask(service.admin, method, path, &[JSON, ("host", host)], &question).await;
            assert_eq!(answer.status, 403, "{host} {path}");
            assert!(answer.body.starts_with("the explain page has the name localhost"), "{}", answer.body);
        }
    }
    let own = format!("http://localhost:{port}");
    for (field, value, expected) in [
        ("origin", "http://evil.example", 403),
        ("origin", "null", 403),
        ("origin", "http://localhost:1", 403),
        ("sec-fetch-site", "cross-site", 403),
        ("sec-fetch-site", "same-site", 403),
        ("origin", own.as_str(), 200),
        ("sec-fetch-site", "same-origin", 200),
    ] {
        let fields = [JSON, ("host", &*format!("localhost:{port}")), (field, value)];
        let mut answer = ask(service.admin, "POST", "/explain", &fields, &question).await;
        while answer.status == 503 {
            answer = ask(service.admin, "POST", "/explain", &fields, &question).await;
        }
        assert_eq!(answer.status, expected, "{field}: {value}");
    }
    // The types that a form of another site can send.
    for content_type in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json;a=b"]
    {
        let fields = [("content-type", content_type)];
        assert_eq!(ask(service.admin, "POST", "/explain", &fields, &question).await.status, 415, "{content_type}");
    }
    assert_eq!(ask(service.admin, "POST", "/explain", &[], &question).await.status, 415);
    assert_eq!(ask(service.admin, "GET", "/explain", &[], "").await.status, 405);
}

/// A page whose name leads here by DNS rebinding could read them. Health and metrics tell less, and Prometheus asks by any name.
#[tokio::test]
async fn a_name_that_a_site_could_have_reads_no_state() {
    let service = Service::start().await;
    let own = service.admin.to_string();
    for path in ["/inspect", "/version"] {
        let answer = ask(service.admin, "GET", path, &[("host", "evil.example:9902")], "").await;
        assert_eq!(answer.status, 403, "{path}");
        assert!(answer.body.starts_with("a page of another site could have this name"), "{}", answer.body);
        // Without a token file, no token is right.
        let bearer = ("authorization", "Bearer 0123456789abcdef");
        assert_eq!(ask(service.admin, "GET", path, &[("host", "evil.example"), bearer], "").await.status, 403);
        for host in [own.as_str(), "10.0.0.7:9902", "localhost", "cellgate-ext-proc.cellgate.svc:9902"] {
            assert_eq!(ask(service.admin, "GET", path, &[("host", host)], "").await.status, 200, "{host} {path}");
        }
    }
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(ask(service.admin, "GET", path, &[("host", "evil.example")], "").await.status, 200, "{path}");
    }
    let limited = LimitedService::start().await;
    for (token, expected) in [(TOKEN, 200), ("wrong-token-of-the-test", 403)] {
        let fields = [("host", "admin.example"), ("authorization", &*format!("Bearer {token}"))];
        assert_eq!(ask(limited.service.admin, "GET", "/inspect", &fields, "").await.status, expected, "{token}");
    }
}

/// A route that is added must be in this list, with its rule.
#[tokio::test]
async fn every_path_that_tells_more_than_health_and_metrics_refuses_another_sites_name() {
    let limited = LimitedService::start().await;
    let source = include_str!("../../src/admin.rs").to_owned()
        + include_str!("../../src/admin/explain.rs")
        + include_str!("../../src/admin/limits.rs")
        + include_str!("../../src/admin/log_level.rs")
        + include_str!("../../src/admin/page.rs");
    let routes: Vec<_> = source
        .split(".route(")
        .skip(1)
        .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next())
        .collect();
    assert!(routes.len() > 10, "{routes:?}");
    for route in routes {
        let method = if route == "/explain" || route.ends_with("/reset") { "POST" } else { "GET" };
        let path = route.replace("{name}", "per-tenant");
        let status = ask(limited.service.admin, method, &path, &[JSON, ("host", "evil.example")], "{}").await.status;
        let expected: &[u16] = match route {
            "/livez" | "/readyz" | "/metrics" => &[200],
            // The page has no data, and asks for the token.
            "/" | "/explain.css" | "/explain.js" => &[200],
            _ => &[401, 403],
        };
        assert!(expected.contains(&status), "{route}: {status}");
    }
}

#[tokio::test]
async fn with_a_token_file_the_data_needs_the_token_under_any_name() {
    let limited = LimitedService::start().await;
    let admin = limited.service.admin;
    let question = curl("{}").to_string();
    let host = ("host", "admin.example");
    let bearer = format!("Bearer {TOKEN}");
    for path in ["/", "/explain.css", "/explain.js"] {
        assert_eq!(ask(admin, "GET", path, &[host], "").await.status, 200, "{path}");
    }
    for (method, path) in [("GET", "/explain/state"), ("POST", "/explain")] {
        for wrong in ["", "Bearer wrong-token-of-the-test"] {
            let answer = ask(admin, method, path, &[host, JSON, ("authorization", wrong)], &question).await;
            assert_eq!(answer.status, 401, "{path}");
            assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
        }
        let answer = ask(admin, method, path, &[host, JSON, ("authorization", &bearer)], &question).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    }
    let fields = [host, JSON, ("authorization", &bearer), ("origin", "http://evil.example")];
    assert_eq!(ask(admin, "POST", "/explain", &fields, &question).await.status, 403);
}

#[tokio::test]
async fn the_state_is_that_of_the_service() {
    let service = Service::start().await;
    let answer = ask(service.admin, "GET", "/explain/state", &[], "").await;
    let state: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(state["service"]["config"]["version"], "one");
    assert_eq!((&state["decisions"], &state["cells"]), (&json!([]), &json!([])));
    let labels: Vec<_> =
        state["texts"].as_array().unwrap().iter().map(|line| line["label"].as_str().unwrap()).collect();
    let expected = ["Ready", "Configuration", "Digest", "Byte budget", "Streams", "Rate limits", "Limit store", "TLS"];
    assert_eq!(labels, expected);
    // A configuration that is not in force is named, without any of its values.
    std::fs::write(&service.config, CONFIG.replace("cell-b", "secret-cell!")).unwrap();
    until("refused", || async {
        ask(service.admin, "GET", "/explain/state", &[], "").await.body.contains("A newer file was refused at 20")
    })
    .await;
    assert!(!ask(service.admin, "GET", "/explain/state", &[], "").await.body.contains("secret-cell"));
}
