//! A corpus with the answers of its policy, or with a cell in place of every refusal.

use cellgate_routing::{Decider, Reason, Tier};
use cellgate_tests::corpus::{Case, Corpus};
use serde_json::{Value, json};

use super::exceptions::wanted;
use super::table::Verdict;
use super::{Framing, KIB, Way};

/// The cell that gets what would be refused.
const CELL: &str = "cell-c";

/// Reasons that a filter leaves to the service. With a cell for them, no service would get a request.
const DEFERRED: [Reason; 3] = [Reason::BodyEncoded, Reason::BodyTooLarge, Reason::BodyLengthUnknown];

/// The policy of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answers {
    /// The corpus' own.
    Own,
    /// `use` for every reason but those that the corpus accepts or skips (`accept`, `next`).
    Use,
}

/// A corpus with a policy.
pub(super) struct Run {
    pub(super) way: Way,
    pub(super) answers: Answers,
    pub(super) config: Value,
    pub(super) cases: Vec<Case>,
    pub(super) decider: Decider,
}

impl Run {
    pub(super) fn new(corpus: Corpus, answers: Answers, way: Way) -> Self {
        let Corpus { mut config, cases } = corpus;
        if answers == Answers::Use {
            for reason in Reason::ALL.iter().filter(|reason| reason.has_policy()) {
                let answer = &mut config["policy"][reason.label()];
                let is_kept = answer.is_string() || (way == Way::TwoTiers && DEFERRED.contains(reason));
                if !is_kept {
                    *answer = json!({ "use": CELL });
                }
            }
            remove_nulls(&mut config["policy"]);
        }
        let decider = Decider::new(cellgate_config::from_json(&config.to_string(), "corpus").unwrap(), Tier::Service);
        Self { way, answers, config, cases, decider }
    }

    /// What must come of a case. `None`: it cannot be run this way.
    pub(super) fn wanted(&self, case: &Case) -> Option<Verdict> {
        wanted(self.way, &self.answered(case), &self.decider)
    }

    /// The case with the answer of this run: the policy's answer for the case's reason is all that changes.
    pub(super) fn answered(&self, case: &Case) -> Case {
        let mut case = case.clone();
        if self.config["policy"][&case.expect.reason]["use"] == CELL {
            case.expect.outcome = CELL.to_owned();
        }
        case
    }

    /// Whether a verdict other than the one wanted is right, too: the filter may leave some requests to the service,
    /// and a fault in a body that has been released can only end the request. Then Envoy may close an HTTP/1.1 connection
    /// before the client has the answer.
    pub(super) fn is_also_right(&self, case: &Case, framing: Framing, is_held: bool, verdict: &Verdict) -> bool {
        let is_left = self.way == Way::Filter && may_defer(case, framing) && self.is_deferral(verdict);
        let is_ended = self.answers == Answers::Use
            && !is_held
            && may_be_released(case)
            && wanted(self.way, case, &self.decider).as_ref() == Some(verdict);
        let is_closed = !is_held && may_be_released(case) && verdict.is_closed();
        is_left || is_ended || is_closed
    }

    fn is_deferral(&self, verdict: &Verdict) -> bool {
        let is_used = || verdict.outcome == CELL && DEFERRED.iter().any(|reason| reason.label() == verdict.reason);
        verdict.is_deferral() || (self.answers == Answers::Use && is_used())
    }

    /// Whether a body is held to its end before the decision: a fault in it then gets its answer.
    pub(super) fn holds(&self, case: &Case, framing: Framing) -> bool {
        match self.way {
            Way::Buffered => true,
            Way::TwoTiers | Way::Filter => framing == Framing::ContentLength && length(case) <= 32 * KIB as usize,
            Way::Core | Way::Streamed => false,
        }
    }
}

/// Whether the messages of a call are compressed. The service reads some of them, and the filter none.
pub(super) fn is_compressed(case: &Case) -> bool {
    case.headers.iter().any(|(name, value)| name == "grpc-encoding" && value != b"identity")
}

/// Whether a body has a Content-Encoding other than `identity`. The filter decodes some of those with a length.
pub(super) fn is_encoded(case: &Case) -> bool {
    let values = case.headers.iter().filter(|(name, _)| name == "content-encoding").map(|(_, value)| value);
    let mut elements = values.flat_map(|value| value.split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    elements.any(|element| !element.is_empty() && !element.eq_ignore_ascii_case(b"identity"))
}

/// Whether the filter may leave a case to the service: only what it must not hold, and what it cannot read.
fn may_defer(case: &Case, framing: Framing) -> bool {
    is_encoded(case) || is_compressed(case) || length(case) > 32 * KIB as usize || framing == Framing::Chunked
}

/// Whether a body may be found faulty after its key: docs/configuration.md, `policy`.
fn may_be_released(case: &Case) -> bool {
    let is_conflict = matches!(&*case.expect.reason, "key_duplicated" | "key_conflict" | "key_ambiguous");
    let is_fault = case.expect.reason.starts_with("body_") && case.expect.outcome == "400";
    case.body.is_some() && (is_conflict || is_fault)
}

fn length(case: &Case) -> usize {
    case.body.as_ref().map_or(0, Vec::len)
}

/// Indexing a missing field has written a null where the policy has nothing.
fn remove_nulls(policy: &mut Value) {
    if let Some(policy) = policy.as_object_mut() {
        policy.retain(|_, answer| !answer.is_null());
    }
}
