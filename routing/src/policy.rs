//! The policy table: each reason's configured answer.

use crate::action::Answer;
use crate::reason::Reason;

/// An answer for every reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    answers: Vec<Answer>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { answers: Reason::ALL.iter().map(|reason| reason.default_answer()).collect() }
    }
}

impl Policy {
    /// The configured answer.
    #[must_use]
    pub fn answer(&self, reason: Reason) -> Answer {
        self.answers.get(reason as usize).copied().unwrap_or_else(|| reason.last_answer())
    }

    /// Sets a reason's answer. The caller has checked that the reason allows it.
    pub(crate) fn set(&mut self, reason: Reason, answer: Answer) {
        if let Some(slot) = self.answers.get_mut(reason as usize) {
            *slot = answer;
        }
    }

    /// Whether any reason is answered by a slot.
    pub(crate) fn hashes(&self) -> bool {
        self.answers.contains(&Answer::Hash)
    }
}
