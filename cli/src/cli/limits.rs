//! `cellgate limits`: shows the rate limits of a running service, and resets a key.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cellgate_ext_proc::config_file;
use clap::{Args, Subcommand};

use super::commands::{import_limits, print, read};
use super::{Exit, Failure, Output, values};
use crate::http_client::Server;
use crate::limits::{
    AdminPort, Answer, KeyPart, LimitsError, fetch_key, fetch_list, key_text, list_text, reset, reset_text,
};

/// `cellgate limits` with its command.
#[derive(Debug, Args)]
pub(crate) struct LimitsArgs {
    /// The command to run.
    #[command(subcommand)]
    command: LimitsCommand,
}

#[derive(Debug, Subcommand)]
enum LimitsCommand {
    /// Show the limits and the store, or what one key has in use
    Show {
        /// The service to ask.
        #[command(flatten)]
        service: ServiceArgs,
        /// The name of a limit
        #[arg(value_name = "LIMIT")]
        limit: Option<String>,
        /// The key of which to show the use.
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Forget what one key has in use, so that its allowance is full
    Reset {
        /// The service to ask.
        #[command(flatten)]
        service: ServiceArgs,
        /// The name of the limit
        #[arg(value_name = "LIMIT")]
        limit: String,
        /// The key to reset.
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Translate a configuration of envoyproxy/ratelimit to `descriptor_limits`; what has no equal goes to stderr
    Import {
        /// YAML; `-` reads stdin
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct ServiceArgs {
    /// The admin port of the service, such as `127.0.0.1:9902` behind `kubectl port-forward`
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9902", value_parser = values::admin_port)]
    admin: Server,
    /// The file with the token of `serve --admin-token-file`
    #[arg(long, value_name = "FILE", env = "CELLGATE_ADMIN_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// How long to wait for the service
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = values::positive_duration)]
    timeout: Duration,
    /// The format of the report
    #[arg(long, default_value = "text", value_enum)]
    output: Output,
}

#[derive(Debug, Args)]
struct KeyArgs {
    /// A value for each part of the limit's key, in order. Values are visible in the process list: `-` reads them from stdin, one on each line
    #[arg(value_name = "VALUE")]
    values: Vec<String>,
    /// The number of a part of the key, from 1, whose value requests send unusable: those requests count together; may be repeated
    #[arg(long, value_name = "NUMBER")]
    unusable: Vec<usize>,
}

/// `cellgate limits`.
///
/// # Errors
/// The service cannot be reached, refuses the token or the key, or is no Cellgate service.
pub(crate) async fn limits(args: LimitsArgs) -> Result<Exit, Failure> {
    match args.command {
        LimitsCommand::Import { file } => return import_limits(&file),
        LimitsCommand::Show { service, limit: None, .. } => {
            let list = fetch_list(&service.port()?).await.map_err(failure)?;
            service.print(&list, list_text)?;
        }
        LimitsCommand::Show { service, limit: Some(limit), key } => {
            let usage = fetch_key(&service.port()?, &limit, &key.parts()?).await.map_err(failure)?;
            service.print(&usage, key_text)?;
        }
        LimitsCommand::Reset { service, limit, key } => {
            let forgotten = reset(&service.port()?, &limit, &key.parts()?).await.map_err(failure)?;
            service.print(&forgotten, reset_text)?;
        }
    }
    Ok(Exit::Ok)
}

impl ServiceArgs {
    /// The admin port, with the token.
    pub(super) fn port(&self) -> Result<AdminPort, Failure> {
        let token = self.token_file.as_deref().map(token).transpose()?;
        Ok(AdminPort { server: self.admin.clone(), token, time: self.timeout })
    }

    /// Prints an answer.
    pub(super) fn print<D>(&self, answer: &Answer<D>, text: fn(&D) -> String) -> Result<(), Failure> {
        match self.output {
            Output::Text => print(&text(&answer.known)),
            Output::Json => print(&format!("{:#}\n", answer.document)),
        }
    }
}

impl KeyArgs {
    /// The parts of the key in their order.
    fn parts(&self) -> Result<Vec<KeyPart>, Failure> {
        let usage = |message: String| Failure::new(Exit::Usage, message);
        let values = match self.values.as_slice() {
            [only] if only == "-" => from_stdin()?,
            several if several.iter().any(|value| value == "-") => {
                return Err(usage(
                    "`-` (stdin) must be the only VALUE: write all values to stdin, one on each line".into(),
                ));
            }
            several => several.to_vec(),
        };
        let mut parts: Vec<_> = values.into_iter().map(KeyPart::Value).collect();
        let mut unusable = self.unusable.clone();
        unusable.sort_unstable();
        for number in unusable {
            let place = number.checked_sub(1).filter(|place| *place <= parts.len());
            let place = place.ok_or_else(|| {
                usage(format!(
                    "--unusable {number}: the key has no such part: count from 1, and give a VALUE for each other part"
                ))
            })?;
            parts.insert(place, KeyPart::Unusable);
        }
        Ok(parts)
    }
}

/// The lines of stdin.
fn from_stdin() -> Result<Vec<String>, Failure> {
    let text = String::from_utf8(read(Path::new("-"))?).map_err(|_| {
        Failure::new(Exit::BadInput, "stdin: the values are not valid UTF-8: no request is counted by such a value")
    })?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// The token in a file, without the end of its line.
fn token(file: &Path) -> Result<String, Failure> {
    let bytes = read(file)?;
    let bad = || {
        let file = config_file::name(file).display();
        Failure::new(
            Exit::BadInput,
            format!("{file}: not a token: the file must have one line of visible ASCII characters"),
        )
    };
    let text = String::from_utf8(bytes).map_err(|_| bad())?;
    let token = text.strip_suffix('\n').unwrap_or(&text);
    let token = token.strip_suffix('\r').unwrap_or(token);
    let is_token = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    if is_token { Ok(token.to_owned()) } else { Err(bad()) }
}

pub(super) fn failure(error: LimitsError) -> Failure {
    let exit = match error {
        LimitsError::Unreachable { .. }
        | LimitsError::Token { .. }
        | LimitsError::Refused { .. }
        | LimitsError::Status { .. } => Exit::Unavailable,
        LimitsError::BadKey { .. } | LimitsError::NotDocument { .. } => Exit::BadInput,
    };
    Failure::new(exit, error)
}
