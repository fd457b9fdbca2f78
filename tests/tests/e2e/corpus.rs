//! The corpora, five ways: the core alone, both tiers, the filter alone, the service alone in both of its body modes.
//!
//! Each way must come to the decision that the corpus names, for the same reason, with a Content-Length and without,
//! and no cell may ever have received the whole of a refused body. All differences are shown at once, as a table.
//! [`exceptions`] lists what a way cannot do, by Envoy's doing or by its own limits. [`offline`] compares `cellgate decide`
//! with the filter in Envoy, for every case and several first chunks.
//!
//! Every way runs twice: with the policy of the corpus, and with a cell in place of each refusal ([`run::Answers`]). The
//! second expectation follows from the first: the same reason, and the cell.

mod exceptions;
mod native;
mod offline;
mod rig;
mod run;
mod table;

use std::time::Duration;

use cellgate_tests::corpus::{self, Case};
use cellgate_tests::options::{BodyMode, Chain, Options};

use rig::Rig;
use run::{Answers, Run};
use table::Table;

const KIB: u32 = 1024;

/// Envoy and the service wait for a decision for so long: less than the client, so that they say what was slow.
const PATIENCE: Duration = Duration::from_secs(25);

/// Who decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Core,
    TwoTiers,
    Filter,
    Buffered,
    Streamed,
}

/// How a body's end is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    ContentLength,
    Chunked,
}

#[test]
fn the_core_decides_every_case_however_its_body_is_cut() {
    let mut table = Table::default();
    for run in runs(Way::Core, &[Answers::Own, Answers::Use]) {
        for case in &run.cases {
            let Some(wanted) = run.wanted(case) else { continue };
            for framing in Framing::of(case).iter().copied() {
                for cut in native::Cut::of(case).iter().copied() {
                    let verdict = native::decide(&run.decider, case, framing, cut);
                    if !run.is_also_right(case, framing, cut.is_held(), &verdict) {
                        table.compare(
                            &format!("{:?}, {framing:?}, {cut:?}", run.answers),
                            &case.name,
                            &wanted,
                            &verdict,
                        );
                    }
                }
            }
        }
    }
    table.finish(10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_tiers_together_decide_every_case() {
    every_case(Way::TwoTiers, Answers::Own).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_tiers_together_send_to_a_cell_what_they_would_refuse() {
    every_case(Way::TwoTiers, Answers::Use).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_alone_decides_every_case_or_defers_it() {
    every_case(Way::Filter, Answers::Own).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_alone_sends_to_a_cell_what_it_would_refuse_or_defer() {
    every_case(Way::Filter, Answers::Use).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_alone_decides_every_case_in_one_piece() {
    every_case(Way::Buffered, Answers::Own).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_alone_sends_to_a_cell_what_it_would_refuse_in_one_piece() {
    every_case(Way::Buffered, Answers::Use).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_alone_decides_every_case_as_a_stream() {
    every_case(Way::Streamed, Answers::Own).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_alone_sends_to_a_cell_what_it_would_refuse_as_a_stream() {
    every_case(Way::Streamed, Answers::Use).await;
}

async fn every_case(way: Way, answers: Answers) {
    let mut table = Table::default();
    for run in runs(way, &[answers]) {
        let mut rig = Rig::start(way.options().config(run.config.clone())).await;
        let is_cut = way == Way::Streamed && rig.may_close_the_processors_stream().await;
        for case in run.cases.iter().filter(|case| !(is_cut && exceptions::is_long_call(case))) {
            let Some(wanted) = run.wanted(case) else { continue };
            for framing in Framing::of(case).iter().copied() {
                let verdict = rig.send(case, framing).await;
                if !run.is_also_right(case, framing, run.holds(case, framing), &verdict) {
                    table.compare(&format!("{framing:?}"), &case.name, &wanted, &verdict);
                }
            }
        }
        rig.check_deliveries(&mut table).await;
    }
    table.finish(1500);
}

/// Every corpus with every policy.
fn runs(way: Way, answers: &[Answers]) -> impl Iterator<Item = Run> {
    answers.iter().flat_map(move |answers| corpus::all().map(|corpus| Run::new(corpus, *answers, way)))
}

impl Way {
    fn options(self) -> Options {
        let (chain, limit) = match self {
            Way::Core | Way::TwoTiers => (Chain::TwoTier, 32 * KIB),
            Way::Filter => (Chain::Filter, 32 * KIB),
            // Above the largest case: Envoy would answer 413 by itself.
            Way::Buffered => (Chain::Service(BodyMode::Buffered), 4096 * KIB),
            Way::Streamed => (Chain::Service(BodyMode::Streamed), 32 * KIB),
        };
        // A debug build on a busy machine needs seconds for the largest case; no case is about time.
        Options::default()
            .chain(chain)
            .buffer_limit(limit)
            .message_timeout(PATIENCE)
            .service_option("--decision-timeout", &format!("{}s", PATIENCE.as_secs()))
    }
}

impl Framing {
    /// The ways to announce a case's body. Without one there is only one.
    fn of(case: &Case) -> &'static [Framing] {
        if case.body.is_some() { &[Framing::ContentLength, Framing::Chunked] } else { &[Framing::ContentLength] }
    }
}
