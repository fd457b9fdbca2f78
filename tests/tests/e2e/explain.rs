//! `cellgate explain` tells the story of requests from access logs that real Envoy has written.

use std::path::Path;
use std::process::Output;

use cellgate_tests::client::{Http1, Request};
use cellgate_tests::options::{Chain, Options, sample_config};
use cellgate_tests::stack::Stack;
use cellgate_tests::{artifacts, wait};
use serde_json::Value;

use crate::bodies::key_at;
use crate::support::{key_first, key_last};
use crate::upload::{Framing, Upload};

/// The format, of which the example has a copy.
const FORMAT: &str = include_str!("../../../charts/cellgate/files/access-log.json");

const EXAMPLE: &str = include_str!("../../../examples/envoy/two-tier.yaml");

async fn stack() -> Stack {
    Stack::start(Options::default().config(sample_config()).example().buffer_limit(32 * 1024)).await
}

/// Runs the command.
async fn explain(arguments: &[&str]) -> Output {
    let mut program = tokio::process::Command::new(artifacts::cellgate().unwrap());
    program.arg("explain").args(arguments).output().await.unwrap()
}

/// The report about a request, once Envoy has written its entry.
async fn report(log: &Path, id: &str) -> String {
    let log = log.to_str().unwrap();
    let what = format!("the entry of {id}");
    let found = wait::until(&what, || async {
        let output = explain(&[id, log]).await;
        Ok((output.status.code() == Some(0)).then(|| String::from_utf8(output.stdout).unwrap()))
    });
    found.await.unwrap_or_else(|error| panic!("{error}\n{}", std::fs::read_to_string(log).unwrap_or_default()))
}

/// Checks that each text is in the report, in this order.
#[track_caller]
fn assert_order(report: &str, texts: &[&str]) {
    let mut rest = report;
    for text in texts {
        rest = rest.split_once(text).unwrap_or_else(|| panic!("{text:?} does not follow in\n{report}")).1;
    }
}

#[test]
fn the_example_has_the_format_of_the_chart() {
    let format: Value = serde_json::from_str(FORMAT).unwrap();
    let example: Value = serde_saphyr::from_str(EXAMPLE).unwrap();
    let manager = &example["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"];
    assert_eq!(manager["access_log"][0]["typed_config"]["log_format"]["json_format"], format);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_each_tier_decides_is_explained() {
    let stack = stack().await;
    let log = stack.envoy().example_log();
    let send = async |id: &str, path: &str, body: String| {
        stack.send(&Request::post(path).header("x-request-id", id).json(body)).await.status.as_u16()
    };
    assert_eq!(send("by-the-filter", "/decided?token=secret", key_first("acme", 100)).await, 200);
    assert_eq!(send("by-the-service", "/deferred", key_last("acme", 200_000)).await, 200);
    assert_eq!(send("refused-by-the-filter", "/broken", "{]".to_owned()).await, 400);
    let missing = key_last("acme", 200_000).replace("tenant", "nobody");
    assert_eq!(send("refused-by-the-service", "/missing", missing).await, 400);

    let text = report(&log, "by-the-filter").await;
    let filter = "filter    chose cell-b (exact: The exact table names the key.)";
    assert_order(
        &text,
        &["request   by-the-filter", "request   POST ", "/decided, HTTP/1.1, 100 bytes of body", filter],
    );
    assert_order(
        &text,
        &["cell      cell-b", "upstream  cell-b at 127.0.0.1:", "answer    200 from the upstream", "time      "],
    );
    assert!(!text.contains("service") && !text.contains("next") && !text.contains("secret"), "{text}");

    let text = report(&log, "by-the-service").await;
    let filter = "filter    left the decision to the service, body mode stream (body_too_large: ";
    assert_order(
        &text,
        &[filter, "service   chose cell-b (exact: ", "cell      cell-b", "answer    200 from the upstream"],
    );

    let text = report(&log, "refused-by-the-filter").await;
    assert_order(&text, &["filter    refused the request with 400 (body_malformed: ", "answer    400, "]);
    assert_order(&text, &["next      `cellgate decide --config FILE --curl -`"]);

    let text = report(&log, "refused-by-the-service").await;
    assert_order(&text, &["service   refused the request with 400 (key_missing: ", "answer    400 from the service"]);
    // A query may hold a key.
    assert!(!std::fs::read_to_string(&log).unwrap().contains("secret"));
}

/// The service learns the second key when the cell has the first part of the request.
#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_that_the_service_finds_names_the_cell_that_had_the_request() {
    let stack = stack().await;
    let log = stack.envoy().example_log();
    let body = key_at(100_000, 300_000, r#","tenant":{"id":"globex"}}"#);
    let request = Request::post("/conflict").header("content-type", "application/json");
    let request = request.header("x-request-id", "conflict");
    let mut upload = Upload::open_with(&stack, Framing::Http1Chunked, request, body.len() + 1_000).await;
    // The filter's first chunk must end here, without the key.
    upload.send(&body[..1_000]).await;
    stack.admin().wait_for_stat("cluster.ext-proc.upstream_rq_total", |count| count == 1).await;
    upload.send(&body[1_000..150_000]).await;
    stack.cell("cell-b").wait_for_arrivals(1).await;
    upload.send(&body[150_000..]).await;
    assert_eq!(upload.response().await.unwrap().status, 400);
    let text = report(&log, "conflict").await;
    let service = "service   released the request to cell-b, and aborted it with 400 when a later part of the body conflicted \
                   (key_duplicated: ";
    assert_order(&text, &["filter    left the decision to the service", service, "answer    400 from the service"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_explained_with_the_next_command() {
    let stack = stack().await;
    let log = stack.envoy().example_log();
    stack.ext_proc().kill();
    let request = Request::post("/deferred").header("x-request-id", "service-is-gone").json(key_last("acme", 200_000));
    assert_eq!(stack.send(&request).await.status, 503);
    let text = report(&log, "service-is-gone").await;
    assert_order(&text, &["filter    left the decision", "service   gave no decision", "answer    503 from the proxy"]);
    assert_order(
        &text,
        &["fault     Envoy's call of the service failed. (ext_proc_error", "next      `cellgate inspect "],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_requests_with_one_id_are_one_story_and_other_lines_are_counted() {
    let stack = stack().await;
    let log = stack.envoy().example_log();
    for tenant in ["acme", "globex"] {
        stack.send(&Request::post("/again").header("x-request-id", "twice").json(key_first(tenant, 100))).await;
    }
    wait::until("two entries", || async {
        let text = std::fs::read_to_string(&log)?;
        Ok((text.matches("\"twice\"").count() == 2).then_some(()))
    })
    .await
    .unwrap();
    // As `kubectl logs` prints it: between lines of the proxy's own log, the last one cut off.
    let mut noise =
        format!("2026-11-30T10:00:00Z info Envoy proxy is ready\n{}", std::fs::read_to_string(&log).unwrap());
    noise.push_str("{\"log_format\":\"cellgate/1\",\"request_id\":\"twi");
    let file = stack.directory().join("kubectl.log");
    std::fs::write(&file, noise).unwrap();
    let text = report(&file, "twice").await;
    let head = "log       2 entries; lines passed over: 1 in other formats, 1 cut off";
    assert_order(&text, &[head, "entry 1   20", "chose cell-b", "entry 2   20", "chose cell-"]);

    let output = explain(&["twise", log.to_str().unwrap()]).await;
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("Did you mean `twice`?"), "{message}");
}

/// Clients write paths and request ids. None of them may break a line of the log or control a terminal. Envoy itself refuses a
/// `Host` with such characters, before it has an id.
#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_request_is_one_entry() {
    let stack = stack().await;
    let log = stack.envoy().example_log();
    let request = Request::post("/a%0a{\"log_format\":\"cellgate/1\"}")
        .header("x-request-id", "hostile\",\"request_id\":\"other")
        .json(key_first("acme", 100));
    stack.send(&request).await;
    let text = report(&log, "hostile\",\"request_id\":\"other").await;
    assert!(!text.contains('\u{1b}') && text.contains("log       1 entry"), "{text}");
}

/// Another name in `Host` is what a rebinding of DNS looks like, and another origin is a page of another site.
#[tokio::test(flavor = "multi_thread")]
async fn the_explain_page_is_for_its_own_host_and_origin() {
    let stack = stack().await;
    let admin = stack.ext_proc().addresses().admin;
    let ask = async |host: &str, origin: &str| {
        let body = r#"{"request": "curl http://a/ -H 'x-tenant-id: acme'"}"#;
        let request = Request::post("/explain").header("host", host).header("origin", origin).json(body);
        Http1::connect(admin).await.unwrap().send(&request).await.unwrap()
    };
    let own = admin.to_string();
    let answer = ask(&own, &format!("http://{own}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    for (host, origin) in
        [("evil.example", "http://evil.example"), (own.as_str(), "http://evil.example"), (own.as_str(), "null")]
    {
        assert_eq!(ask(host, origin).await.status, 403, "{host} {origin}");
    }
}

/// A sidecar whose listener has an endpoint of its own connects from 127.0.0.1, and the client writes `Host`.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_on_the_same_host_opens_the_explain_page_to_nobody() {
    let service = stack().await;
    let admin = service.ext_proc().addresses().admin;
    let sidecar = Options::default().chain(Chain::Plain).adjust(move |bootstrap| {
        for cluster in bootstrap["static_resources"]["clusters"].as_array_mut().unwrap() {
            cluster.as_object_mut().unwrap().remove("typed_extension_protocol_options");
            let endpoint = &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"];
            endpoint["address"]["socket_address"]["port_value"] = admin.port().into();
        }
    });
    let sidecar = Stack::start(sidecar).await;
    let ask = async |path: &str| {
        let request = Request::get(path).header("x-cell", "cell-a").header("host", "localhost:9902");
        Http1::connect(sidecar.address()).await.unwrap().send(&request).await.unwrap()
    };
    // It does reach the port.
    assert_eq!(ask("/livez").await.text(), "ok\n");
    for path in ["/", "/explain/state"] {
        let answer = ask(path).await;
        assert_eq!(answer.status, 403, "{path}");
        assert!(answer.text().contains("a proxy has forwarded this request"), "{}", answer.text());
    }
}
