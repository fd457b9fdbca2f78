//! The filter's word to the service about a request whose rate limits are due: the decision, as text.
//!
//! The text is in Envoy's filter state, which no client can write, and reaches the service as a request attribute.

use crate::config::Config;
use crate::decision::{Decision, Outcome};

/// The filter state that holds the handover. Envoy's name for it is `wasm.cellgate_handover`.
pub const HANDOVER_STATE: &str = "cellgate_handover";

/// A decision, and the routing key that led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handover {
    /// A cell, or a request that passes.
    pub decision: Decision,
    /// The routing key, if there is one.
    pub key: Option<String>,
}

impl Handover {
    /// The text: `CELL;REASON;KEY`. The cell is empty if the request passes, and the key if there is none.
    #[must_use]
    pub fn text(decision: Decision, key: Option<&str>, config: &Config) -> String {
        let cell = match decision.outcome {
            Outcome::Cell(cell) => config.cell_name(cell),
            Outcome::Reject(_) | Outcome::Defer | Outcome::Pass => "",
        };
        [cell, ";", decision.reason.label(), ";", key.unwrap_or_default()].concat()
    }

    /// Reads the text of a filter with the same configuration. `None`: it is not such a text, or names a cell or reason that
    /// this configuration does not have.
    #[must_use]
    pub fn parse(text: &str, config: &Config) -> Option<Self> {
        let (cell, rest) = text.split_once(';')?;
        let (reason, key) = rest.split_once(';')?;
        let outcome = if cell.is_empty() { Outcome::Pass } else { Outcome::Cell(config.cell_named(cell.as_bytes())?) };
        let decision = Decision { outcome, reason: reason.parse().ok()? };
        Some(Self { decision, key: (!key.is_empty()).then(|| key.to_owned()) })
    }
}
