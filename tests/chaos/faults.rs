//! The faults: a table of what each may do to whom, and the modules that inject and lift them.

mod certificates;
mod configuration;
mod links;
mod processes;
mod resources;

use std::time::Duration;

use anyhow::{Context, Result};
use cellgate_tests::wait;

use crate::checks::Outcome;
use crate::journal::{Column, Journal};
use crate::rig::Rig;

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// Its name on the command line and in the report.
    pub(crate) name: &'static str,
    /// The sentence of the report.
    pub(crate) does: &'static str,
    pub(crate) kind: Injection,
    /// The cell at fault, if it is one. Only its requests may fail.
    pub(crate) cell: Option<&'static str>,
    /// Errors that may happen, and to whom, from the injection to the recovery. All else must be right.
    harm: &'static [(Column, &'static [Outcome])],
    /// All requests are right again so long after the fault is lifted, at the latest.
    pub(crate) recovery: Duration,
}

/// How a fault is made. A number is the index of the replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Injection {
    KillService(&'static [usize]),
    FreezeService(&'static [usize]),
    KillEnvoy,
    KillStore,
    FreezeStore,
    ServiceLink(Trouble),
    StoreLink(Trouble),
    CellLink(Trouble),
    CellDies,
    CellHangs,
    CellFails,
    ConfigurationStorm,
    CertificateRotates,
    CertificateExpires,
    DiskFull,
    ByteBudgetFull,
    OutOfMemory,
    ClockSteps,
}

/// The trouble of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Each byte is late, and few come in a second.
    Slow,
    /// Every connection is reset, and so is every new one.
    Cut,
    /// Nothing arrives, and no connection ends.
    Silent,
}

/// Parts that not every machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Nothing,
    /// A file system of the run's own.
    SmallDisk,
    Faketime,
}

const UNAVAILABLE: Outcome = Outcome::Status(503);
const TIMEOUT: Outcome = Outcome::Status(504);
/// Envoy's 503 and 504 in gRPC.
const GRPC_UNAVAILABLE: Outcome = Outcome::Grpc(14);

/// The requests that need the service get an error, and all others are right.
const OF_THE_SERVICE: &[(Column, &[Outcome])] = &[
    (Column::Service, &[UNAVAILABLE, TIMEOUT]),
    (Column::Limited, &[UNAVAILABLE, TIMEOUT]),
    (Column::Strict, &[UNAVAILABLE, TIMEOUT]),
];
const OF_STRICT_LIMITS: &[(Column, &[Outcome])] = &[(Column::Strict, &[UNAVAILABLE])];
const OF_THE_CELL: &[(Column, &[Outcome])] = &[(Column::CellAtFault, &[UNAVAILABLE, TIMEOUT, GRPC_UNAVAILABLE])];
const OF_ALL: &[(Column, &[Outcome])] = &[
    (Column::Filter, &[Outcome::Cut]),
    (Column::Service, &[Outcome::Cut]),
    (Column::Limited, &[Outcome::Cut]),
    (Column::Strict, &[Outcome::Cut]),
];
const OF_DEFERRED_BODIES: &[(Column, &[Outcome])] = &[(Column::Service, &[UNAVAILABLE])];
const NONE: &[(Column, &[Outcome])] = &[];

/// Generous: only a fault that does not heal takes so long.
const SOON: Duration = Duration::from_secs(15);

const fn fault(
    name: &'static str,
    does: &'static str,
    kind: Injection,
    harm: &'static [(Column, &'static [Outcome])],
) -> Fault {
    Fault { name, does, kind, cell: None, harm, recovery: SOON }
}

const fn of_cell(
    name: &'static str,
    does: &'static str,
    kind: Injection,
    cell: &'static str,
    harm: &'static [(Column, &'static [Outcome])],
) -> Fault {
    Fault { name, does, kind, cell: Some(cell), harm, recovery: SOON }
}

/// All faults, in the order of the report.
pub(crate) static FAULTS: &[Fault] = &[
    fault(
        "service-kill-one",
        "One of two replicas of the service gets SIGKILL.",
        Injection::KillService(&[0]),
        OF_THE_SERVICE,
    ),
    fault("service-kill-both", "Both replicas get SIGKILL.", Injection::KillService(&[0, 1]), OF_THE_SERVICE),
    fault(
        "service-freeze-one",
        "One replica gets SIGSTOP, later SIGCONT.",
        Injection::FreezeService(&[1]),
        OF_THE_SERVICE,
    ),
    fault(
        "service-freeze-both",
        "Both replicas get SIGSTOP, later SIGCONT.",
        Injection::FreezeService(&[0, 1]),
        OF_THE_SERVICE,
    ),
    fault(
        "service-link-slow",
        "100 ms in each direction and 1 MB/s between Envoy and both replicas.",
        Injection::ServiceLink(Trouble::Slow),
        NONE,
    ),
    fault(
        "service-link-cut",
        "Connections between Envoy and both replicas are reset.",
        Injection::ServiceLink(Trouble::Cut),
        OF_THE_SERVICE,
    ),
    fault(
        "service-link-silent",
        "Nothing arrives between Envoy and both replicas, and no connection ends.",
        Injection::ServiceLink(Trouble::Silent),
        OF_THE_SERVICE,
    ),
    fault(
        "byte-budget-full",
        "48 uploads stop just before their end, again and again, and fill the byte budget of both replicas.",
        Injection::ByteBudgetFull,
        OF_DEFERRED_BODIES,
    ),
    fault(
        "service-out-of-memory",
        "One replica may get no more memory (`RLIMIT_DATA`), and gets a configuration that needs some.",
        Injection::OutOfMemory,
        OF_THE_SERVICE,
    ),
    fault(
        "store-kill",
        "The store of rate limits gets SIGKILL, and starts again without its data.",
        Injection::KillStore,
        OF_STRICT_LIMITS,
    ),
    fault("store-freeze", "The store gets SIGSTOP, later SIGCONT.", Injection::FreezeStore, OF_STRICT_LIMITS),
    fault(
        "store-link-slow",
        "4 s between the service and the store, which has 2 s to answer.",
        Injection::StoreLink(Trouble::Slow),
        OF_STRICT_LIMITS,
    ),
    fault(
        "store-link-cut",
        "Connections between the service and the store are reset.",
        Injection::StoreLink(Trouble::Cut),
        OF_STRICT_LIMITS,
    ),
    of_cell(
        "cell-link-slow",
        "100 ms in each direction and 1 MB/s between Envoy and one cell.",
        Injection::CellLink(Trouble::Slow),
        "cell-b",
        NONE,
    ),
    of_cell(
        "cell-link-cut",
        "Connections between Envoy and one cell are reset.",
        Injection::CellLink(Trouble::Cut),
        "cell-b",
        OF_THE_CELL,
    ),
    of_cell(
        "cell-link-silent",
        "Nothing arrives between Envoy and one cell, and no connection ends.",
        Injection::CellLink(Trouble::Silent),
        "cell-b",
        OF_THE_CELL,
    ),
    of_cell("cell-dies", "One cell closes its port and all connections.", Injection::CellDies, "cell-c", OF_THE_CELL),
    of_cell("cell-hangs", "One cell reads no request and answers none.", Injection::CellHangs, "cell-c", OF_THE_CELL),
    of_cell("cell-fails", "One cell answers 503 to every request.", Injection::CellFails, "cell-c", OF_THE_CELL),
    fault("envoy-kill", "Envoy gets SIGKILL.", Injection::KillEnvoy, OF_ALL),
    fault(
        "configuration-storm",
        "Both tiers get a new configuration every 100 ms, every third one broken.",
        Injection::ConfigurationStorm,
        NONE,
    ),
    fault(
        "certificate-rotates",
        "Both replicas get new certificates, and their connections are cut, so that the next ones use them.",
        Injection::CertificateRotates,
        OF_THE_SERVICE,
    ),
    fault(
        "certificate-expires",
        "The certificate of one replica expires.",
        Injection::CertificateExpires,
        OF_THE_SERVICE,
    ),
    fault(
        "disk-full",
        "The disk of all logs and configurations is full, and a new configuration is cut off.",
        Injection::DiskFull,
        NONE,
    ),
    // With a real certificate, this fault is `certificate-expires`.
    fault(
        "clock-steps",
        "The clock of one replica steps 400 days ahead, and later back. Its certificate stays valid, as a real one would not.",
        Injection::ClockSteps,
        NONE,
    ),
];

impl Fault {
    /// Whether a request of this column may end so.
    pub(crate) fn allows(&self, column: Column, outcome: Outcome) -> bool {
        self.harm.iter().any(|(who, outcomes)| *who == column && outcomes.contains(&outcome))
    }

    /// Whether requests of this column get right answers all the time, or once Envoy has taken out the one replica at fault.
    pub(crate) fn spares(&self, column: Column) -> bool {
        let is_harmed = self.harm.iter().any(|(who, _)| *who == column);
        !is_harmed || (self.leaves_one_replica() && column != Column::CellAtFault)
    }

    /// Whether one of two replicas still works, or each is at fault only for a moment.
    fn leaves_one_replica(&self) -> bool {
        match self.kind {
            Injection::KillService(which) | Injection::FreezeService(which) => which.len() == 1,
            Injection::OutOfMemory | Injection::CertificateRotates | Injection::CertificateExpires => true,
            _ => false,
        }
    }

    /// Its needs beside the programs that every run has.
    pub(crate) fn needs(&self) -> Need {
        match self.kind {
            Injection::DiskFull => Need::SmallDisk,
            Injection::ClockSteps => Need::Faketime,
            _ => Need::Nothing,
        }
    }
}

/// Injects the fault, waits until it has had its effect, and leaves it in force for `hold` at least. Then those who must work
/// in spite of it have shown that they do: it is a breach if they cannot.
///
/// # Errors
/// When it cannot be injected, or has no effect.
pub(crate) async fn strike(fault: &Fault, rig: &mut Rig, journal: &Journal, hold: Duration) -> Result<()> {
    match fault.kind {
        Injection::KillService(which) => processes::kill_service(rig, journal, which).await?,
        Injection::FreezeService(which) => processes::freeze_service(rig, journal, which).await?,
        Injection::KillEnvoy => processes::kill_envoy(rig, journal).await?,
        Injection::KillStore => processes::kill_store(rig).await?,
        Injection::FreezeStore => processes::freeze_store(rig).await?,
        Injection::OutOfMemory => processes::exhaust_memory(rig).await?,
        Injection::CellDies | Injection::CellHangs | Injection::CellFails => {
            processes::break_cell(rig, journal, fault.kind).await?;
        }
        Injection::ServiceLink(trouble) => links::service(rig, journal, trouble).await?,
        Injection::StoreLink(trouble) => links::store(rig, trouble).await?,
        Injection::CellLink(trouble) => links::cell(rig, journal, trouble).await?,
        // It is its own effect, and goes on until clients have shown that they work.
        Injection::ConfigurationStorm => {
            journal.notice();
            return configuration::storm(rig, hold, || journal.starved(fault).is_empty()).await;
        }
        Injection::CertificateRotates => certificates::rotate(rig).await?,
        Injection::CertificateExpires => certificates::expire(rig).await?,
        Injection::DiskFull => resources::fill_disk(rig).await?,
        Injection::ByteBudgetFull => resources::fill_budget(rig).await?,
        Injection::ClockSteps => resources::step_clock(rig, true).await?,
    }
    journal.notice();
    pause(hold).await;
    served(fault, journal).await
}

/// Waits until clients that must work during the fault have got right answers.
async fn served(fault: &Fault, journal: &Journal) -> Result<()> {
    let all = || async { Ok(journal.starved(fault).is_empty().then_some(())) };
    let served = wait::until("right answers during the fault", all).await;
    served.with_context(|| format!("the fault does not allow that these wait: {}", journal.starved(fault).join(", ")))
}

/// Ends the fault: what an operator or a supervisor would do.
///
/// # Errors
/// When a part does not come back.
pub(crate) async fn lift(fault: &Fault, rig: &mut Rig) -> Result<()> {
    match fault.kind {
        Injection::KillService(which) => processes::restart_service(rig, which).await,
        Injection::OutOfMemory => processes::relieve_memory(rig).await,
        Injection::FreezeService(which) => processes::thaw_service(rig, which),
        Injection::KillEnvoy => rig.start_envoy().await,
        Injection::KillStore => processes::restart_store(rig).await,
        Injection::FreezeStore => processes::thaw_store(rig),
        Injection::CellDies | Injection::CellHangs | Injection::CellFails => {
            processes::mend_cell(rig, fault.kind).await
        }
        Injection::ServiceLink(_) | Injection::StoreLink(_) | Injection::CellLink(_) => rig.links.mend().await,
        Injection::ConfigurationStorm => configuration::settle(rig).await,
        // The new certificates stay.
        Injection::CertificateRotates => Ok(()),
        Injection::CertificateExpires => certificates::renew(rig).await,
        Injection::DiskFull => resources::free_disk(rig).await,
        Injection::ByteBudgetFull => {
            resources::end_uploads(rig);
            Ok(())
        }
        Injection::ClockSteps => resources::step_clock(rig, false).await,
    }
}

/// The fault stays in force for a time of the plan.
pub(crate) async fn pause(time: Duration) {
    #[expect(
        clippy::disallowed_methods,
        reason = "the length of a fault, which the plan sets; nothing is awaited by it"
    )]
    tokio::time::sleep(time).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_plain() {
        let mut names: Vec<_> = FAULTS.iter().map(|fault| fault.name).collect();
        assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '-')));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FAULTS.len());
    }

    /// The product's key claim: the service, its store and its links are not in the way of what the filter decides.
    #[test]
    fn only_envoy_and_the_cell_itself_may_harm_what_the_filter_decides() {
        for fault in FAULTS {
            let harms = fault.harm.iter().any(|(column, _)| *column == Column::Filter);
            assert_eq!(harms, fault.kind == Injection::KillEnvoy, "{}", fault.name);
            let harms_cell = fault.harm.iter().any(|(column, _)| *column == Column::CellAtFault);
            assert!(!harms_cell || fault.cell.is_some(), "{}", fault.name);
            // No cell is at fault that could be answered by another one: 421 and 200 are never allowed.
            let outcomes = fault.harm.iter().flat_map(|(_, outcomes)| outcomes.iter());
            assert!(outcomes.copied().all(|outcome| !matches!(outcome, Outcome::Good | Outcome::Status(200 | 421))));
        }
    }
}
