//! One request, decided however its body is cut.
#![allow(dead_code, reason = "each target uses a part")]

use cellgate_routing::{BodyReader, Decider, Decision, HeadResult, Outcome, SourceValue, Tier};

/// The fields of a request's head.
pub type Fields<'a> = Vec<(&'a str, Vec<u8>)>;

/// The service with these sources, written as JSON.
pub fn decider(sources: &str) -> Decider {
    let text = format!(
        r#"{{"routing_header":"x-cell","cells":["a"],"key":{sources},"placement":{{"default":"a"}},
            "limits":{{"key_bytes":16,"depth":8}}}}"#
    );
    Decider::new(cellgate_config::from_json(&text, "fuzz.json").unwrap_or_else(|error| panic!("{error}")), Tier::Service)
}

/// The head of a POST with a body of this media type.
pub fn head(content_type: &str) -> Fields<'_> {
    vec![(":method", b"POST".to_vec()), (":path", b"/".to_vec()), ("content-type", content_type.into())]
}

/// Decides a request with its body whole, byte by byte, and cut in two in up to 100 places; released early and guarded,
/// and not. Checks that all agree. Returns the decision and the value of each source.
pub fn decide(decider: &Decider, head: &Fields<'_>, body: &[u8]) -> (Decision, Vec<SourceValue>) {
    let whole = read(decider, head, &[body]);
    let bytes: Vec<&[u8]> = body.chunks(1).collect();
    assert_eq!(read(decider, head, &bytes), whole, "byte by byte");
    check_release(decider, head, &bytes, whole.0);
    for cut in (0..=body.len()).step_by(1 + body.len() / 100) {
        let (first, second) = body.split_at(cut);
        assert_eq!(read(decider, head, &[first, second]), whole, "cut at {cut}");
        check_release(decider, head, &[first, second], whole.0);
    }
    whole
}

/// The values count only if the body is well-formed.
fn read(decider: &Decider, head: &Fields<'_>, chunks: &[&[u8]]) -> (Decision, Vec<SourceValue>) {
    let mut reading = match decider.open(head.as_slice(), false) {
        HeadResult::Decided(decision) => return (decision, values(decider, head, None)),
        HeadResult::NeedsBody(reading) => reading,
    };
    let pushed = chunks.iter().try_for_each(|chunk| reading.push(chunk));
    match pushed {
        Err(decision) => (decision, Vec::new()),
        Ok(()) => {
            let decision = reading.finish();
            let values = if reading.broken().is_some() { Vec::new() } else { values(decider, head, Some(&reading)) };
            (decision, values)
        }
    }
}

fn values(decider: &Decider, head: &Fields<'_>, body: Option<&BodyReader>) -> Vec<SourceValue> {
    decider.explain(head.as_slice(), body).into_iter().map(|finding| finding.held).collect()
}

/// Releases the request as soon as its key is settled, and guards the rest. The decision must be the same, or the rest
/// must be refused.
fn check_release(decider: &Decider, head: &Fields<'_>, chunks: &[&[u8]], whole: Decision) {
    let HeadResult::NeedsBody(mut reading) = decider.open(head.as_slice(), false) else { return };
    let mut chunks = chunks.iter();
    while let Some(chunk) = chunks.next() {
        if let Err(decision) = reading.push(chunk) {
            return assert_eq!(decision, whole);
        }
        reading = match reading.settle() {
            Err(unsettled) => unsettled,
            Ok((decision, mut guard)) => {
                let guarded = chunks.try_for_each(|chunk| guard.push(chunk)).and_then(|()| guard.finish());
                return match guarded {
                    Ok(()) => assert_eq!(decision, whole, "released"),
                    Err(_) => assert!(matches!(whole.outcome, Outcome::Reject(_)), "{whole:?}"),
                };
            }
        };
    }
    assert_eq!(reading.finish(), whole);
}
