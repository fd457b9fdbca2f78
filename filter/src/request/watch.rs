//! The rest of a body that is already on its way.

use cellgate_routing::{CellId, Decision, Guard};

/// A guard, and where the end of the body is.
#[derive(Debug)]
pub(super) struct Watch {
    guard: Guard,
    /// How much of the Content-Length is still to come.
    left: Option<u64>,
    /// Where the request went.
    pub(super) cell: Option<CellId>,
}

impl Watch {
    pub(super) fn new(guard: Guard, left: Option<u64>, cell: Option<CellId>) -> Self {
        Self { guard, left, cell }
    }

    /// Scans a chunk that Envoy is about to pass on.
    ///
    /// With its Content-Length reached, the upstream has a complete body, whatever Envoy says of the stream's end:
    /// for HTTP/1 it says so only in one more, empty callback. So the end is checked with the last byte.
    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<(), Decision> {
        self.guard.push(chunk)?;
        match &mut self.left {
            None => Ok(()),
            Some(left) => {
                *left = left.saturating_sub(chunk.len() as u64);
                if *left == 0 { self.guard.finish() } else { Ok(()) }
            }
        }
    }

    /// Nothing follows.
    pub(super) fn finish(&mut self) -> Result<(), Decision> {
        self.guard.finish()
    }
}
