//! Tokens and passwords of the service itself: for its receiver of spans, its admin port, and its store of limits.

use std::os::unix::fs::PermissionsExt;

use cellgate_tests::artifacts;
use cellgate_tests::client::{Http1, Request};
use cellgate_tests::ext_proc::ExtProc;
use cellgate_tests::options::{Chain, Options, sample_config};
use cellgate_tests::otlp::Behavior;
use cellgate_tests::ports::ClosedPort;
use cellgate_tests::process::Signal;
use cellgate_tests::secrets::{Haystack, MarkedSecrets};
use cellgate_tests::stack::Stack;
use cellgate_tests::wait;
use http::StatusCode;
use serde_json::json;

use super::rig::Rig;
use crate::support::{key_last, wait_for_metric};

async fn two_tiers() -> Rig {
    let rig = Rig::start(MarkedSecrets::default(), Chain::TwoTier, Options::default().buffer_limit(32 * 1024)).await;
    rig.level("trace").await;
    rig
}

/// A request that the service decides.
fn deferred() -> Request {
    Request::post("/").json(key_last("acme", 100_000))
}

/// A receiver may repeat the token in the text of a refusal, or of a partial success.
#[tokio::test(flavor = "multi_thread")]
async fn the_token_for_spans_is_not_written_whatever_the_receiver_answers() {
    let mut rig = two_tiers().await;
    for status in [StatusCode::UNAUTHORIZED, StatusCode::BAD_REQUEST] {
        rig.receiver.behave(Behavior::Refuse(status));
        let failed = rig.stack.ext_proc().metric(r#"cellgate_trace_spans_total{result="failed"}"#).await.unwrap();
        rig.send(deferred(), false).await;
        rig.expect_no_span();
        wait_for_metric(&rig.stack, r#"cellgate_trace_spans_total{result="failed"}"#, failed + 1.0).await;
    }
    rig.receiver.refused(2).await.unwrap();
    rig.receiver.behave(Behavior::AcceptInPart);
    rig.send(deferred(), false).await;
    wait_for_metric(&rig.stack, r#"cellgate_trace_spans_total{result="exported"}"#, 1.0).await;
    rig.send(deferred(), false).await;
    let log = rig.stack.ext_proc().logged(&["traces_failing"]).await.unwrap();
    assert!(log.contains("400") || log.contains("401"), "{log}");

    // The receiver had the token, so it could have been written.
    let token = format!("Bearer {}", rig.secrets.of("the token for spans"));
    let tokens = rig.receiver.tokens();
    assert!(tokens.len() >= 3 && tokens.iter().all(|sent| *sent == token), "{tokens:?}");
    rig.finish().await.assert_private(&[], &[]);
}

/// Over each protocol, with the token in the variable of OpenTelemetry. Nothing listens at the first receiver.
#[tokio::test(flavor = "multi_thread")]
async fn the_token_in_the_variable_is_not_written_if_the_receiver_cannot_be_reached() {
    let secrets = MarkedSecrets::default();
    let nobody = ClosedPort::take().unwrap();
    for protocol in ["http/protobuf", "grpc"] {
        let directory = tempfile::tempdir().unwrap();
        let variable = format!("authorization=Bearer%20{}", secrets.of("the variable"));
        let program = directory.path().join("cellgate-with-the-variable");
        let cellgate = artifacts::cellgate().unwrap();
        let script = format!(
            "#!/bin/sh\nOTEL_EXPORTER_OTLP_HEADERS='{variable}' exec '{}' \"$@\"\n",
            cellgate.canonicalize().unwrap().display()
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let options = [
            ("--otlp-endpoint", format!("http://{}", nobody.address().unwrap()).as_str()),
            ("--otlp-protocol", protocol),
            ("--trace-sample-percent", "100"),
            ("--log-level", "trace"),
        ]
        .map(|(name, value)| [name.to_owned(), value.to_owned()])
        .concat();
        let service = ExtProc::start_program(program, &sample_config(), directory.path(), &options).await.unwrap();
        service.logged(&["traces_failing"]).await.unwrap();
        let inspected = service.get("/inspect").await.unwrap();
        service.signal(Signal::TERM).unwrap();
        assert_eq!(service.ended().await.unwrap(), Some(0));
        let search = secrets.search();
        assert_eq!(search.find(&Haystack::new("the log", service.log())), []);
        assert_eq!(search.find(&Haystack::new("/inspect", inspected.body)), []);
    }
}

/// The message of a start that fails.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_in_the_url_of_the_receiver_or_the_store_is_refused_and_not_written() {
    let secrets = MarkedSecrets::default();
    let password = secrets.of("the password in a URL");
    for (option, url) in [
        ("--otlp-endpoint", format!("http://user:{password}@127.0.0.1:4318")),
        ("--otlp-endpoint", format!("http://127.0.0.1:4318/?token={password}")),
        ("--limit-store", format!("redis://user:{password}@127.0.0.1:6379/0")),
    ] {
        let started = Stack::try_start(Options::default().service_option(option, &url)).await;
        let refused = format!("{:#}", started.expect_err(&format!("{option} {url}")));
        assert!(refused.contains("exit status"), "{refused}");
        assert_eq!(secrets.search().find(&Haystack::new("the error", refused)), []);
    }
}

/// Who asks with a wrong token, and what is asked with the right one. The explain page reads a whole request.
#[tokio::test(flavor = "multi_thread")]
async fn questions_to_the_admin_port_are_not_written() {
    let mut rig = two_tiers().await;
    rig.send(deferred(), false).await;
    let secret = |place: &str| rig.secrets.of(place);
    let right = format!("Bearer {}", secret("the admin token"));
    for token in [format!("Bearer {}", secret("a wrong token")), format!("Basic {}", secret("a password"))] {
        for path in ["/limits", "/log-level", "/explain/state"] {
            let path = format!("{path}?value={}", secret("a query of the admin port"));
            let answer = rig.ask(&Request::get(&path).header("authorization", &token)).await;
            assert_eq!(answer.status, 401, "{path}: {}", answer.text());
        }
    }
    let curl = format!(
        "curl 'http://a/?token={}' -H 'x-tenant-id: {}' -H 'authorization: Bearer {}' -d '{{\"x\":\"{}\"}}'",
        secret("a pasted query"),
        secret("a pasted key"),
        secret("a pasted token"),
        secret("a pasted body")
    );
    let claims = json!({"sub": secret("a pasted claim")}).to_string();
    let pasted = json!({"request": curl, "claims": claims, "peer": format!("spiffe://a/{}", secret("a pasted peer"))});
    // The second one is not a document of the page.
    for (body, status) in
        [(pasted.to_string(), 200), (pasted.to_string().replace("claims", &secret("a pasted name")), 422)]
    {
        let ask = Request::post("/explain").header("authorization", &right).json(body);
        let answered = || async {
            let answer = rig.ask(&ask).await;
            Ok((answer.status != 503).then_some(answer))
        };
        let answer = wait::until("a turn", answered).await.unwrap();
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    for level in [secret("a level"), format!("info,{}=debug", secret("a target"))] {
        let answer = rig.admin("PUT", &format!("/log-level?level={level}")).await;
        assert!(answer.status == 400 || answer.status == 200, "{}", answer.text());
    }
    rig.level("trace").await;
    let address = rig.stack.ext_proc().addresses().admin;
    let mut junk = Http1::connect(address).await.unwrap();
    junk.write(format!("GET /{0} {0}\r\n{0}\r\n\r\n", secret("a line that is no request"))).await.unwrap();
    junk.closed().await.unwrap();
    rig.finish().await.assert_private(&[("the service's log", "a target")], &[]);
}
