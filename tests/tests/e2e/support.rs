//! Helpers of several modules: bodies, and checks of the whole stack.

use cellgate_tests::client::Response;
use cellgate_tests::options::sample_config;
use cellgate_tests::stack::Stack;
use cellgate_tests::wait;
use serde_json::{Value, json};

/// `{"tenant":{"id":TENANT},"x":"ppp…"}` of exactly `size` bytes.
pub(crate) fn key_first(tenant: &str, size: usize) -> String {
    padded(&format!(r#"{{"tenant":{{"id":"{tenant}"}},"x":""#), r#""}"#, size)
}

/// `{"x":"ppp…","tenant":{"id":TENANT}}` of exactly `size` bytes.
pub(crate) fn key_last(tenant: &str, size: usize) -> String {
    padded(r#"{"x":""#, &format!(r#"","tenant":{{"id":"{tenant}"}}}}"#), size)
}

fn padded(start: &str, end: &str, size: usize) -> String {
    let padding = size.checked_sub(start.len() + end.len()).expect("the size has room for the key");
    format!("{start}{}{end}", "p".repeat(padding))
}

/// The `code` of a refusal's problem document.
#[track_caller]
pub(crate) fn code(answer: &Response) -> String {
    assert_eq!(answer.served_by(), None, "a cell answered: {}", answer.text());
    answer.json()["code"].as_str().unwrap_or_default().to_owned()
}

/// The number of requests that have reached a cell, complete or not.
pub(crate) fn arrived(stack: &Stack) -> u64 {
    stack.cells().iter().map(|cell| cell.arrived()).sum()
}

/// Waits until Envoy has read `count` bytes from its clients since it started. Later bytes are not in the same read, so
/// a test can control the filter's chunks.
pub(crate) async fn read_by_envoy(stack: &Stack, count: usize) {
    stack.admin().wait_for_stat("http.in.downstream_cx_rx_bytes_total", |read| read >= count as u64).await;
}

/// The number of bytes that Envoy has read from its clients since it started.
pub(crate) async fn bytes_read(stack: &Stack) -> usize {
    let read = stack.admin().stat("http.in.downstream_cx_rx_bytes_total").await.unwrap();
    usize::try_from(read).unwrap()
}

/// For [`cellgate_tests::options::Options::adjust`]: routes undecided requests to `cell` instead of rejecting them, so
/// that a test sees their headers.
pub(crate) fn undecided_to(cell: &'static str) -> impl FnOnce(&mut Value) + Send + 'static {
    move |bootstrap| {
        let last = connection_manager(bootstrap)["route_config"]["virtual_hosts"][0]["routes"]
            .as_array_mut()
            .and_then(|routes| routes.last_mut())
            .expect("routes");
        *last = json!({"match": {"prefix": "/"}, "route": {"cluster": cell}});
    }
}

/// Waits until a counter of the filter has a value. The filter publishes its counters once per second.
pub(crate) async fn counted(stack: &Stack, counter: &str, count: u64) {
    stack.admin().wait_for_stat(&format!("wasmcustom.cellgate.{counter}"), |value| value == count).await;
}

/// Gives the service a policy that routes encoded bodies, which the filter defers as `buffer`.
pub(crate) async fn service_sends_encoded_to(stack: &Stack, cell: &str) {
    let mut config = sample_config();
    config["policy"] = json!({"body_encoded": {"use": cell}});
    stack.ext_proc().write_config(&config.to_string()).unwrap();
    wait_for_metric(stack, r#"cellgate_config_reloads_total{result="ok"}"#, 1.0).await;
}

/// Waits until a metric of the service has reached a value.
pub(crate) async fn wait_for_metric(stack: &Stack, series: &str, value: f64) {
    let reached = || async { Ok((stack.ext_proc().metric(series).await? >= value).then_some(())) };
    wait::until(&format!("{series} to be {value}"), reached).await.unwrap();
}

/// Waits until the service buffers no body bytes. It releases them after it has sent them.
pub(crate) async fn wait_until_nothing_is_buffered(stack: &Stack) {
    let free = || async { Ok((stack.ext_proc().metric("cellgate_held_bytes").await? == 0.0).then_some(())) };
    wait::until("the service to release all body bytes", free).await.unwrap();
}

/// Whether this Envoy may close the processor's FULL_DUPLEX_STREAMED stream once the response has begun, although the request
/// continues (Envoy issue 45617). The rest of the request is lost then, and a call waits for ever. On a busy machine, a
/// call of 4,000 messages in 40 KB got no answer in 5 of about 120 tries with 1.37.0 and 1.38.2, and in none of 120 with each of
/// 1.36.2, 1.39.3 and 1.40.0.
pub(crate) async fn may_close_the_processors_stream(stack: &Stack) -> bool {
    let version = stack.admin().version().await.unwrap();
    let is_affected = version.starts_with("1.37.") || version.starts_with("1.38.");
    if is_affected {
        println!("skipped on Envoy {version}");
    }
    is_affected
}

/// The connection manager in a bootstrap.
pub(crate) fn connection_manager(bootstrap: &mut Value) -> &mut Value {
    &mut bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
}

/// For `Options::adjust`: the processors do not ask for this part of the response, and the service cannot.
pub(crate) fn without_responses(bootstrap: &mut Value, mode: &str) {
    for processor in processors(bootstrap) {
        processor["allow_mode_override"] = json!(false);
        processor["processing_mode"][mode] = json!("SKIP");
    }
}

/// For `Options::adjust`: the processor of this body mode has Envoy's default timeout.
pub(crate) fn without_message_timeout(bootstrap: &mut Value, mode: &str) {
    let is_meant = |processor: &&mut Value| processor["processing_mode"]["request_body_mode"] == mode;
    let processor = processors(bootstrap).find(is_meant).unwrap();
    processor.as_object_mut().unwrap().remove("message_timeout").unwrap();
}

/// The processors behind Cellgate's filter, one for each body mode.
fn processors(bootstrap: &mut Value) -> impl Iterator<Item = &mut Value> {
    let filters = connection_manager(bootstrap)["http_filters"].as_array_mut().unwrap();
    let composite = filters.iter_mut().find(|filter| filter["name"] == "cellgate-ext-proc").unwrap();
    let matchers = composite["typed_config"]["xds_matcher"]["matcher_list"]["matchers"].as_array_mut().unwrap();
    matchers
        .iter_mut()
        .map(|matcher| &mut matcher["on_match"]["action"]["typed_config"]["typed_config"]["typed_config"])
}
