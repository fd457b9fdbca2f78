//! The core without any transport.

use cellgate_routing::{BodyReader, CellId, Decider, Decision, HeadResult, Outcome, headers};
use cellgate_tests::client::HOST;
use cellgate_tests::corpus::Case;

use super::Framing;
use super::table::Verdict;

/// How a body is handed to the core.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cut {
    /// In one piece.
    Whole,
    /// In pieces of one byte, or of a few if it is long.
    Pieces,
    /// In pieces, decided as soon as the key is known, the rest watched by the guard.
    Guarded,
}

impl Cut {
    /// Whether the decision waits for the end of the body.
    pub(super) fn is_held(self) -> bool {
        !matches!(self, Cut::Guarded)
    }

    /// The ways to cut a case's body. The long ones take seconds in a debug build, so they are read one way only.
    pub(super) fn of(case: &Case) -> &'static [Cut] {
        let length = case.body.as_ref().map_or(0, Vec::len);
        if length > 100_000 { &[Cut::Guarded] } else { &[Cut::Whole, Cut::Pieces, Cut::Guarded] }
    }
}

/// What the core says.
pub(super) fn decide(decider: &Decider, case: &Case, framing: Framing, cut: Cut) -> Verdict {
    let body = case.body.as_deref().unwrap_or_default();
    let bodiless = case.body.is_none() || (body.is_empty() && framing == Framing::ContentLength);
    let pieces = body.chunks(body.len().div_ceil(40 * 1024).max(1));
    let decision = match (decider.open(head(case, framing).as_slice(), bodiless), cut) {
        (HeadResult::Decided(decision), _) => decision,
        (HeadResult::NeedsBody(reading), Cut::Whole) => read(reading, [body]),
        (HeadResult::NeedsBody(reading), Cut::Pieces) => read(reading, pieces),
        (HeadResult::NeedsBody(reading), Cut::Guarded) => guard(reading, pieces),
    };
    match decision.outcome {
        Outcome::Cell(cell) => Verdict::new(decider.config().cell_name(cell), decision.reason.label()),
        Outcome::Reject(status) => Verdict::new(status.to_string(), decision.reason.label()),
        Outcome::Defer | Outcome::Pass => Verdict::new(decision.outcome.label(), decision.reason.label()),
    }
}

/// The cell to which the core's placement sends a case whose key has only a slot.
pub(super) fn cell_of_slot(decider: &Decider, case: &Case) -> String {
    let verdict = decide(decider, case, Framing::ContentLength, Cut::Whole);
    assert_eq!(verdict.reason, "slot", "{}", case.name);
    let cells = decider.config().cells.len();
    let known = (0..cells).any(|cell| decider.config().cell_name(CellId(cell as u16)) == verdict.outcome);
    assert!(known, "{}: {verdict}", case.name);
    verdict.outcome
}

/// Whether the head leaves the decision to the body.
pub(super) fn reads_body(decider: &Decider, case: &Case, framing: Framing) -> bool {
    let is_bodiless = case.body.as_ref().is_none_or(|body| body.is_empty() && framing == Framing::ContentLength);
    matches!(decider.open(head(case, framing).as_slice(), is_bodiless), HeadResult::NeedsBody(_))
}

/// The head as a tier shows it to the core: names in lower case, pseudo-headers, no reserved header.
fn head(case: &Case, framing: Framing) -> Vec<(String, Vec<u8>)> {
    let mut head = vec![(":method".into(), case.method.into()), (":path".into(), case.path.clone().into_bytes())];
    if !case.headers.iter().any(|(name, _)| name == "host") {
        head.push((":authority".into(), HOST.into()));
    }
    let sent = case.headers.iter().map(|(name, value)| match name.to_ascii_lowercase() {
        name if name == "host" => (":authority".to_owned(), value.clone()),
        name => (name, value.clone()),
    });
    head.extend(sent.filter(|(name, _)| !headers::is_reserved(name.as_bytes(), "x-cell")));
    if let (Some(body), Framing::ContentLength) = (&case.body, framing) {
        head.push(("content-length".into(), body.len().to_string().into_bytes()));
    }
    head
}

fn read<'a>(mut reading: BodyReader, pieces: impl IntoIterator<Item = &'a [u8]>) -> Decision {
    for piece in pieces {
        if let Err(decision) = reading.push(piece) {
            return decision;
        }
    }
    reading.finish()
}

fn guard<'a>(mut reading: BodyReader, mut pieces: impl Iterator<Item = &'a [u8]>) -> Decision {
    while let Some(piece) = pieces.next() {
        if let Err(decision) = reading.push(piece) {
            return decision;
        }
        reading = match reading.settle() {
            Err(undecided) => undecided,
            Ok((decision, mut guard)) => {
                let watched = pieces.try_for_each(|piece| guard.push(piece)).and_then(|()| guard.finish());
                return watched.err().unwrap_or(decision);
            }
        };
    }
    reading.finish()
}
