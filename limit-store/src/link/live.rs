//! A connection that answers, until it has failed too often.

use std::sync::{Arc, OnceLock};

use redis::{ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::breakers::{Breakers, Opened};
use crate::connect::Connection;
use crate::failure::StoreFailure;
use crate::script::Call;

/// A connection and its circuit breakers. When all of them are open, the connection is closed, and it stays so.
pub(crate) struct Live {
    connection: Connection,
    pub(crate) breakers: Breakers,
    end: Arc<End>,
}

/// The end of a connection.
#[derive(Debug, Default)]
pub(crate) struct End {
    cause: OnceLock<StoreFailure>,
    came: Notify,
}

impl End {
    /// The first cause counts.
    pub(crate) fn come(&self, cause: StoreFailure) {
        if self.cause.set(cause).is_ok() {
            self.came.notify_one();
        }
    }
}

impl Live {
    pub(crate) fn new(connection: Connection, breakers: Breakers, end: Arc<End>) -> Self {
        Self { connection, breakers, end }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.end.cause.get().is_none()
    }

    /// Waits until the connection is closed, and returns why.
    pub(crate) async fn closed(&self) -> StoreFailure {
        loop {
            if let Some(cause) = self.end.cause.get() {
                return cause.clone();
            }
            self.end.came.notified().await;
        }
    }

    /// Runs a script and reads its reply, unless the circuit breaker of its key is open.
    pub(crate) async fn call<T>(
        &self,
        call: &Call,
        until: Instant,
        read: impl FnOnce(Value) -> Result<T, StoreFailure>,
    ) -> Result<T, StoreFailure> {
        if self.breakers.is_open(self.breakers.part_of(call.first_key())) {
            return Err(StoreFailure::Unavailable);
        }
        self.probe(call, until, read).await
    }

    /// Runs a script and reads its reply. A failure counts and can open the circuit breaker, an answer closes it.
    pub(crate) async fn probe<T>(
        &self,
        call: &Call,
        until: Instant,
        read: impl FnOnce(Value) -> Result<T, StoreFailure>,
    ) -> Result<T, StoreFailure> {
        let failure = match timeout_at(until, self.run(call)).await {
            Ok(Ok(value)) => match read(value) {
                Ok(answer) => {
                    self.breakers.succeed(self.breakers.part_of(call.first_key()));
                    return Ok(answer);
                }
                Err(failure) => failure,
            },
            Ok(Err(error)) => {
                let failure = StoreFailure::of(&error);
                if self.is_fatal(&failure, &error) {
                    self.end.come(failure.clone());
                }
                failure
            }
            Err(_) => StoreFailure::Deadline,
        };
        if self.breakers.fail(self.breakers.part_of(call.first_key())) == Opened::All {
            self.end.come(failure.clone());
        }
        Err(failure)
    }

    /// A server that has lost its scripts, by a restart, a fail-over or `SCRIPT FLUSH`, gets the text instead.
    pub(crate) async fn run(&self, call: &Call) -> Result<Value, RedisError> {
        match self.connection.run(&call.by_digest()).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                self.connection.run(&call.by_text()).await
            }
            answer => answer,
        }
    }

    /// A command that is no script. It does not count.
    pub(crate) async fn command(&self, command: &redis::Cmd, until: Instant) -> Result<Value, StoreFailure> {
        match timeout_at(until, self.connection.run(command)).await {
            Ok(answer) => answer.map_err(|error| StoreFailure::of(&error)),
            Err(_) => Err(StoreFailure::Deadline),
        }
    }

    /// Whether nothing more can come of this connection. A cluster's client replaces the connections of single nodes.
    fn is_fatal(&self, failure: &StoreFailure, error: &RedisError) -> bool {
        let is_replica = error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly);
        !self.connection.is_cluster() && (is_replica || matches!(failure, StoreFailure::Connection(_)))
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Live").field("breakers", &self.breakers).field("end", &self.end).finish_non_exhaustive()
    }
}
