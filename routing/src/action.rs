//! What a policy can say to a reason.

/// A cell's place in the configured list of cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CellId(pub u16);

/// What to do when a request cannot be placed, per [`crate::Reason`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Answer the client with this status and an RFC 9457 problem document.
    Reject(u16),
    /// Send the request to this cell.
    Use(CellId),
    /// Hash the key to a slot.
    Hash,
    /// Try the next source, as if this one held no key.
    Next,
    /// Hand the request to the ext-proc service; where there is none left, the reason's last answer holds.
    Defer,
    /// Let the request go on without a cell, its routing header stripped.
    Pass,
}
