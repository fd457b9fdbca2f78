//! The steps of a search, which a traced request measures.

use cellgate_routing::{Decision, Guard, HeadResult};

use super::StateMachine;
use crate::fields::RequestHead;
use crate::process::decision_trace::DecisionTrace;
use crate::process::key_search::{KeySearch, Progress};

impl StateMachine {
    /// Records the request's decision for a trace.
    pub(crate) fn record(&mut self, trace: DecisionTrace) {
        self.trace = Some(Box::new(trace));
    }

    /// What a trace shows of the decision, if it is recorded.
    pub(crate) fn recorded(&self) -> Option<&DecisionTrace> {
        self.trace.as_deref()
    }

    pub(super) fn open(&mut self, head: &RequestHead<'_>, end: bool) -> HeadResult {
        let Some(trace) = &mut self.trace else { return self.decider.open(head, end) };
        let result = trace.place.time(trace.clock, || self.decider.open(head, end));
        trace.found_in_head(self.decider.head_origin(head));
        if let HeadResult::Decided(decision) = &result {
            trace.decided(*decision, None);
        }
        result
    }

    pub(super) fn scan(&mut self, search: &mut KeySearch, chunk: &[u8]) {
        let mut scan = || search.push(&self.decider, &mut self.due, chunk);
        self.inspected += match &mut self.trace {
            None => scan(),
            Some(trace) => trace.scan.time(trace.clock, scan),
        };
        if let Some(trace) = &mut self.trace {
            trace.decoded = search.decoded().or(trace.decoded);
        }
    }

    pub(super) fn finish(&mut self, mut search: KeySearch) -> (Decision, Option<String>) {
        let Some(trace) = &mut self.trace else { return search.finish(&mut self.due) };
        let found = trace.place.time(trace.clock, || search.finish(&mut self.due));
        trace.decided(found.0, search.origin());
        found
    }

    pub(super) fn progress(&mut self, search: KeySearch) -> Progress {
        let Some(trace) = &mut self.trace else { return search.progress(&mut self.due) };
        let progress = trace.place.time(trace.clock, || search.progress(&mut self.due));
        if let Progress::Decided { decision, guard, .. } = &progress {
            trace.decided(*decision, guard.as_ref().and_then(Guard::body_origin));
        }
        progress
    }

    /// Scans a chunk behind the decision.
    pub(super) fn guard(&mut self, guard: &mut Guard, chunk: &[u8], end: bool) -> Result<(), Decision> {
        let mut scan = || guard.push(chunk).and_then(|()| if end { guard.finish() } else { Ok(()) });
        let Some(trace) = &mut self.trace else { return scan() };
        let scanned = trace.scan.time(trace.clock, scan);
        trace.decoded = guard.decoded().or(trace.decoded);
        scanned
    }
}
