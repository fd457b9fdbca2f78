//! One corpus, five ways: the core alone, both tiers, the filter alone, the service alone in both of its body modes.
//!
//! Each way must come to the decision that the corpus names, for the same reason, with a Content-Length and without,
//! and no cell may ever have received the whole of a refused body. All differences are shown at once, as a table.
//! [`exceptions`] lists what a way cannot do, by Envoy's doing or by its own limits. [`offline`] compares `cellgate decide`
//! with the filter in Envoy, for every case and several first chunks.

mod exceptions;
mod native;
mod offline;
mod rig;
mod table;

use cellgate_tests::corpus::{cases, config};
use cellgate_tests::options::{BodyMode, Chain, Options};

use exceptions::{may_defer, wanted};
use rig::Rig;
use table::Table;

const KIB: u32 = 1024;

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
    let decider = native::decider();
    let mut table = Table::default();
    for case in cases() {
        let Some(wanted) = wanted(Way::Core, &case, &decider) else { continue };
        for framing in Framing::of(&case).iter().copied() {
            for cut in native::Cut::of(&case).iter().copied() {
                let verdict = native::decide(&decider, &case, framing, cut);
                table.compare(&format!("{framing:?}, {cut:?}"), &case.name, &wanted, &verdict);
            }
        }
    }
    table.finish(300);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_tiers_together_decide_every_case() {
    every_case(Way::TwoTiers, Options::default().buffer_limit(32 * KIB)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_alone_decides_every_case_or_defers_it() {
    every_case(Way::Filter, Options::default().chain(Chain::Filter).buffer_limit(32 * KIB)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_alone_decides_every_case_in_one_piece() {
    // Above the largest case: Envoy would answer 413 by itself.
    let options = Options::default().chain(Chain::Service(BodyMode::Buffered)).buffer_limit(4096 * KIB);
    every_case(Way::Buffered, options).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_alone_decides_every_case_as_a_stream() {
    let options = Options::default().chain(Chain::Service(BodyMode::Streamed)).buffer_limit(32 * KIB);
    every_case(Way::Streamed, options).await;
}

async fn every_case(way: Way, options: Options) {
    let decider = native::decider();
    let mut rig = Rig::start(options.config(config())).await;
    let mut table = Table::default();
    for case in cases() {
        let Some(wanted) = wanted(way, &case, &decider) else { continue };
        for framing in Framing::of(&case).iter().copied() {
            let verdict = rig.send(&case, framing).await;
            if !(way == Way::Filter && verdict.is_deferral() && may_defer(&case, framing)) {
                table.compare(&format!("{framing:?}"), &case.name, &wanted, &verdict);
            }
        }
    }
    rig.check_deliveries(&mut table).await;
    table.finish(300);
}

impl Framing {
    /// The ways to announce a case's body. Without one there is only one.
    fn of(case: &cellgate_tests::corpus::Case) -> &'static [Framing] {
        if case.body.is_some() { &[Framing::ContentLength, Framing::Chunked] } else { &[Framing::ContentLength] }
    }
}
