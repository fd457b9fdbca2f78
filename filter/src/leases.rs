//! Leases of rate limits: the filter spends units that the service has charged for it in advance (docs/decisions/0027).
//!
//! A [`LeaseSession`] is the filter's end of the call `Sync`. All requests of a VM under the same rate limits share one, also
//! those of other listeners and of a later configuration. The timers of the roots make its calls, and no request waits for
//! one: without units, the service decides the request.

mod session;
mod vm;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use cellgate_proto::MAX_MESSAGE_BYTES;
use cellgate_routing::Config;

use crate::host::Host;
use crate::metrics::Metrics;
pub use session::LeaseSession;

/// All sessions of a VM. Each has the rate limits of one configuration, so there is rarely more than one.
#[derive(Debug)]
pub struct LeaseSessions<H: Host>(RefCell<Vec<Rc<LeaseSession<H>>>>);

impl<H: Host> Default for LeaseSessions<H> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<H: Host> LeaseSessions<H> {
    /// The session for a configuration, if one of its limits is leased.
    pub(crate) fn session(&self, host: &H, config: &Config) -> Option<Rc<LeaseSession<H>>>
    where
        H: Clone,
    {
        let sync = config.sync.as_ref()?;
        if !config.rate_limits.iter().any(|limit| limit.is_leased) {
            return None;
        }
        let mut open = self.0.borrow_mut();
        let known = open.iter().find(|session| session.serves(&sync.cluster, config.rate_limits_fingerprint));
        if let Some(known) = known {
            return Some(Rc::clone(known));
        }
        let session = Rc::new(LeaseSession::new(host.clone(), &sync.cluster, config.rate_limits_fingerprint));
        open.push(Rc::clone(&session));
        Some(session)
    }

    /// Makes the calls that are due. A session that no configuration and no request has any more gives up its units, and
    /// ends.
    pub(crate) fn tick(&self, metrics: &Metrics<H>) {
        self.0.borrow_mut().retain(|session| {
            let is_used = Rc::strong_count(session) > 1;
            if is_used {
                session.sync(metrics);
            } else {
                session.close(metrics);
            }
            is_used
        });
    }

    /// The call with this token has ended, with this status of gRPC and this many bytes. Calls of sessions that have ended
    /// are not known any more.
    pub(crate) fn on_response(&self, host: &H, metrics: &Metrics<H>, token: u32, status: u32, size: usize) {
        let open = self.0.borrow();
        let Some(session) = open.iter().find(|session| session.has_called(token)) else { return };
        if status != 0 {
            return session.failed(metrics, &format!("gRPC status {status}"));
        }
        // A VM's memory never shrinks, so nothing is copied that is refused anyway.
        if size > MAX_MESSAGE_BYTES {
            return session.failed(metrics, &format!("an answer of {size} bytes is too long"));
        }
        match cellgate_proto::decode_answer(&host.grpc_response(size)) {
            Ok(answer) => session.apply(&answer, metrics),
            Err(error) => session.failed(metrics, &error.to_string()),
        }
    }

    /// The period of a timer that meets the shortest interval of the sessions, and is at most `longest`.
    pub(crate) fn period(&self, longest: Duration) -> Duration {
        let interval = self.0.borrow().iter().map(|session| session.interval()).min().unwrap_or(longest);
        let ticks = interval.as_micros().div_ceil(longest.as_micros().max(1)).max(1);
        interval / u32::try_from(ticks).unwrap_or(1)
    }
}

#[cfg(test)]
mod tests;
