//! The documentation names the metrics that there are, and no others.

use std::collections::BTreeSet;

use crate::support::every_metric;

const OBSERVE: &str = include_str!("../../../docs/observe.md");

#[test]
fn every_metric_is_documented_and_every_documented_one_exists() {
    let text = every_metric();
    let actual = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let documented =
        OBSERVE.lines().filter_map(|line| line.strip_prefix("| `")).filter(|row| row.starts_with("cellgate_"));
    let documented = documented.filter_map(|row| row.split(['{', '`']).next());
    assert_eq!(documented.collect::<BTreeSet<_>>(), actual.collect::<BTreeSet<_>>());
}
