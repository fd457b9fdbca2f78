//! Why a store did not answer a request.

/// Why a store did not answer. The messages complete the sentence "the store of rate limits ...".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreFailure {
    /// No connection is open, or the circuit breaker is.
    #[error("is not connected")]
    Unavailable,
    /// More requests wait for the store than the settings allow.
    #[error("has more requests in flight than max_in_flight allows")]
    Overloaded,
    /// The answer did not come within the deadline. It may have been charged.
    #[error("did not answer within the deadline")]
    Deadline,
    /// The connection ended before the answer.
    #[error("closed the connection: {0}")]
    Connection(String),
    /// The server answered with an error.
    #[error("answered with an error: {0}")]
    Refused(String),
    /// The answer is none that the script gives.
    #[error("gave an answer that the script does not give: is something else writing to its keys?")]
    Reply,
}

impl StoreFailure {
    /// The failure behind an error of the client.
    pub(crate) fn of(error: &redis::RedisError) -> Self {
        if error.is_io_error() || error.is_connection_dropped() || error.is_unrecoverable_error() {
            Self::Connection(error.to_string())
        } else {
            Self::Refused(error.to_string())
        }
    }

    /// A label of a metric.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Overloaded => "overloaded",
            Self::Deadline => "deadline",
            Self::Connection(_) => "connection",
            Self::Refused(_) => "refused",
            Self::Reply => "reply",
        }
    }
}
