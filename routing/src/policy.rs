//! The policy: the configured action for each reason.

use crate::action::PolicyAction;
use crate::reason::Reason;

/// An action for every reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// By the reason's number.
    actions: Vec<PolicyAction>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { actions: Reason::ALL.iter().map(|reason| reason.default_answer()).collect() }
    }
}

impl Policy {
    /// The configured action.
    #[must_use]
    pub fn answer(&self, reason: Reason) -> PolicyAction {
        self.actions.get(reason as usize).copied().unwrap_or_else(|| reason.last_answer())
    }

    /// Sets a reason's action, which the reason must allow.
    pub fn set(&mut self, reason: Reason, action: PolicyAction) {
        if let Some(slot) = self.actions.get_mut(reason as usize) {
            *slot = action;
        }
    }

    /// Whether the action for any reason is the key's slot.
    #[must_use]
    pub fn uses_slots(&self) -> bool {
        self.actions.contains(&PolicyAction::Hash)
    }
}
