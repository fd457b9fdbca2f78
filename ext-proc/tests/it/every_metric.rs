//! All metrics of the service.

use std::time::Duration;

use cellgate_ext_proc::{Budget, Metrics};
use cellgate_routing::{Decision, Outcome, Reason};

/// The text of `/metrics` in which every metric has a value.
pub(crate) fn every_metric() -> String {
    let metrics = Metrics::new().unwrap();
    let decision = Decision { outcome: Outcome::Reject(400), reason: Reason::KeyDuplicated };
    metrics.decided(decision, Duration::ZERO);
    metrics.conflict(decision);
    metrics.reloaded(true);
    metrics.config_in_force("one");
    metrics.handshake("ok");
    metrics.tls_reloaded(true);
    metrics.certificate_in_force(1, 2);
    metrics.answered_admin("/metrics", 200);
    String::from_utf8(metrics.render(&Budget::new(0)).unwrap()).unwrap()
}
