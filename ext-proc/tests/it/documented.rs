//! The documentation names the metrics that there are, and no others.

use std::collections::BTreeSet;
use std::time::Duration;

use cellgate_ext_proc::Metrics;
use cellgate_routing::{Decision, Outcome, Reason};

const OBSERVE: &str = include_str!("../../../docs/observe.md");

#[test]
fn every_metric_is_documented_and_every_documented_one_exists() {
    let metrics = Metrics::new().unwrap();
    let decision = Decision { outcome: Outcome::Reject(400), reason: Reason::KeyDuplicated };
    metrics.decided(decision, Duration::ZERO);
    metrics.conflict(decision);
    metrics.reloaded(true);
    metrics.config_in_force("one");
    let text = String::from_utf8(metrics.render(0).unwrap()).unwrap();
    let actual = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let documented =
        OBSERVE.lines().filter_map(|line| line.strip_prefix("| `")).filter(|row| row.starts_with("cellgate_"));
    let documented = documented.filter_map(|row| row.split(['{', '`']).next());
    assert_eq!(documented.collect::<BTreeSet<_>>(), actual.collect::<BTreeSet<_>>());
}
