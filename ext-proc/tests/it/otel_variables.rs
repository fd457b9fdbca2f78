//! The variables of OpenTelemetry: what each does to the spans of a process, also if it is empty or malformed. Those that are options
//! of the command are in the tests of the command.

use std::process::Command;

use cellgate_ext_proc::OtlpProtocol;
use serde_json::{Value, json};

use crate::otlp::{Receiver, value};
use crate::support::Service;
use crate::traces::decide;

const SAMPLED: [(&str, &str); 1] = [("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")];

/// Variables, a place in what is sent, and the text there.
type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, Option<&'a str>);

/// Set where the start must fail.
const REFUSED: &str = "CELLGATE_TEST_REFUSED";

/// Prints what this process sends. The test below runs it with variables.
#[tokio::test]
async fn what_this_process_sends() {
    let receiver = Receiver::start(None).await;
    let settings = receiver.settings(OtlpProtocol::Http);
    if std::env::var_os(REFUSED).is_some() {
        println!(
            "SENT {}",
            json!({"error": Service::failed_start(|service| service.traces = Some(settings)).await.to_string()})
        );
        return;
    }
    let service = Service::start_with(|service| service.traces = Some(settings)).await;
    decide(&service, &SAMPLED).await;
    let span = receiver.wait_for("envoy.", 1).await.remove(0);
    let fields: serde_json::Map<_, _> =
        receiver.fields().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().into())).collect();
    let resource = receiver.resource().attributes;
    let resource: serde_json::Map<_, _> =
        resource.iter().map(|attribute| (attribute.key.clone(), value(&resource, &attribute.key).into())).collect();
    let parent = span.parent_span_id.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let sent = json!({"fields": fields, "resource": resource, "attributes": span.attributes.len().to_string(), "parent": parent});
    println!("SENT {sent}");
}

/// What a process with these variables sends.
fn sent(variables: &[(&str, &str)], is_refused: bool) -> Value {
    let mut test = Command::new(std::env::current_exe().unwrap());
    test.args(["--exact", "otel_variables::what_this_process_sends", "--nocapture"]);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OTEL_")) {
        test.env_remove(name);
    }
    if is_refused {
        test.env(REFUSED, "1");
    }
    let output = test.envs(variables.iter().copied()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{variables:?}: {text}");
    let (_, found) = text.split_once("SENT ").unwrap_or_else(|| panic!("{variables:?}: {text}"));
    serde_json::from_str(found.lines().next().unwrap()).unwrap()
}

#[test]
fn each_variable_does_what_the_documentation_says() {
    const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
    const OF_TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_HEADERS";
    const NAME: &str = "OTEL_SERVICE_NAME";
    const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
    let all = sent(&[], false);
    let all = all["attributes"].as_str().unwrap();
    let rows: &[Row<'_>] = &[
        (&[], "/fields/authorization", None),
        (&[(HEADERS, "authorization=Bearer%20a,x-scope=b")], "/fields/authorization", Some("Bearer a")),
        (&[(HEADERS, "authorization=Bearer%20a,x-scope=b")], "/fields/x-scope", Some("b")),
        (&[(HEADERS, "")], "/fields/authorization", None),
        (&[(HEADERS, "authorization=a"), (OF_TRACES, "authorization=b")], "/fields/authorization", Some("b")),
        (&[(HEADERS, "authorization=a"), (OF_TRACES, "")], "/fields/authorization", Some("a")),
        (&[("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")], "/fields/content-encoding", None),
        (&[("OTEL_EXPORTER_OTLP_COMPRESSION", "")], "/fields/content-encoding", None),
        (&[("OTEL_EXPORTER_OTLP_COMPRESSION", "lzw")], "/fields/content-encoding", None),
        (&[("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "zstd")], "/fields/content-encoding", None),
        (&[("OTEL_EXPORTER_OTLP_TIMEOUT", "0")], "/parent", Some("00f067aa0ba902b7")),
        (&[("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "soon")], "/parent", Some("00f067aa0ba902b7")),
        (&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://192.0.2.1:1")], "/parent", Some("00f067aa0ba902b7")),
        (&[("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc")], "/parent", Some("00f067aa0ba902b7")),
        (&[("OTEL_EXPORTER_OTLP_INSECURE", "perhaps")], "/parent", Some("00f067aa0ba902b7")),
        (&[("OTEL_SDK_DISABLED", "true")], "/parent", Some("00f067aa0ba902b7")),
        (&[("OTEL_TRACES_EXPORTER", "none")], "/parent", Some("00f067aa0ba902b7")),
        (&[("OTEL_TRACES_SAMPLER", "always_off")], "/parent", Some("00f067aa0ba902b7")),
        (&[("OTEL_PROPAGATORS", "none")], "/parent", Some("00f067aa0ba902b7")),
        (&[("OTEL_BSP_MAX_QUEUE_SIZE", "1"), ("OTEL_BSP_SCHEDULE_DELAY", "x")], "/parent", Some("00f067aa0ba902b7")),
        (&[("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "2")], "/attributes", Some("2")),
        (&[("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "two")], "/attributes", Some(all)),
        (&[("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "")], "/attributes", Some(all)),
        (&[], "/resource/service.name", Some("cellgate")),
        (&[(NAME, "router")], "/resource/service.name", Some("router")),
        (&[(NAME, "")], "/resource/service.name", Some("cellgate")),
        (&[(ATTRIBUTES, "service.name=edge,team=a")], "/resource/service.name", Some("edge")),
        (&[(ATTRIBUTES, "service.name=edge,team=a")], "/resource/team", Some("a")),
        (&[(ATTRIBUTES, "service.name=edge"), (NAME, "router")], "/resource/service.name", Some("router")),
        (&[(ATTRIBUTES, "")], "/resource/service.name", Some("cellgate")),
        (&[(ATTRIBUTES, "junk,=,")], "/resource/service.name", Some("cellgate")),
        (&[(ATTRIBUTES, "service.instance.id=pod-1")], "/resource/service.instance.id", Some("pod-1")),
    ];
    for (variables, place, expected) in rows {
        let found = sent(variables, false);
        assert_eq!(found.pointer(place).and_then(Value::as_str), *expected, "{variables:?} {place} in {found}");
    }
    // Without an id, each start has another one.
    let ids = [ATTRIBUTES, ATTRIBUTES]
        .map(|name| sent(&[(name, "service.instance.id=")], false)["resource"]["service.instance.id"].to_string());
    assert!(ids[0] != ids[1] && ids.iter().all(|id| id.len() == 38), "{ids:?}");
    for (name, text) in [(HEADERS, "secret"), (OF_TRACES, "a=b,se cret=x"), (HEADERS, "authorization=a%0asecret")] {
        let error = sent(&[(name, text)], true)["error"].as_str().unwrap().to_owned();
        assert!(error.starts_with(&format!("{name}: expected `name=value`")) && !error.contains("cret"), "{error}");
    }
}
