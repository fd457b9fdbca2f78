//! `cellgate doctor` as a process: its sources, its report and its exit codes. `tests/tests/e2e/doctor.rs` asks a real
//! Envoy.

use serde_json::Value;
use tokio::net::TcpSocket;

use crate::support::{file, run};

const ENVOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/envoy-dump.json");

#[test]
fn a_file_is_examined() {
    let (code, out, err) = run(&["doctor", "--config-dump", ENVOY]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(
        out.starts_with(&format!("Configuration dump {ENVOY}\n\nFilter\n  ok  ingress: `cellgate` is the first")),
        "{out}"
    );
    assert!(
        out.contains("\n  !   cell-a, cell-b, cell-c: plain text, without mTLS\n      to do: in a mesh: "),
        "{out}"
    );
    assert!(out.ends_with("0 errors (!!), 4 warnings (!), 1 unknown (??)\n"), "{out}");
}

#[test]
fn an_error_exits_with_1_in_text_and_in_json() {
    let directory = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(ENVOY).unwrap().replace("\"exact\": \"cell-b\"", "\"exact\": \"cell-a\"");
    let broken = file(directory.path(), "dump.json", &text);
    let (code, out, _) = run(&["doctor", "--config-dump", &broken]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("  !!  cells: no route matches x-cell: cell-b\n      to do: add a route"), "{out}");
    let (code, out, _) = run(&["doctor", "--config-dump", &broken, "--output", "json"]);
    assert_eq!(code, 1);
    let report: Value = serde_json::from_str(&out).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let error = findings.iter().find(|finding| finding["level"] == "error").unwrap();
    assert_eq!((&error["section"], &error["places"][0]), (&"routes".into(), &"cells".into()));
}

#[test]
fn each_source_that_fails_has_its_exit_code_and_advice() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| file(directory.path(), name, text);
    // The socket is bound but does not listen: connections are refused, and no other process gets the port.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let (empty, other) = (path("empty.json", ""), path("other.json", "{\"configs\": []}"));
    for (arguments, code, part) in [
        (&["--config-dump", "/nowhere.json"][..], 66, "/nowhere.json: No such file"),
        (&["--config-dump", &empty], 65, "empty.json: not valid JSON"),
        (&["--config-dump", &other], 65, "not a configuration dump"),
        (&["--admin", &url], 69, "port-forward deploy/GATEWAY 15000"),
        (&["--istiod", &url, "--proxy", "gateway.istio-ingress"], 69, "port-forward deploy/istiod 15014"),
        (&["--istiod", &url, "--proxy", "a.b", "--token", "/nowhere"], 66, "/nowhere: No such file"),
        (&[], 64, "--admin <URL>"),
        (&["--admin", &url, "--config-dump", &other], 64, "cannot be used with"),
        (&["--istiod", &url], 64, "--proxy"),
        (&["--istiod", &url, "--proxy", "gateway"], 64, "use POD.NAMESPACE"),
        (&["--admin", "https://localhost:15000"], 64, "only http without TLS is supported"),
    ] {
        let arguments: Vec<&str> = ["doctor"].into_iter().chain(arguments.iter().copied()).collect();
        let (actual, out, err) = run(&arguments);
        assert_eq!((actual, out.as_str()), (code, ""), "{arguments:?}: {err}");
        assert!(err.contains(part), "{arguments:?}: {err}");
    }
}
