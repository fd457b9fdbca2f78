//! Whether a store answers, for people and for readiness.

use tokio::time::Instant;

/// Whether a store answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreHealth {
    /// Its state.
    pub state: StoreState,
    /// Since when.
    pub since: Instant,
}

/// Whether a store answers. `Display` is a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreState {
    /// It is in this process and always answers.
    Embedded,
    /// The first connection is being made. Limits answer as if the store had failed.
    Connecting,
    /// It answers.
    Available,
    /// Some primaries of a cluster answer, and some do not: limits answer by `when_store_fails` for their keys.
    Degraded {
        /// How many do not.
        failed: usize,
        /// How many there are.
        primaries: usize,
    },
    /// It does not. Limits answer by `when_store_fails` until it does.
    Unavailable {
        /// Why, and what to do.
        reason: String,
    },
}

impl StoreHealth {
    pub(crate) fn now(state: StoreState) -> Self {
        Self { state, since: Instant::now() }
    }
}

impl StoreState {
    /// Whether limits are judged by the store, if not for all keys.
    #[must_use]
    pub const fn is_available(&self) -> bool {
        matches!(self, Self::Embedded | Self::Available | Self::Degraded { .. })
    }
}

impl std::fmt::Display for StoreState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Embedded => formatter.write_str("the store of rate limits is in this process"),
            Self::Connecting => formatter.write_str("the first connection to the store of rate limits is being made"),
            Self::Available => formatter.write_str("the store of rate limits answers"),
            Self::Degraded { failed, primaries } => {
                write!(formatter, "{failed} of {primaries} primaries of the store of rate limits do not answer")
            }
            Self::Unavailable { reason } => write!(formatter, "the store of rate limits is unavailable: {reason}"),
        }
    }
}
