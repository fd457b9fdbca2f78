//! The filter's end of the call `Sync`, and the units that it holds.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use cellgate_limiting::{Answer, Applied, LeaseCache, Micros, Report, Standing};
use cellgate_routing::{Decider, Decision, Inspection};
use proxy_wasm::types::LogLevel;

use super::vm;
use crate::host::Host;
use crate::metrics::Metrics;

/// The longest time that a call may take. Its answer counts only until the next call.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The name of the service's host in calls. Envoy would send the name of the cluster, which may be no host.
const AUTHORITY: &str = "cellgate";

/// A session with the service for the rate limits of one configuration.
#[derive(Debug)]
pub struct LeaseSession<H: Host> {
    host: H,
    cluster: Box<str>,
    fingerprint: u64,
    cache: RefCell<LeaseCache>,
    /// Whether requests needed units since the latest call.
    is_needed: Cell<bool>,
    /// When the latest call was made.
    called: Cell<Option<Micros>>,
    /// The token of the latest call.
    token: Cell<Option<u32>>,
    /// What was logged last of its calls, so that nothing is logged twice.
    state: Cell<CallState>,
}

/// How the calls of a session go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CallState {
    Succeeds,
    Fails,
    /// The service has other rate limits.
    Withdrawn,
}

impl<H: Host> LeaseSession<H> {
    pub(super) fn new(host: H, cluster: &str, fingerprint: u64) -> Self {
        let cache = LeaseCache::new(vm::number(&host), fingerprint);
        Self {
            host,
            cluster: cluster.into(),
            fingerprint,
            cache: RefCell::new(cache),
            is_needed: Cell::new(false),
            called: Cell::new(None),
            token: Cell::new(None),
            state: Cell::new(CallState::Succeeds),
        }
    }

    pub(super) fn serves(&self, cluster: &str, fingerprint: u64) -> bool {
        *self.cluster == *cluster && self.fingerprint == fingerprint
    }

    /// Whether its latest call has this token.
    pub(super) fn has_called(&self, token: u32) -> bool {
        self.token.get() == Some(token)
    }

    /// Spends the units of a limited request. `None`: one of its limits is not leased. `Some(false)`: the units are lacking,
    /// and the next call asks for them.
    pub(crate) fn spend(&self, inspection: &Inspection, decider: &Decider, decision: Decision) -> Option<bool> {
        let mut cache = self.cache.borrow_mut();
        let Some(hasher) = cache.hasher() else {
            // The first answer brings it.
            self.is_needed.set(true);
            return Some(false);
        };
        let charges = inspection.leased_charges(decider, decision, &hasher)?;
        self.is_needed.set(true);
        Some(cache.spend(&charges, micros(self.host.now())))
    }

    /// Makes a call if one is due. A session without requests and without units makes none.
    pub(super) fn sync(&self, metrics: &Metrics<H>) {
        let now = micros(self.host.now());
        let mut cache = self.cache.borrow_mut();
        if cache.is_empty() && !self.is_needed.get() {
            return;
        }
        // A timer may be early by a little. If the clock has gone back, it cannot tell.
        let is_early = |called: Micros| called <= now && now.since(called) < cache.interval() / 10 * 9;
        if self.called.get().is_some_and(is_early) {
            return;
        }
        self.is_needed.set(false);
        self.called.set(Some(now));
        self.call(&cache.report(now), metrics);
    }

    /// Gives up all units, if there are any.
    pub(super) fn close(&self, metrics: &Metrics<H>) {
        let mut cache = self.cache.borrow_mut();
        if !cache.is_empty() {
            self.call(&cache.close(micros(self.host.now())), metrics);
        }
    }

    pub(super) fn apply(&self, answer: &Answer, metrics: &Metrics<H>) {
        let applied = self.cache.borrow_mut().apply(answer, micros(self.host.now()));
        match (applied, answer.standing) {
            // Another secret of limit keys withdraws once too.
            (Applied::Withdrawn, Standing::Withdrawn) => {
                metrics.sync_withdrawn();
                self.turn(
                    CallState::Withdrawn,
                    LogLevel::Warn,
                    "the service has other rate limits than this filter, so nothing is leased and requests under limits go \
                     to the service",
                );
            }
            (Applied::Taken, _) => {
                self.turn(CallState::Succeeds, LogLevel::Info, "the service answers again");
            }
            _ => {}
        }
    }

    /// Counts a call that has failed, and logs the first one.
    pub(super) fn failed(&self, metrics: &Metrics<H>, reason: &str) {
        metrics.sync_failed();
        self.turn(
            CallState::Fails,
            LogLevel::Warn,
            &format!(
                "Sync failed: cluster {}: {reason}. Until it succeeds, and once what is leased is spent, requests under \
                 limits go to the service",
                self.cluster
            ),
        );
    }

    pub(super) fn interval(&self) -> Duration {
        Duration::from_micros(self.cache.borrow().interval())
    }

    #[cfg(test)]
    pub(super) fn stats(&self) -> cellgate_limiting::LeaseCacheStats {
        self.cache.borrow().stats()
    }

    fn call(&self, report: &Report, metrics: &Metrics<H>) {
        let (service, message) = (grpc_service(&self.cluster), cellgate_proto::encode_report(report));
        let token = self.host.call(&service, cellgate_proto::SERVICE, cellgate_proto::METHOD, &message, TIMEOUT);
        self.token.set(token);
        match token {
            Some(_) => metrics.synced(),
            None => self.failed(metrics, "not reachable"),
        }
    }

    fn turn(&self, state: CallState, level: LogLevel, line: &str) {
        if self.state.replace(state) != state {
            self.host.log(level, &format!("cellgate: leases of rate limits: {line}"));
        }
    }
}

fn micros(nanoseconds: u64) -> Micros {
    Micros(nanoseconds / 1_000)
}

/// The message `envoy.config.core.v3.GrpcService` with the cluster and the authority, as Envoy's call takes it. Its lengths
/// are single bytes: the configuration allows no cluster for which they would not be.
fn grpc_service(cluster: &str) -> String {
    let field = |tag: char, text: &str| format!("{tag}{}{text}", char::from(u8::try_from(text.len()).unwrap_or(0)));
    // EnvoyGrpc: cluster_name = 1, authority = 2. GrpcService: envoy_grpc = 1.
    field('\n', &(field('\n', cluster) + &field('\u{12}', AUTHORITY)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_of_the_longest_name_is_a_message() {
        let cluster = "c".repeat(115);
        let message = grpc_service(&cluster);
        assert_eq!(message.len(), 2 + 2 + 115 + 2 + 8);
        assert!(message.is_ascii());
        assert_eq!(grpc_service("ab"), "\n\u{e}\n\u{2}ab\u{12}\u{8}cellgate");
    }
}
