//! `cellgate probe` as a process: its exit codes without a gateway. `tests/tests/e2e/probe.rs` has one.

use tokio::net::TcpSocket;

use crate::support::{CONFIG, file, run};

#[test]
fn an_unreachable_gateway_fails_after_the_deadline() {
    let directory = tempfile::tempdir().unwrap();
    let config = file(directory.path(), "a.yaml", CONFIG);
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let (code, out, err) =
        run(&["probe", "--config", &config, "--url", &url, "--host", "probe.test", "--deadline", "10ms"]);
    assert_eq!((code, err.as_str()), (1, ""), "{out}");
    let expected = "FAIL  cell-a: reached by \"cellgate-probe-0\" in json /tenant/id: expected 200 from cell-a, for 10ms; no answer: ";
    assert!(out.starts_with(expected), "{out}");
    assert!(out.contains("cannot connect: Connection refused"), "{out}");
}

#[test]
fn invalid_options_have_their_exit_codes() {
    let directory = tempfile::tempdir().unwrap();
    let config = file(directory.path(), "a.yaml", CONFIG);
    let broken = file(directory.path(), "b.yaml", "cells: []\n");
    let shadow = file(directory.path(), "c.yaml", &format!("{CONFIG}shadow: true\n"));
    let hosts = file(directory.path(), "d.yaml", &format!("{CONFIG}applies_to: {{ hosts: ['*.example.com'] }}\n"));
    let url = "http://127.0.0.1:1";
    for (arguments, code, part) in [
        (&["--config", "/nowhere", "--url", url, "--host", "h"][..], 66, "/nowhere"),
        (&["--config", &broken, "--url", url, "--host", "h"], 78, "b.yaml:1:"),
        (&["--config", &shadow, "--url", url, "--host", "h"], 78, "there is nothing to probe"),
        (
            &["--config", &hosts, "--url", url, "--host", "example.com:80"],
            64,
            "--host example.com:80: not in `applies_to.hosts` of ",
        ),
        (&["--config", &config, "--url", url], 64, "--host"),
        (&["--config", &config, "--url", "http://h/path", "--host", "h"], 64, "a gateway's URL has no path"),
        (&["--config", &config, "--url", url, "--host", "h", "--header", "no colon"], 64, "use `NAME: VALUE`"),
        (
            &["--config", &config, "--url", url, "--host", "h", "--header", "X-Cellgate-Probe:1"],
            64,
            "removes this header",
        ),
        (&["--config", &config, "--url", url, "--host", "h", "--key", "cell-a"], 64, "use CELL=KEY"),
        (
            &["--config", &config, "--url", url, "--host", "h", "--key", "cell-a=acme"],
            64,
            "does not place this key in cell-a: it places it in cell-b",
        ),
    ] {
        let arguments: Vec<&str> = ["probe"].into_iter().chain(arguments.iter().copied()).collect();
        let (actual, out, err) = run(&arguments);
        assert_eq!((actual, out.as_str()), (code, ""), "{arguments:?}: {err}");
        assert!(err.contains(part), "{arguments:?}: {err}");
    }
}
