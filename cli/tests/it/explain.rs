//! `explain` with logs from a pipe and of any size.

use std::io::Write;
use std::process::{Child, Stdio};

use crate::support::{cellgate, result_of};

const LOG: &str = include_str!("../fixtures/access.log");

/// The most memory that a process has had, in KiB.
fn peak_memory(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_log_from_a_pipe_is_read() {
    let mut child = cellgate(&["explain", "two-proxies"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(LOG.as_bytes()).unwrap();
    let (code, out, err) = result_of(&child.wait_with_output().unwrap());
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let gateway = out.find("pod/gateway-5c4/istio-proxy").unwrap();
    assert!(gateway < out.find("pod/cell-b-7d9/istio-proxy").unwrap(), "{out}");
}

/// The memory is that of one line, the hundred entries of the request and three ids, whatever the log has.
#[test]
fn the_memory_does_not_depend_on_the_size_of_the_log() {
    let mut child = cellgate(&["explain", "two-proxies"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(LOG.as_bytes()).unwrap();
    let long = "x".repeat(10 << 20);
    for _ in 0..3 {
        stdin.write_all(long.as_bytes()).unwrap();
        stdin.write_all(b"\n").unwrap();
        for _ in 0..500 {
            stdin.write_all(LOG.as_bytes()).unwrap();
        }
    }
    let peak = peak_memory(&child);
    drop(stdin);
    let (code, out, _) = result_of(&child.wait_with_output().unwrap());
    assert!(code == 0 && out.contains("3 over 256 KiB") && out.contains("100 entries of 3002"), "{out:.400}");
    // 47 MB went through. Without a log, the command has about 20 MB.
    assert!(peak < 40 * 1024, "{peak} KiB");
}

/// `UDO` is Envoy's last flag. An unknown one is reported as such.
#[test]
fn the_flags_of_dropped_requests_are_known() {
    for (flag, text) in [("DO", "dropped the request"), ("UDO", "drops every request"), ("XYZ", "does not know")] {
        let line = LOG.lines().find(|line| line.contains("by-the-filter")).unwrap();
        let line = line.replace(r#""response_flags":"-""#, &format!(r#""response_flags":"{flag}""#));
        let mut child = cellgate(&["explain", "by-the-filter"]).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
        let (_, out, err) = result_of(&child.wait_with_output().unwrap());
        assert!(out.contains(text), "{flag}: {out}{err}");
    }
}
