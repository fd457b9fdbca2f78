//! The machine and the programs of a run, for the report.

use anyhow::Result;
pub(crate) use cellgate_tests::measure::machine::Facts;
use cellgate_tests::measure::machine::{basics, run, size};

use crate::stage::bench_module;
use crate::variants::peers;

/// The machine, Cellgate, and the modules and programs that the benchmark compares with it.
///
/// # Errors
/// When a module or a program is missing.
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
