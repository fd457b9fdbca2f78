//! What the filter does with a request, by its rules: hold, peek or defer.

use cellgate_routing::{Opening, Outcome, Reason, Router};

use super::{Request, Verdict};

/// Decides as the filter does, with `first_chunk` bytes in the first callback of a body that it may not hold.
pub(super) fn run(router: &Router, head: &[(String, Vec<u8>)], request: &Request, first_chunk: usize) -> Verdict {
    let verdict = |how: String, decision| Verdict { how, decision, conflict: None };
    let inspect = router.config().limits.inspect_bytes;
    let body = request.body.as_slice();
    let mut reading = match router.open(head, request.end_of_stream) {
        Opening::Decided(decision) => return verdict("decides from the head".to_owned(), decision),
        Opening::Read(reading) => reading,
    };
    if let Some(length) = reading.content_length().filter(|length| *length <= inspect) {
        let how = format!("holds the body: {length} of at most {inspect} bytes");
        let decision = match reading.push(body) {
            Ok(()) => reading.finish(),
            Err(decision) => decision,
        };
        return verdict(how, decision);
    }
    let (first, rest) = body.split_at(first_chunk.min(body.len()));
    let why = if reading.content_length().is_some() { "too large" } else { "of unknown length" };
    let how = format!("peeks at {} bytes of a body {why} to hold", first.len());
    if let Err(decision) = reading.push(first) {
        return verdict(how, decision);
    }
    match reading.settle() {
        Ok((decision, mut guard)) if matches!(decision.outcome, Outcome::Cell(_) | Outcome::Pass) => {
            let conflict = guard.push(rest).and_then(|()| guard.finish()).err();
            Verdict { how: format!("{how}, guards the rest"), decision, conflict }
        }
        Ok((decision, _)) => verdict(how, decision),
        Err(reading) => {
            let known = reading.content_length().is_some();
            let reason = if known { Reason::BodyTooLarge } else { Reason::BodyLengthUnknown };
            verdict(how, router.answer(reason))
        }
    }
}
