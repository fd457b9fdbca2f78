//! The way through one fault: injection, recovery, and a quiet time in which every answer must be right.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use cellgate_tests::wait;

use crate::checks;
use crate::faults::{self, Fault};
use crate::journal::{Answers, Journal};
use crate::rig::Rig;

/// So many right answers of each client make a quiet time.
const QUIET: u64 = 4;

/// How a fault ended.
#[derive(Clone, Debug)]
pub(crate) enum Ended {
    /// Every client works again.
    Recovered(Answers),
    /// The fault was not injected, and why.
    Skipped(&'static str),
}

/// Injects a fault, lifts it, and waits for the recovery. Breaches are in the journal.
///
/// # Errors
/// The fault has no effect, a part does not come back, or a client never works again.
pub(crate) async fn pass_through(
    fault: &'static Fault,
    hold: Duration,
    rig: &mut Rig,
    journal: &Journal,
) -> Result<Ended> {
    if let Some(why) = rig.lacks(fault.needs()) {
        return Ok(Ended::Skipped(why));
    }
    journal.begin(fault);
    faults::strike(fault, rig, journal, hold).await.with_context(|| format!("injecting {}", fault.name))?;
    faults::lift(fault, rig).await.with_context(|| format!("lifting {}", fault.name))?;
    journal.lift();
    let answers = recovered(fault, journal).await?;
    quiet(rig, journal).await?;
    Ok(Ended::Recovered(answers))
}

/// Waits until every client works again. It is a breach if that takes longer than the fault's row says.
async fn recovered(fault: &Fault, journal: &Journal) -> Result<Answers> {
    let start = Instant::now();
    let works = || async { Ok(journal.try_recover()) };
    let answers = match wait::until("the recovery", works).await {
        Ok(answers) => answers,
        Err(error) => bail!("{}: {error}: these do not work: {}", fault.name, journal.unwell().join(", ")),
    };
    if start.elapsed() > fault.recovery {
        let (took, bound) = (start.elapsed().as_secs_f64(), fault.recovery.as_secs());
        journal.breach(format!("the recovery took {took:.1} s, and {bound} s are allowed"));
    }
    Ok(answers)
}

/// Waits until every client has got some right answers, then judges what has reached the cells.
///
/// # Errors
/// A client never gets one.
pub(crate) async fn quiet(rig: &mut Rig, journal: &Journal) -> Result<()> {
    let steady = || async { Ok(journal.is_steady(QUIET).then_some(())) };
    if let Err(error) = wait::until("right answers", steady).await {
        bail!("{error}: these do not work: {}", journal.unwell().join(", "));
    }
    for (cell, seen) in rig.take_arrivals() {
        if let Err(breach) = checks::arrival(journal.kinds(), &cell, &seen) {
            journal.breach(format!("{breach}\n  at the cell {seen:?}"));
        }
    }
    rig.trim_log()
}
