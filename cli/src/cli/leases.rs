//! The options of `cellgate serve` for leases of rate limits.

use std::time::Duration;

use cellgate_ext_proc::LeaseSettings;
use clap::Args;

use super::{Exit, Failure, values};

/// Options for leases.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rate limits")]
pub(crate) struct LeaseArgs {
    /// How long filters may spend leased units after they last reached the service: 1s to 60s
    #[arg(long, value_name = "TIME", env = "CELLGATE_LEASE_TERM", default_value = "10s", value_parser = values::lease_term)]
    lease_term: Duration,
    /// How often a filter reports what it has spent of its leases: 100ms to 10s, and less than half of --lease-term
    #[arg(long, value_name = "TIME", env = "CELLGATE_SYNC_INTERVAL", default_value = "1s", value_parser = values::sync_interval)]
    sync_interval: Duration,
}

impl LeaseArgs {
    /// The times of leases. If one report is lost, the next one must still come in time.
    pub(super) fn settings(&self) -> Result<LeaseSettings, Failure> {
        let (term, interval) = (self.lease_term, self.sync_interval);
        if interval * 2 >= term {
            let message = format!(
                "--sync-interval {interval:?} must be less than half of --lease-term {term:?}: if one report is lost, the next \
                 one must come before the term ends"
            );
            return Err(Failure::new(Exit::Usage, message));
        }
        Ok(LeaseSettings { term, interval })
    }
}
