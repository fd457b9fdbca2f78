//! One request in the filter: the host part of the rule in [`cellgate_routing::Inspection`].
//!
//! Each of Envoy's callbacks becomes an event of the inspection, and the step that it returns becomes hostcalls. This
//! module removes reserved fields, copies the body out of Envoy in windows, carries out steps, and keeps metrics and the
//! note for access logs. It does not know when a body is held, peeked at or guarded.

use std::rc::Rc;

use cellgate_routing::{
    BodyMode, CellId, Decision, Deferral, HANDOVER_STATE, Head, Inspection, InspectionStep, Outcome,
    PROBLEM_CONTENT_TYPE, Phase, Reason, RefusedType, grpc_message, headers, is_grpc_call, problem,
};
use proxy_wasm::types::Action;

use crate::head::RequestHead;
use crate::host::{Host, Unreleased};
use crate::plugin::Plugin;
use crate::strip::{self, Stripped};

/// The filter state for access logs: `%FILTER_STATE(wasm.cellgate:PLAIN)%`.
const PROPERTY: &str = "cellgate";

/// The most bytes of the body that are copied into the VM at a time. A VM's memory never shrinks, and one callback may
/// bring as much as Envoy's buffer holds.
const WINDOW: usize = 64 * 1024;

/// A request and how far it has come.
#[derive(Debug)]
pub struct Request<H: Host> {
    plugin: Rc<Plugin<H>>,
    inspection: Inspection,
    /// Until the request is released.
    unreleased: Option<Unreleased>,
    /// Body bytes that are scanned and not yet in the metrics.
    uncounted_bytes: u64,
    /// A refusal is sent in gRPC's form.
    is_grpc: bool,
    /// The Content-Type, if the request is refused for it.
    refused_type: Option<RefusedType>,
}

impl<H: Host> Request<H> {
    /// A request whose headers Envoy is about to show.
    #[must_use]
    pub fn new(plugin: Rc<Plugin<H>>) -> Self {
        let is_shadow = plugin.decider.config().shadow;
        let inspection = if is_shadow { Inspection::shadowing() } else { Inspection::enforcing() };
        let unreleased = Some(Unreleased::at_headers());
        Self { plugin, inspection, unreleased, uncounted_bytes: 0, is_grpc: false, refused_type: None }
    }

    /// The headers are complete. `end_of_stream`: nothing follows.
    pub fn on_headers(&mut self, end_of_stream: bool) -> Action {
        let step = self.inspect_headers(end_of_stream);
        self.carry_out(step)
    }

    /// Envoy shows `size` bytes of the body: while the request is paused all of it so far, after the release only the
    /// new bytes.
    pub fn on_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        let scanned = if self.inspection.scans_body() { self.scan(size) } else { Ok(()) };
        let step = scanned.err().unwrap_or_else(|| self.inspection.end_chunk(end_of_stream));
        self.carry_out(step)
    }

    /// The trailers are complete, and with them the request. No body callback had `end_of_stream` then.
    pub fn on_trailers(&mut self) -> Action {
        let step = self.inspect_trailers();
        self.carry_out(step)
    }

    /// The request is over: complete, refused or aborted.
    pub fn on_end(&mut self) {
        let metrics = &self.plugin.metrics;
        metrics.inspected(std::mem::take(&mut self.uncounted_bytes));
        if self.inspection.end() {
            metrics.abandoned();
        }
    }

    fn inspect_headers(&mut self, end_of_stream: bool) -> InspectionStep {
        let Plugin { host, decider, metrics, .. } = &*self.plugin;
        if self.inspection.phase() != Phase::Start {
            return self.inspection.stay();
        }
        if decider.config().shadow {
            let Some(head) = host.request_headers() else { return self.inspection.unreadable_fields() };
            metrics.stripped(strip::reserved(&head, &decider.config().routing_header).count() as u64);
            return self.inspection.head(decider, &RequestHead::new(host, &head), end_of_stream, None);
        }
        let stripped = self.unreleased.as_ref().and_then(|unreleased| strip::headers(host, unreleased, decider));
        let Some(Stripped { head, count, decided_before }) = stripped else {
            return self.inspection.unreadable_fields();
        };
        metrics.stripped(count);
        self.is_grpc = is_grpc_call(&head);
        let step = self.inspection.head(decider, &RequestHead::new(host, &head), end_of_stream, decided_before);
        if let InspectionStep::Decide { decision: Decision { outcome: Outcome::Reject(_), reason }, .. } = step {
            self.refused_type = RefusedType::of(reason, decider.config(), head.first("content-type"));
        }
        step
    }

    /// Scans the bytes that Envoy has not shown before, window by window. `Err`: the step to take at once.
    fn scan(&mut self, size: usize) -> Result<(), InspectionStep> {
        let mut start = usize::try_from(self.inspection.held_bytes()).unwrap_or(usize::MAX);
        if size < start {
            return Err(self.inspection.unread_body());
        }
        while start < size {
            let length = WINDOW.min(size - start);
            let window = self.plugin.host.request_body(start, length);
            if window.len() != length {
                return Err(self.inspection.unread_body());
            }
            self.uncounted_bytes += length as u64;
            self.inspection.push(&window)?;
            start += length;
        }
        Ok(())
    }

    fn inspect_trailers(&mut self) -> InspectionStep {
        let Plugin { host, decider, metrics, .. } = &*self.plugin;
        if decider.config().shadow {
            return self.inspection.trailers();
        }
        let Some(count) = strip::trailers(host, &decider.config().routing_header) else {
            return self.inspection.unreadable_fields();
        };
        metrics.stripped(count);
        self.inspection.trailers()
    }

    fn carry_out(&mut self, step: InspectionStep) -> Action {
        match step {
            InspectionStep::Wait => Action::Pause,
            InspectionStep::Continue => Action::Continue,
            InspectionStep::Decide { decision, mode } if self.plugin.decider.config().shadow => {
                self.report(decision, mode)
            }
            InspectionStep::Decide { decision, mode } => self.enforce(decision, mode),
            InspectionStep::Conflict { status, reason, cell } => self.end_released(status, reason, cell),
        }
    }

    /// Releases or refuses a request that waits.
    fn enforce(&mut self, decision: Decision, mode: BodyMode) -> Action {
        let Plugin { host, decider, metrics, .. } = &*self.plugin;
        let Decision { outcome, reason } = decision;
        metrics.inspected(std::mem::take(&mut self.uncounted_bytes));
        let is_due = self.inspection.is_limited(decider, decision) && !self.spend(decision);
        let unreleased = self.unreleased.take();
        let release = |header| unreleased.is_some_and(|unreleased| host.release(unreleased, header));
        if is_due {
            // Without the service, no header names a cell, and no cell's route takes the request.
            host.set_property(HANDOVER_STATE, &self.inspection.handover(decider, decision));
            let decision = Decision { outcome: Outcome::Defer, reason: Reason::LimitDue };
            metrics.deferred(BodyMode::Headers);
            note(host, ["defer=", BodyMode::Headers.label()], decision.reason);
            let deferral = Deferral { mode: BodyMode::Headers, reason: decision.reason };
            let is_released = release(Some((headers::DEFER, &deferral.header_value())));
            return self.released(is_released, decision);
        }
        let is_released = match outcome {
            Outcome::Cell(cell) => {
                let name = decider.config().cell_name(cell);
                note(host, ["cell=", name], reason);
                release(Some((&decider.config().routing_header, name)))
            }
            Outcome::Defer => {
                metrics.deferred(mode);
                note(host, ["defer=", mode.label()], reason);
                release(Some((headers::DEFER, &Deferral { mode, reason }.header_value())))
            }
            Outcome::Pass => {
                note(host, ["pass", ""], reason);
                release(None)
            }
            Outcome::Reject(status) => {
                metrics.decided(decision);
                note(host, ["reject=", &status.to_string()], reason);
                return self.refuse(status, reason);
            }
        };
        self.released(is_released, decision)
    }

    /// Whether a request under rate limits is admitted with leased units. If not, the service judges it.
    fn spend(&self, decision: Decision) -> bool {
        let Plugin { decider, metrics, leases, .. } = &*self.plugin;
        let spent = leases.as_ref().and_then(|leases| leases.spend(&self.inspection, decider, decision));
        spent.inspect(|is_spent| metrics.leased(*is_spent)).unwrap_or_default()
    }

    /// Counts a decision that is carried out. If Envoy did not set its header, the request is refused.
    fn released(&mut self, is_released: bool, decision: Decision) -> Action {
        if is_released {
            self.plugin.metrics.decided(decision);
            return Action::Continue;
        }
        let refusal = self.inspection.release_failed();
        self.carry_out(refusal)
    }

    /// Notes a decision that is not carried out.
    fn report(&mut self, decision: Decision, mode: BodyMode) -> Action {
        let Plugin { host, decider, metrics, .. } = &*self.plugin;
        let Decision { outcome, reason } = decision;
        metrics.inspected(std::mem::take(&mut self.uncounted_bytes));
        metrics.decided(decision);
        match outcome {
            Outcome::Cell(cell) => note(host, ["shadow;cell=", decider.config().cell_name(cell)], reason),
            Outcome::Defer => note(host, ["shadow;defer=", mode.label()], reason),
            Outcome::Pass => note(host, ["shadow;pass", ""], reason),
            Outcome::Reject(status) => note(host, ["shadow;reject=", &status.to_string()], reason),
        }
        Action::Continue
    }

    /// Ends a released request before the upstream has a complete body.
    fn end_released(&mut self, status: u16, reason: Reason, cell: Option<CellId>) -> Action {
        let Plugin { host, decider, metrics, .. } = &*self.plugin;
        let cell = cell.map_or("", |cell| decider.config().cell_name(cell));
        metrics.conflicted();
        host.set_property(PROPERTY, &format!("reject={status};reason={reason};after={cell}"));
        self.refuse(status, reason)
    }

    fn refuse(&self, status: u16, reason: Reason) -> Action {
        let host = &self.plugin.host;
        if self.is_grpc {
            // Envoy derives `grpc-status` from the status, and takes `grpc-message` from the body.
            host.respond(status, "text/plain", &grpc_message(reason));
        } else {
            host.respond(status, PROBLEM_CONTENT_TYPE, &problem(status, reason, self.refused_type.as_ref()));
        }
        Action::Pause
    }
}

/// Sets the note for access logs. Every request has one, so it is built in one allocation.
fn note<H: Host>(host: &H, outcome: [&str; 2], reason: Reason) {
    let [kind, value] = outcome;
    host.set_property(PROPERTY, &[kind, value, ";reason=", reason.label()].concat());
}

#[cfg(test)]
mod tests;
