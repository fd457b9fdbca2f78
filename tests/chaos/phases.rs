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
    /// It had no effect, or something does not work again.
    Never,
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
    let lifted = Instant::now();
    journal.lift();
    faults::lift(fault, rig).await.with_context(|| format!("lifting {}", fault.name))?;
    let answers = recovered(fault, lifted, rig, journal).await?;
    quiet(rig, journal).await?;
    Ok(Ended::Recovered(answers))
}

/// Waits until every part and every client works again. It is a breach if that takes longer than the fault's row says.
///
/// Clients alone show too little: one replica can answer all of them, while the other one is still out. The next fault would
/// then find its effect there already.
async fn recovered(fault: &Fault, lifted: Instant, rig: &Rig, journal: &Journal) -> Result<Answers> {
    let works = || async {
        journal.parts(rig.trouble().await.is_none());
        Ok(journal.try_recover())
    };
    let answers = match wait::until("the recovery", works).await {
        Ok(answers) => answers,
        Err(error) => {
            let parts = rig.trouble().await.unwrap_or_else(|| "none of the parts".to_owned());
            bail!("{error}: these do not work: {parts}; of the clients: {}", journal.unwell().join(", "))
        }
    };
    if lifted.elapsed() > fault.recovery {
        let (took, bound) = (lifted.elapsed().as_secs_f64(), fault.recovery.as_secs());
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
