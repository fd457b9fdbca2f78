//! A log that nobody reads must not stop the service: a pipe has room for 64 KiB.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{CONFIG, cellgate, file};

/// On any machine.
const PATIENCE: Duration = Duration::from_secs(120);

const PING: &[u8] = b"\x00\x00\x08\x06\x00\x00\x00\x00\x00pingpong";
const PING_ACK: &[u8] = b"\x00\x00\x08\x06\x01\x00\x00\x00\x00pingpong";

/// The value of a metric.
fn metric(admin: SocketAddr, name: &str) -> u64 {
    let mut connection = TcpStream::connect(admin).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    connection.write_all(b"GET /metrics HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let value = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap().trim().parse().unwrap()
}

/// Each PING costs some lines at `trace`. Before the queue of lines, the worker waited for the pipe in the middle of them, and
/// answered none of the others.
#[test]
fn a_pipe_that_nobody_reads_stops_no_connection() {
    let directory = tempfile::tempdir().unwrap();
    let config = file(directory.path(), "a.yaml", CONFIG);
    let ports = ["--plain-text", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--drain-timeout", "1s"];
    let arguments = [&["serve", "--config", &config, "--log-level", "trace"], &ports[..]].concat();
    let mut child = cellgate(&arguments).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let listening = lines.find_map(|line| {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        (line["event"] == "listening").then_some(line)
    });
    let listening = listening.unwrap();
    let address = |name: &str| listening[name].as_str().unwrap().parse::<SocketAddr>().unwrap();

    let mut connection = TcpStream::connect(address("grpc")).unwrap();
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    connection.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00").unwrap();
    let start = Instant::now();
    let mut answer = Vec::new();
    while metric(address("admin"), "cellgate_log_lines_dropped_total") == 0 {
        assert!(start.elapsed() < PATIENCE, "no line was dropped: is each PING logged?");
        connection.write_all(&PING.repeat(100)).unwrap();
        let mut acknowledged = 0;
        while acknowledged < 100 {
            let mut bytes = [0; 4096];
            let length = connection.read(&mut bytes).expect("the worker answers no PING: it waits for the pipe");
            assert!(length > 0, "closed");
            answer.extend_from_slice(&bytes[..length]);
            while let Some(place) = answer.windows(PING_ACK.len()).position(|window| window == PING_ACK) {
                answer.drain(..place + PING_ACK.len());
                acknowledged += 1;
            }
        }
    }
    // It ends although nobody reads.
    drop(connection);
    let killed = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
