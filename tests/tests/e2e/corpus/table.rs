//! What came of the cases, and how it differs from what should have come of them.

/// A decision in words: `cell-a` or a status, and the reason's label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) outcome: String,
    pub(super) reason: String,
}

/// The differences so far.
#[derive(Debug, Default)]
pub(super) struct Table {
    compared: usize,
    differences: Vec<String>,
}

impl Verdict {
    pub(super) fn new(outcome: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { outcome: outcome.into(), reason: reason.into() }
    }

    /// The same verdict, with a deferral named as such in place of the answer of Envoy's last route.
    pub(super) fn of_filter(self) -> Self {
        match self.reason.split_once(";reason=") {
            Some((_, reason)) if self.is_deferral() => Self::new("defer", reason),
            _ => self,
        }
    }

    /// Whether the connection was closed before an answer.
    pub(super) fn is_closed(&self) -> bool {
        self.outcome == "no answer" && self.reason == "the connection was closed after \"\""
    }

    /// Whether the filter left the request to a service that is not there.
    pub(super) fn is_deferral(&self) -> bool {
        // A gRPC call has its status in `grpc-status`.
        matches!(&*self.outcome, "421" | "200") && self.reason.starts_with("defer=")
    }
}

impl Table {
    pub(super) fn compare(&mut self, how: &str, case: &str, wanted: &Verdict, verdict: &Verdict) {
        self.compared += 1;
        if wanted != verdict {
            self.differs(how, case, &format!("wanted {wanted}, got {verdict}"));
        }
    }

    pub(super) fn differs(&mut self, how: &str, case: &str, what: &str) {
        self.differences.push(format!("{case:<60} | {how:<20} | {what}"));
    }

    /// Fails if anything differed, or if fewer than `at_least` verdicts were compared.
    pub(super) fn finish(self, at_least: usize) {
        let Self { compared, differences } = self;
        assert!(compared >= at_least, "only {compared} comparisons");
        assert!(differences.is_empty(), "{} of {compared} differ:\n{}", differences.len(), differences.join("\n"));
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.outcome, self.reason)
    }
}
