//! `cellgate limits` as a process, with a running service.

use std::io::Write;
use std::process::Stdio;

use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_client::ExternalProcessorClient;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
use envoy_types::pb::envoy::service::ext_proc::v3::{HttpHeaders, ProcessingRequest, ProtocolConfiguration};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{CONFIG, Running, cellgate, file, result_of, run};

pub(crate) const LIMITS: &str = "
rate_limits:
  - { name: per-tenant, key: [routing_key], limit: 100/h;burst=20 }
  - { name: per-key, key: [cell, { header: x-api-key }], limit: 3/d, shadow: true }
";

pub(crate) const TOKEN: &str = "token-of-the-test-4711";

struct Limited {
    service: Running,
    token_file: String,
    _directory: TempDir,
}

impl Limited {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = file(directory.path(), "a.yaml", &format!("{CONFIG}{LIMITS}"));
        let token_file = file(directory.path(), "token", &format!("{TOKEN}\n"));
        let service = Running::start(&config, &["--admin-token-file", &token_file]);
        Self { service, token_file, _directory: directory }
    }

    fn arguments<'a>(&'a self, command: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
        let service = ["limits", command, "--admin", &self.service.admin, "--token-file", &self.token_file];
        [&service[..], rest].concat()
    }

    fn run(&self, command: &str, rest: &[&str]) -> (i32, String, String) {
        run(&self.arguments(command, rest))
    }

    /// The JSON document of a command that succeeds.
    fn json(&self, command: &str, rest: &[&str]) -> Value {
        let (code, out, err) = self.run(command, &[&["--output", "json"], rest].concat());
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        serde_json::from_str(&out).unwrap()
    }

    /// A request of the tenant `acme` through the service, as Envoy sends it.
    async fn send(&self) {
        let fields = [(":method", "GET"), (":path", "/"), ("x-tenant-id", "acme"), ("x-api-key", "sk_live")];
        let field = |(key, value): (&str, &str)| HeaderValue {
            key: key.to_owned(),
            raw_value: value.as_bytes().to_vec(),
            ..HeaderValue::default()
        };
        let headers = Some(HeaderMap { headers: fields.map(field).to_vec() });
        let protocol =
            ProtocolConfiguration { request_body_mode: BodySendMode::None as i32, ..ProtocolConfiguration::default() };
        let message = ProcessingRequest {
            request: Some(Request::RequestHeaders(HttpHeaders {
                headers,
                end_of_stream: true,
                ..HttpHeaders::default()
            })),
            protocol_config: Some(protocol),
            ..ProcessingRequest::default()
        };
        let mut client = ExternalProcessorClient::connect(format!("http://{}", self.service.grpc)).await.unwrap();
        let mut replies = client.process(tokio_stream::iter([message])).await.unwrap().into_inner();
        assert!(replies.message().await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_key_is_shown_and_reset() {
    let limited = Limited::start();
    for _ in 0..3 {
        limited.send().await;
    }
    let (code, out, err) = limited.run("show", &["per-tenant", "acme"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    for line in ["allows     100/h;burst=20 (the limit of all other keys)", "used       3 units", "remaining  17 units"]
    {
        assert!(out.contains(&format!("{line}\n")), "{out}");
    }
    assert_eq!(limited.json("show", &["per-key", "cell-b", "sk_live"])["used"], 3);

    let (code, out, _) = limited.run("reset", &["per-tenant", "acme"]);
    assert!(code == 0 && out.contains("forgotten  3 units\n"), "{out}");
    let (_, out, _) = limited.run("reset", &["per-tenant", "acme"]);
    assert!(out.contains("forgotten  nothing: the key had nothing in use\n"), "{out}");
    assert_eq!(limited.json("show", &["per-tenant", "acme"])["remaining"], 20);
    assert_eq!(limited.json("show", &[])["store"]["state"], "embedded");
}

#[tokio::test]
async fn values_can_be_read_from_stdin() {
    let limited = Limited::start();
    limited.send().await;
    let mut command = cellgate(&limited.arguments("show", &["--output", "json", "per-key", "-"]));
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"cell-b\nsk_live\n").unwrap();
    let (code, out, err) = result_of(&child.wait_with_output().unwrap());
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["used"], 1);
}

#[test]
fn a_part_of_a_key_can_be_unusable() {
    let limited = Limited::start();
    let digest = |arguments: &[&str]| limited.json("show", arguments)["digest"].clone();
    let unusable = digest(&["per-key", "cell-b", "--unusable", "2"]);
    assert_ne!(unusable, digest(&["per-key", "cell-b", "x"]));
    let (code, _, err) = limited.run("show", &["per-key", "cell-b", "--unusable", "3"]);
    assert!(code == 64 && err.contains("--unusable 3"), "{err}");
}

#[test]
fn the_token_may_be_named_by_a_variable() {
    let limited = Limited::start();
    let show = ["limits", "show", "--admin", &limited.service.admin];
    let output = cellgate(&show).env("CELLGATE_ADMIN_TOKEN_FILE", &limited.token_file).output().unwrap();
    assert_eq!(result_of(&output).0, 0);
    assert_eq!(run(&show).0, 69);
}
