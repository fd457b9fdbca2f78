//! Decisions of a peer, such as a gateway whose Cellgate has read the request already.
//!
//! Any client can set a header. So the routing header counts only if the connection's certificate is that of a peer.

use crate::action::CellId;

/// The peers whose decisions are accepted, and the cell of this proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecidedBy {
    /// SPIFFE IDs, compared byte for byte.
    pub peers: Vec<Box<str>>,
    /// The only cell whose requests this proxy forwards. `None` if it forwards requests for any cell.
    pub cell: Option<CellId>,
}

impl DecidedBy {
    /// Whether a peer's decisions are accepted. `uri` is the URI in its verified certificate.
    #[must_use]
    pub fn lists(&self, uri: &[u8]) -> bool {
        self.peers.iter().any(|peer| peer.as_bytes() == uri)
    }
}
