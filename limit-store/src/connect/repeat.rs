//! Commands to a cluster, sent again only if no node has run them.
//!
//! A script that ran and is sent again charges or refunds twice. So an answer that was lost is an error at once. Only answers by
//! which a node says that it has not run the command are followed: a slot that has moved or is moving, a replica, and a node or a
//! cluster that is not ready.

use std::time::Duration;

use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::SingleNodeRoutingInfo;
use redis::{Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};

/// How often a command is sent again.
const MAX_REPEATS: u32 = 3;

/// The pause before it, in which the client learns which node has the slot.
const PAUSE: Duration = Duration::from_millis(1);

/// The way of a command that has not run.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// To the node that has the slot.
    Again,
    /// To the node that the slot is moving to, for this time only: host and port.
    Ask(String, u16),
}

/// Runs a command at most once.
pub(super) async fn run(connection: &mut ClusterConnection, command: &Cmd) -> RedisResult<Value> {
    let mut answer = command.query_async(connection).await;
    for _ in 0..MAX_REPEATS {
        let Some(next) = answer.as_ref().err().and_then(next) else { break };
        answer = match next {
            Next::Again => {
                tokio::time::sleep(PAUSE).await;
                command.query_async(connection).await
            }
            Next::Ask(host, port) => ask(connection, command, host, port).await,
        };
    }
    answer
}

/// `None` if the command may have run, or would fail again.
fn next(error: &RedisError) -> Option<Next> {
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::Ask) => {
            let (host, port) = error.redirect_node()?.0.rsplit_once(':')?;
            Some(Next::Ask(host.to_owned(), port.parse().ok()?))
        }
        ErrorKind::Server(
            ServerErrorKind::Moved
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::BusyLoading
            | ServerErrorKind::ReadOnly,
        )
        // The client had no connection on which it could have sent the command.
        | ErrorKind::ClusterConnectionNotFound => Some(Next::Again),
        _ => None,
    }
}

async fn ask(connection: &mut ClusterConnection, command: &Cmd, host: String, port: u16) -> RedisResult<Value> {
    let mut pipeline = redis::pipe();
    pipeline.cmd("ASKING").ignore().add_command(command.clone());
    let node = SingleNodeRoutingInfo::ByAddress { host, port };
    let answers = connection.route_pipeline(pipeline, 1, 1, node).await?;
    match answers.into_iter().next() {
        Some(value) => value.extract_error(),
        None => Err((ErrorKind::UnexpectedReturnType, "no answer to a command after ASKING").into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn refused(reply: &str) -> RedisError {
        redis::parse_redis_value(reply.as_bytes()).unwrap().extract_error().unwrap_err()
    }

    #[test]
    fn only_a_command_that_has_not_run_is_sent_again() {
        for reply in ["MOVED 7 a:1", "TRYAGAIN x", "CLUSTERDOWN x", "MASTERDOWN x", "LOADING x", "READONLY x"] {
            assert_eq!(next(&refused(&format!("-{reply}\r\n"))), Some(Next::Again), "{reply}");
        }
        assert_eq!(next(&refused("-ASK 7 ::1:6380\r\n")), Some(Next::Ask("::1".to_owned(), 6380)));
        for reply in ["NOSCRIPT x", "ERR x", "OOM x", "NOPERM x", "CROSSSLOT x", "ASK 7 a"] {
            assert_eq!(next(&refused(&format!("-{reply}\r\n"))), None, "{reply}");
        }
        for kind in [io::ErrorKind::BrokenPipe, io::ErrorKind::UnexpectedEof, io::ErrorKind::TimedOut] {
            assert_eq!(next(&io::Error::from(kind).into()), None, "{kind}");
        }
    }
}
