//! Every message that a user can provoke, in `tests/fixtures/messages/`, so that a change of one is seen.
//!
//! Each file lists commands, what they print and how they exit. `UPDATE=1` writes the files anew.

mod command_line;
mod configuration;
mod explain;
mod gateway;
mod inspection;
mod limits;
mod requests;
mod serve;

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::net::TcpSocket;

use crate::support::{CONFIG, cellgate, result_of};

/// Commands in a directory of their own, and all that they print.
struct Transcript {
    directory: TempDir,
    text: String,
    replacements: Vec<(String, &'static str)>,
}

impl Transcript {
    /// A transcript with the configuration `good.yaml` in its directory.
    fn new() -> Self {
        let transcript =
            Self { directory: tempfile::tempdir().unwrap(), text: String::new(), replacements: Vec::new() };
        transcript.file("good.yaml", CONFIG);
        transcript
    }

    /// A heading.
    fn section(&mut self, title: &str) {
        let _ = writeln!(self.text, "## {title}\n");
    }

    /// Writes a file that commands can name.
    fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.directory.path().join(name), content).unwrap();
    }

    /// Replaces a value that differs from run to run, such as a port, by a word.
    fn replace(&mut self, value: impl ToString, word: &'static str) {
        self.replacements.push((value.to_string(), word));
    }

    /// Runs a command. Spaces separate its arguments; one in single quotes may contain spaces.
    fn run(&mut self, arguments: &str) {
        self.run_with(arguments, &[], Stdio::piped());
    }

    /// Runs a command with environment variables.
    fn run_in(&mut self, variables: &[(&str, &str)], arguments: &str) {
        self.run_with(arguments, variables, Stdio::piped());
    }

    /// Runs a command whose output has no room.
    fn run_to_full_device(&mut self, arguments: &str) {
        self.run_with(arguments, &[], File::create("/dev/full").unwrap().into());
    }

    fn run_with(&mut self, arguments: &str, variables: &[(&str, &str)], stdout: Stdio) {
        let words = split(arguments);
        let mut command = cellgate(&words);
        command.current_dir(self.directory.path()).stdout(stdout);
        command.env_remove("KUBERNETES_SERVICE_HOST").envs(variables.iter().copied());
        let shown_variables: String = variables.iter().map(|(name, value)| format!("{name}='{value}' ")).collect();
        let (code, out, err) = result_of(&command.output().unwrap());
        let mut shown = format!("$ {shown_variables}cellgate {arguments}\n");
        shown += &out;
        shown += &err;
        let _ = write!(shown, "exit {code}\n\n");
        for (value, word) in &self.replacements {
            shown = shown.replace(value, word);
        }
        self.text += &shown;
    }

    /// Compares the transcript with its file.
    fn check(self, name: &str) {
        compare(name, &self.text);
    }
}

/// Compares a text with a file in `tests/fixtures/messages/`, or writes the file if `UPDATE` is set.
fn compare(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/messages").join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let mut pairs = expected.lines().zip(text.lines()).enumerate();
    if let Some((index, (old, new))) = pairs.find(|(_, (old, new))| old != new) {
        panic!("{}:{}: UPDATE=1 writes the file anew\n  was {old}\n  is  {new}", path.display(), index + 1);
    }
    assert_eq!(expected.lines().count(), text.lines().count(), "{}: UPDATE=1 writes the file anew", path.display());
}

/// The words of a command line. Single quotes keep spaces, and an empty pair is an empty word.
fn split(arguments: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = arguments.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('\'') {
            Some(quoted) => quoted.split_once('\'').unwrap(),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        words.push(word);
        rest = after.trim_start();
    }
    words
}

/// An address that refuses connections while the socket exists: it is bound, but does not listen.
fn refusing() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    (socket, address)
}

/// The address of a server that gives every request the same answer and closes the connection.
fn answering(answer: &'static str) -> String {
    answering_by_request(move |_| answer)
}

/// The address of a server that closes the connection after each answer. `answer` gets the request.
fn answering_by_request(answer: impl Fn(&str) -> &'static str + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let (mut connection, mut request) = (connection.unwrap(), [0; 4096]);
            // An error here shows in the transcript.
            let _ = connection.read(&mut request).and_then(|length| {
                connection.write_all(answer(&String::from_utf8_lossy(&request[..length])).as_bytes())
            });
        }
    });
    address
}
