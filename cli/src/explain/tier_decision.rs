//! The decisions of both tiers, as an access log has it.

use std::str::FromStr;

use cellgate_routing::Reason;
use serde_json::{Value, json};

use super::access_entry::AccessEntry;

/// The decision of one tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TierDecision {
    /// The effect on the request.
    pub(super) action: TierAction,
    /// The name of the reason, which may be one of a later version.
    pub(super) reason: String,
}

/// The effect of a tier on a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TierAction {
    /// It chose a cell.
    Cell(String),
    /// It refused the request with this status.
    Reject(String),
    /// It reset a request that it had released to a cell.
    Abort {
        /// The status of the refusal.
        status: String,
        /// The cell.
        cell: String,
    },
    /// It left the decision to the service, with this body mode.
    Defer(String),
    /// It let the request pass without a cell.
    Pass,
}

/// The filter's decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FilterDecision {
    /// The decision.
    pub(super) decision: TierDecision,
    /// Whether it had no effect, because the configuration says `shadow`.
    pub(super) is_shadow: bool,
}

impl FilterDecision {
    /// The decision in an entry: `cell=cell-a;reason=slot`, or `shadow;` in front of it. `None` if the entry has none, or one
    /// of a later version.
    pub(super) fn of(entry: &AccessEntry) -> Option<Self> {
        Self::parse(entry.text("cellgate_filter")?)
    }

    fn parse(text: &str) -> Option<Self> {
        let (is_shadow, text) = text.strip_prefix("shadow;").map_or((false, text), |rest| (true, rest));
        let (mut action, mut reason) = (None, None);
        for part in text.split(';') {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match (name, action.take()) {
                ("cell", None) => action = Some(TierAction::Cell(value.to_owned())),
                ("reject", None) => action = Some(TierAction::Reject(value.to_owned())),
                ("defer", None) => action = Some(TierAction::Defer(value.to_owned())),
                ("pass", None) => action = Some(TierAction::Pass),
                ("after", Some(TierAction::Reject(status))) => {
                    action = Some(TierAction::Abort { status, cell: value.to_owned() });
                }
                (_, known) => action = known,
            }
            if name == "reason" {
                reason = Some(value.to_owned());
            }
        }
        Some(Self { decision: TierDecision { action: action?, reason: reason? }, is_shadow })
    }

    /// Whether the service has the last word.
    pub(super) fn is_deferral(&self) -> bool {
        !self.is_shadow && matches!(self.decision.action, TierAction::Defer(_))
    }
}

impl TierDecision {
    /// The service's decision in an entry. `None` if the service gave none.
    pub(super) fn of_service(entry: &AccessEntry) -> Option<Self> {
        let reason = entry.text("cellgate_service_reason")?.to_owned();
        let is_refused = entry.text("response_code_details").is_some_and(|details| details.starts_with("cellgate_"));
        let status = || entry.number("status").unwrap_or_default().to_string();
        let action = match entry.text("cellgate_service_cell") {
            // Envoy keeps the cell of the release when the refusal brings its own reason.
            Some(cell) if is_refused => TierAction::Abort { status: status(), cell: cell.to_owned() },
            Some(cell) => TierAction::Cell(cell.to_owned()),
            None if is_refused => TierAction::Reject(status()),
            None => TierAction::Pass,
        };
        Some(Self { action, reason })
    }

    /// The cell to which the request went.
    pub(super) fn cell(&self) -> Option<&str> {
        match &self.action {
            TierAction::Cell(cell) => Some(cell),
            _ => None,
        }
    }

    /// Whether the tier refused the request.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self.action, TierAction::Reject(_) | TierAction::Abort { .. })
    }

    /// `chose cell-a (slot: The key's slot belongs to the cell.)`.
    pub(super) fn words(&self) -> String {
        let did = match &self.action {
            TierAction::Cell(cell) => format!("chose {cell}"),
            TierAction::Reject(status) => format!("refused the request with {status}"),
            TierAction::Abort { status, cell } => {
                format!(
                    "released the request to {cell}, and aborted it with {status} when a later part of the body conflicted"
                )
            }
            TierAction::Defer(mode) => format!("left the decision to the service, body mode {mode}"),
            TierAction::Pass => "let the request pass without a cell".to_owned(),
        };
        format!("{did} ({}: {})", self.reason, self.reason_text())
    }

    /// The reason in one sentence.
    pub(super) fn reason_text(&self) -> &'static str {
        let unknown = "A reason that this version of cellgate does not know.";
        Reason::from_str(&self.reason).map_or(unknown, Reason::text)
    }

    pub(super) fn json(&self) -> Value {
        let (outcome, cell, status, mode) = match &self.action {
            TierAction::Cell(cell) => ("cell", Some(cell), None, None),
            TierAction::Reject(status) => ("reject", None, Some(status), None),
            TierAction::Abort { status, cell } => ("abort", Some(cell), Some(status), None),
            TierAction::Defer(mode) => ("defer", None, None, Some(mode)),
            TierAction::Pass => ("pass", None, None, None),
        };
        json!({
            "outcome": outcome,
            "reason": self.reason,
            "reason_text": self.reason_text(),
            "cell": cell,
            "status": status.and_then(|status| status.parse::<u16>().ok()),
            "body_mode": mode,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Option<String> {
        FilterDecision::parse(text).map(|filter| format!("{}: {}", filter.is_shadow, filter.decision.words()))
    }

    #[test]
    fn every_form_of_the_filters_decision_is_read() {
        for (text, expected) in [
            ("cell=cell-a;reason=slot", "false: chose cell-a (slot: The key's slot belongs to the cell.)"),
            ("shadow;pass;reason=preflight", "true: let the request pass without a cell (preflight: "),
            ("reject=400;reason=body_malformed", "false: refused the request with 400 (body_malformed: "),
            (
                "reject=400;reason=key_duplicated;after=cell-a",
                "false: released the request to cell-a, and aborted it with 400",
            ),
            ("defer=stream;reason=body_too_large", "false: left the decision to the service, body mode stream ("),
            ("cell=cell-a;reason=fortune;luck=1", "false: chose cell-a (fortune: A reason that this version"),
        ] {
            let words = words(text).unwrap();
            assert!(words.starts_with(expected), "{text}: {words}");
        }
    }

    #[test]
    fn every_form_of_the_services_decision_is_read() {
        for (cell, details, expected) in [
            ("cell-b", "via_upstream", "chose cell-b (key_duplicated: "),
            ("-", "via_upstream", "let the request pass without a cell (key_duplicated: "),
            ("-", "cellgate_key_duplicated", "refused the request with 400 (key_duplicated: "),
            (
                "cell-b",
                "cellgate_key_duplicated",
                "released the request to cell-b, and aborted it with 400 when a later part of the body conflicted (key_duplicated: ",
            ),
        ] {
            let fields = json!({
                "cellgate_service_reason": "key_duplicated", "cellgate_service_cell": cell, "status": 400,
                "response_code_details": details,
            });
            let Value::Object(fields) = fields else { unreachable!() };
            let decision = TierDecision::of_service(&AccessEntry::new(None, fields)).unwrap();
            assert!(decision.words().starts_with(expected), "{}", decision.words());
        }
    }

    #[test]
    fn other_texts_are_no_decision() {
        for text in
            ["", "-", "shadow", "cell=cell-a", "reason=slot", "after=cell-a;reason=slot", "teleport=1;reason=slot"]
        {
            assert_eq!(words(text), None, "{text}");
        }
    }
}
