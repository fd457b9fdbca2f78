//! `/log-level`: the log level in force, and its change for a time.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::{Admin, query};
use crate::logging::Logging;
use crate::logging::level::{DEFAULT_TIME, LogLevel, MAX_TIME};

const USAGE: &str = "use `PUT /log-level?level=LEVEL&seconds=SECONDS`";

/// The route of the log level.
pub(super) fn routes() -> Router<Admin> {
    Router::new().route("/log-level", get(show).put(change).delete(reset))
}

async fn show(State(admin): State<Admin>) -> Response {
    admin.logging.as_ref().map_or_else(no_log, state)
}

async fn change(
    State(admin): State<Admin>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(logging) = &admin.logging else { return no_log() };
    match wanted(query.as_deref().unwrap_or_default()) {
        Ok((level, time)) => {
            logging.control().change(level, time, &client);
            state(logging)
        }
        Err(why) => {
            (StatusCode::BAD_REQUEST, [(header::CACHE_CONTROL, "no-store")], format!("{why}\n")).into_response()
        }
    }
}

async fn reset(State(admin): State<Admin>, ConnectInfo(client): ConnectInfo<SocketAddr>) -> Response {
    let Some(logging) = &admin.logging else { return no_log() };
    logging.control().reset(&client);
    state(logging)
}

/// The level and the time of a query.
fn wanted(query: &str) -> Result<(LogLevel, Duration), String> {
    let (mut level, mut time) = (None, None);
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = query::decode(value).and_then(|bytes| String::from_utf8(bytes).ok());
        let value = value.ok_or_else(|| format!("a value is not percent-encoded UTF-8: {USAGE}"))?;
        let is_new = match name {
            "level" => level.replace(value.parse::<LogLevel>().map_err(|error| error.to_string())?).is_none(),
            "seconds" => time.replace(seconds(&value)?).is_none(),
            _ => return Err(format!("the query has an unknown parameter: {USAGE}")),
        };
        if !is_new {
            return Err(format!("the query has a parameter twice: {USAGE}"));
        }
    }
    let level = level.ok_or_else(|| format!("the query has no level: {USAGE}"))?;
    Ok((level, time.unwrap_or(DEFAULT_TIME)))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = text.parse().ok().filter(|_| digits).map(Duration::from_secs);
    seconds.filter(|time| !time.is_zero() && *time <= MAX_TIME).ok_or_else(|| {
        format!(
            "`seconds` must be a whole number from 1 to {}: the level returns to that of the start",
            MAX_TIME.as_secs()
        )
    })
}

fn state(logging: &Logging) -> Response {
    super::document(&logging.level())
}

/// Only a program that embeds the service has no log.
fn no_log() -> Response {
    (StatusCode::NOT_FOUND, "this process has no log whose level could be changed\n").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_has_a_level_and_a_time() {
        let (level, time) = wanted("level=info%2Ccellgate_ext_proc%3Ddebug&seconds=60").unwrap();
        assert_eq!((level.to_string().as_str(), time.as_secs()), ("info,cellgate_ext_proc=debug", 60));
        assert_eq!(wanted("level=debug").unwrap().1, DEFAULT_TIME);
        assert_eq!(wanted("seconds=86400&level=off").unwrap().1, MAX_TIME);
    }

    #[test]
    fn junk_is_refused_in_a_line() {
        let long = format!("level={}", "x".repeat(60_000));
        for junk in [
            "",
            "level",
            "level=",
            "level=loud",
            "level=%",
            "level=%ff",
            "level=debug&level=info",
            "level=debug&seconds=",
            "level=debug&seconds=0",
            "level=debug&seconds=-1",
            "level=debug&seconds=86401",
            "level=debug&seconds=1e9",
            "level=debug&seconds=99999999999999999999",
            "level=debug&for=1",
            "=",
            "level=%1b%5b31m%0a",
            &long,
        ] {
            let why = wanted(junk).unwrap_err();
            assert!(why.len() < 300 && !why.chars().any(char::is_control), "{junk}: {why:?}");
        }
    }
}
