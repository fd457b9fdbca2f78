//! `cellgate log-level`: shows and changes the log level of a running service.

use std::time::Duration;

use cellgate_ext_proc::logging::level::{LogLevel, LogLevelState};
use clap::Args;

use super::limits::{ServiceArgs, failure};
use super::{Exit, Failure, values};
use crate::limits::{LevelChange, ask_log_level};
use cellgate_ext_proc::units::duration;

/// Options of `cellgate log-level`.
#[derive(Debug, Args)]
pub(crate) struct LogLevelArgs {
    /// The service to ask.
    #[command(flatten)]
    service: ServiceArgs,
    /// The new level: error, warn, info, debug, trace, off, or directives such as `info,cellgate_ext_proc=debug`
    #[arg(value_name = "LEVEL", value_parser = values::log_level)]
    level: Option<LogLevel>,
    /// How long the new level stays, 1s to 24h; then that of the start comes back
    #[arg(long = "for", value_name = "TIME", default_value = "15m", value_parser = values::log_level_time, requires = "level")]
    time: Duration,
    /// Return to the level of the start now
    #[arg(long, conflicts_with = "level")]
    reset: bool,
}

/// `cellgate log-level`.
///
/// # Errors
/// The service cannot be reached, refuses the token, or is no Cellgate service.
pub(crate) async fn log_level(args: LogLevelArgs) -> Result<Exit, Failure> {
    let change = match args.level {
        Some(level) => LevelChange::To(level, args.time),
        None if args.reset => LevelChange::Reset,
        None => LevelChange::None,
    };
    let state = ask_log_level(&args.service.port()?, &change).await.map_err(failure)?;
    args.service.print(&state, text)?;
    Ok(Exit::Ok)
}

fn text(state: &LogLevelState) -> String {
    // A server that is not Cellgate must not control the terminal.
    let shown = |text: &str| text.chars().filter(|character| !character.is_control()).collect::<String>();
    let (level, start) = (shown(&state.level), shown(&state.start_level));
    match (&state.returns_at, state.returns_in_seconds) {
        (Some(at), Some(seconds)) => {
            format!("level  {level}\nstart  {start}, comes back in {}, at {}\n", duration(seconds), shown(at))
        }
        _ => format!("level  {level}\nstart  {start}, in force\n"),
    }
}
