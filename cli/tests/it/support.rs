//! The binary as a process, and the files it reads.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// Two cells, and a key in the body or in a header.
pub(crate) const CONFIG: &str = include_str!("../../../ext-proc/tests/fixtures/cellgate.yaml");

/// A running service and its ports. Nobody reads its log: a line that could not be written once ended the connection.
pub(crate) struct Running {
    child: Child,
    pub(crate) admin: String,
    pub(crate) grpc: String,
}

impl Running {
    pub(crate) fn start(config: &str, options: &[&str]) -> Self {
        let ports = ["--plain-text", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let mut child = cellgate(&[&["serve", "--config", config], &ports[..], options].concat()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        let port = |name: &str| line[name].as_str().unwrap().to_owned();
        Self { child, admin: port("admin"), grpc: port("grpc") }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = (self.child.kill(), self.child.wait());
    }
}

/// The status of a GET.
pub(crate) fn status(address: SocketAddr, path: &str) -> u16 {
    let mut connection = TcpStream::connect(address).unwrap();
    write!(connection, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// The binary, without the environment's configuration.
pub(crate) fn cellgate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cellgate"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CELLGATE_")) {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the binary: exit code, stdout, stderr.
pub(crate) fn run(arguments: &[&str]) -> (i32, String, String) {
    result_of(&cellgate(arguments).output().unwrap())
}

/// The exit code, stdout and stderr of a process.
pub(crate) fn result_of(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// A file in a directory, and its path as text.
pub(crate) fn file(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}
