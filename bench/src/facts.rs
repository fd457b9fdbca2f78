//! Where and with what a run was made: figures without it say little.

use anyhow::Result;
pub(crate) use cellgate_tests::measure::machine::Facts;
use cellgate_tests::measure::machine::{basics, run, size};

use crate::stage::bench_module;
use crate::variants::peers;

/// The machine and Cellgate, and the modules and programs that the benchmark compares it with.
///
/// # Errors
/// When a part that the benchmark needs is not there.
pub(crate) fn facts() -> Result<Facts> {
    let mut facts = basics()?;
    facts.extend([
        ("no-op module", size(&bench_module("cellgate_bench_noop.wasm")?)?),
        ("copying module", size(&bench_module("cellgate_bench_copy.wasm")?)?),
        ("naive module", size(&bench_module("cellgate_bench_naive.wasm")?)?),
    ]);
    facts.extend(peers::programs().into_iter().map(|(name, program, option)| (name, run(&program, &[option]))));
    Ok(facts)
}
