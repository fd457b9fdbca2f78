//! Exit codes, and the error with which a command ends.

use std::error::Error;
use std::process::ExitCode;

/// How a command ends. The codes from 64 are those of BSD's `sysexits.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Success.
    Ok = 0,
    /// The command found errors, or the request is rejected.
    Found = 1,
    /// `EX_USAGE`: the command line is wrong.
    Usage = 64,
    /// `EX_DATAERR`: the input is not valid.
    BadInput = 65,
    /// `EX_NOINPUT`: a file cannot be read.
    NoInput = 66,
    /// `EX_UNAVAILABLE`: a server cannot be reached, or refuses the request.
    Unavailable = 69,
    /// `EX_SOFTWARE`: an internal error.
    Internal = 70,
    /// `EX_OSERR`: a port or a socket cannot be bound.
    NoPort = 71,
    /// `EX_IOERR`: the output cannot be written.
    NoOutput = 74,
    /// `EX_CONFIG`: the configuration, a certificate or a key is not valid.
    BadConfig = 78,
}

/// The exit codes in the help text. docs/cli.md has the same lines.
pub(super) const HELP: &str = "\
Exit codes:
  0   success; `decide`: the request gets a cell or passes
  1   `check`, `neighbours`, `doctor` or `probe` found errors; `decide` rejects the request; `explain` finds no entry of the request; services of `inspect` differ
  64  the command line is wrong
  65  invalid input: a request (`decide`), a configuration dump (`doctor`), a plan or objects (`neighbours`), a configuration of envoyproxy/ratelimit (`limits import`), a key that a limit does not have (`limits`), a document or a log that is not Cellgate's (`inspect`, `limits`, `explain`)
  66  a file cannot be read
  69  the gateway, istiod, the API server or a service cannot be reached
  70  an internal error
  71  a port or a socket cannot be bound
  74  the output cannot be written
  78  the configuration, a certificate or a key is not valid";

/// The error with which a command ends. Its text goes to stderr; it may have several lines.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    source: Box<dyn Error + Send + Sync>,
}

impl Failure {
    /// A failure with its cause: an error, or a text.
    pub(crate) fn new(exit: Exit, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { exit, source: source.into() }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
