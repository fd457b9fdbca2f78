//! Decisions made before: by a peer such as a gateway, whose own Cellgate has read the request already.
//!
//! A header says nothing of who set it, so what it says counts only beside the certificate of the connection it came by.

use crate::action::CellId;

/// Whose decisions are taken over, and which cell this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecidedBy {
    /// SPIFFE IDs, compared byte for byte with the peer's.
    pub peers: Vec<Box<str>>,
    /// The only cell whose requests may pass here; `None` where any may.
    pub cell: Option<CellId>,
}

impl DecidedBy {
    /// Whether this peer's decisions count. `uri` is the URI that its verified certificate names.
    #[must_use]
    pub fn lists(&self, uri: &[u8]) -> bool {
        self.peers.iter().any(|peer| peer.as_bytes() == uri)
    }
}
