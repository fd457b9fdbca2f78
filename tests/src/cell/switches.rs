//! Settings that make a cell fail, respond late or stop reading.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;

/// How a cell treats a request's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// Reads it to its end, then responds.
    #[default]
    Whole,
    /// Neither reads it nor responds, so the connection's buffers fill.
    Never,
    /// Responds at once and reads nothing.
    Early,
}

/// The switches of one cell, changed while it runs.
#[derive(Debug, Default)]
pub(super) struct Switches(Mutex<Positions>);

/// The settings for one request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Positions {
    pub(super) reading: Reading,
    pub(super) delay: Duration,
    failing: u32,
    status: StatusCode,
}

impl Switches {
    pub(super) fn fail_next(&self, count: u32, status: StatusCode) {
        let mut positions = self.positions();
        positions.failing = count;
        positions.status = status;
    }

    pub(super) fn delay(&self, delay: Duration) {
        self.positions().delay = delay;
    }

    pub(super) fn reading(&self, reading: Reading) {
        self.positions().reading = reading;
    }

    pub(super) fn now(&self) -> Positions {
        *self.positions()
    }

    /// The status of the next response. Counts down the requested failures.
    pub(super) fn status(&self) -> StatusCode {
        let mut positions = self.positions();
        if positions.failing == 0 {
            return StatusCode::OK;
        }
        positions.failing -= 1;
        positions.status
    }

    fn positions(&self) -> MutexGuard<'_, Positions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
