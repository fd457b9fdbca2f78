//! Where a way comes to another decision than the corpus names, and why.

use cellgate_routing::{Decider, is_grpc_call};
use cellgate_tests::corpus::Case;

use super::table::Verdict;
use super::{Way, native};

const IN_ENVOY: &[Way] = &[Way::TwoTiers, Way::Filter, Way::Buffered, Way::Streamed];

/// What Envoy surely reads at once.
const FIRST_READ: usize = 4096;

/// Cases that come to something else than the corpus names.
struct Exception {
    ways: &'static [Way],
    cases: &'static [&'static str],
    /// What comes of them. `None`: they are not run.
    instead: Option<&'static str>,
}

const EXCEPTIONS: &[Exception] = &[
    // `limits.stream_bytes` is kept by the service, which stops reading there. The core would read on.
    Exception { ways: &[Way::Core], cases: &["size: key beyond what the service holds"], instead: None },
    // In one message, 3 MB keep a debug build of the service busy for longer than Envoy waits for an answer to its ping.
    Exception { ways: &[Way::Buffered], cases: &["size: a million empty objects"], instead: None },
    // Envoy's HTTP/1 codec refuses methods it does not know.
    Exception { ways: IN_ENVOY, cases: &["head: unknown method"], instead: Some("400 envoy") },
];

/// Whether Envoy itself changes what becomes of a case, before or after Cellgate decides.
pub(super) fn is_changed_by_envoy(case: &Case) -> bool {
    let is_listed = |exception: &Exception| exception.ways == IN_ENVOY && exception.cases.contains(&&*case.name);
    is_refused_call(case) || EXCEPTIONS.iter().any(is_listed)
}

/// Whether a case is a gRPC call that Envoy may answer before it has read all of it.
pub(super) fn is_long_call(case: &Case) -> bool {
    is_grpc_call(case.headers.as_slice()) && case.body.as_ref().is_some_and(|body| body.len() > FIRST_READ)
}

/// Whether a case is a gRPC call that is to be refused: Envoy answers 200, with a status in `grpc-status`.
fn is_refused_call(case: &Case) -> bool {
    is_grpc_call(case.headers.as_slice()) && case.expect.outcome.parse::<u16>().is_ok()
}

/// What must come of a case. `None`: it cannot be run this way.
pub(super) fn wanted(way: Way, case: &Case, decider: &Decider) -> Option<Verdict> {
    let applies = |exception: &&Exception| exception.ways.contains(&way) && exception.cases.contains(&&*case.name);
    if let Some(exception) = EXCEPTIONS.iter().find(applies) {
        let (outcome, reason) = exception.instead?.split_once(' ')?;
        return Some(Verdict::new(outcome, reason));
    }
    let outcome = match case.expect.outcome.as_str() {
        _ if is_refused_call(case) && IN_ENVOY.contains(&way) => "200".to_owned(),
        "slot" => native::cell_of_slot(decider, case),
        outcome => outcome.to_owned(),
    };
    Some(Verdict::new(outcome, &case.expect.reason))
}
