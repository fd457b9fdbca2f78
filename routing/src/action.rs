//! Policy actions, and the cells that they and placement name.

/// The index of a cell in the configured list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CellId(pub u16);

/// The action for a request without a cell. A policy has one for each [`crate::Reason`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyAction {
    /// Refuse the request with this status and an RFC 9457 problem document.
    Reject(u16),
    /// Send the request to this cell.
    Use(CellId),
    /// Send the request to the cell of the key's slot.
    Hash,
    /// Try the next source, as if this one held no key.
    Next,
    /// Let the ext-proc service decide. In the service, the reason's last action applies instead.
    Defer,
    /// Forward the request without a cell and without a routing header.
    Pass,
    /// Read on, as if the body did not have this fault.
    Accept,
}
