//! The filter's decision: the filter's own rule, driven as Envoy drives it for HTTP/1.1.
//!
//! The end of the stream comes after the last chunk and not with it, as it may over HTTP/2. The rule is enforced even if
//! the configuration says `shadow`: the report shows what the filter would do.

use cellgate_routing::{Decider, Decision, Inspection, InspectionStep, Outcome, Phase, Reason, content_length};

use super::{Request, Verdict};
use crate::fields::RequestHead;

/// Decides as the filter does, with a body that arrives in chunks of this many bytes. Also returns whether the filter hands
/// its decision over to the service, for the rate limits of the request.
pub(super) fn run(decider: &Decider, head: &RequestHead<'_>, request: &Request, chunk_size: usize) -> (Verdict, bool) {
    let chunk_size = chunk_size.max(1);
    let mut inspection = Inspection::enforcing();
    let mut steps = vec![inspection.head(decider, head, request.end_of_stream, None)];
    let opened = inspection.phase();
    let mut is_guarded = false;
    if !request.end_of_stream {
        for chunk in request.body.chunks(chunk_size) {
            steps.push(inspection.push(chunk).err().unwrap_or_else(|| inspection.end_chunk(false)));
            is_guarded |= inspection.phase() == Phase::Guarding;
        }
        steps.push(inspection.end_chunk(true));
    }
    let announced = content_length(head);
    let first = request.body.len().min(chunk_size);
    let how = match (opened, announced) {
        (Phase::Holding, _) => {
            let (length, limit) = (request.body.len(), decider.config().limits.inspect_bytes);
            format!("holds the body: {length} of at most {limit} bytes")
        }
        (Phase::Peeking, Some(length)) if length == first as u64 => {
            format!("reads all {length} bytes, which arrive in one chunk")
        }
        (Phase::Peeking, None) if first == 0 => "reads all 0 bytes".to_owned(),
        (Phase::Peeking, announced) => {
            let why = if announced.is_some() { "too large to hold" } else { "of unknown length" };
            let guards = if is_guarded { ", guards the rest" } else { "" };
            format!("peeks at {first} bytes of a body {why}{guards}")
        }
        _ => "decides from the head".to_owned(),
    };
    let verdict = verdict(how, &steps);
    let is_handed_over = inspection.is_limited(decider, verdict.decision);
    (verdict, is_handed_over)
}

fn verdict(how: String, steps: &[InspectionStep]) -> Verdict {
    // A request that ends is decided.
    let mut decision = Decision { outcome: Outcome::Reject(500), reason: Reason::BodyUnread };
    let mut conflict = None;
    for step in steps {
        match *step {
            InspectionStep::Wait | InspectionStep::Continue => {}
            InspectionStep::Decide { decision: decided, mode: _ } => decision = decided,
            InspectionStep::Conflict { status, reason, cell: _ } => {
                conflict = Some(Decision { outcome: Outcome::Reject(status), reason });
            }
        }
    }
    Verdict { how, decision, conflict }
}
