//! `docs/metrics.md` is generated from the metrics of the service and of the filter. `UPDATE=1` writes it.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

#[path = "it/every_metric.rs"]
mod every_metric;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use every_metric::every_metric;

/// The filter's counters, with their descriptions in its documentation.
const FILTER: &str = include_str!("../../filter/src/metrics.rs");

const HEAD: &str = "\
# Metrics

For operators who write queries, alerts and dashboards: every metric of both tiers. This page is
generated from the code. [observe.md](observe.md) explains where they come from, and
[runbooks/](runbooks/README.md) what to do when an alert fires.

Labels have few values: names of cells and limits beyond a bound share the value `other`, and keys
are never labels.

## The service

`/metrics` on the admin port. A counter with labels appears with its first increment, unless an
alert needs its value before.

| metric | type | help |
|---|---|---|
";

const BUCKETS: &str = "
The upper bounds of the histograms' buckets, in seconds
([why these](decisions/0030-metrics-and-objectives.md)):

| histogram | bounds |
|---|---|
";

const FILTER_HEAD: &str = "
## The filter

In Envoy's stats, with `wasmcustom.` in front. Prometheus omits that, and writes `_` for each `.`.
Each appears with its first increment.

| stat | in Prometheus | counts |
|---|---|---|
";

/// A metric as Prometheus sees it.
#[derive(Debug, Default)]
struct Described {
    help: String,
    kind: String,
    labels: Vec<String>,
    bounds: Vec<String>,
}

#[test]
fn the_page_of_metrics_is_current() {
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let expected = document();
    if std::env::var_os("UPDATE").is_some() {
        return std::fs::write(page, expected).unwrap();
    }
    let actual = std::fs::read_to_string(page).unwrap_or_default();
    assert!(actual == expected, "docs/metrics.md is not current: run `make generate`");
}

#[test]
fn every_counter_of_the_filter_is_described() {
    let described: BTreeSet<_> = filter_rows().into_iter().map(|(name, _)| fixed(name).to_owned()).collect();
    let defined: BTreeSet<_> = FILTER
        .lines()
        .filter(|line| line.contains(".flush(&self.host"))
        .map(|line| fixed(line.split('"').nth(1).expect("a name")).to_owned())
        .collect();
    assert_eq!(described, defined);
    assert!(defined.len() > 10, "{defined:?}");
}

fn document() -> String {
    let metrics = service_metrics();
    let mut text = HEAD.to_owned();
    for (name, metric) in &metrics {
        let labels = if metric.labels.is_empty() { String::new() } else { format!("{{{}}}", metric.labels.join(",")) };
        writeln!(text, "| `{name}{labels}` | {} | {} |", metric.kind, metric.help).unwrap();
    }
    text += BUCKETS;
    for (name, metric) in metrics.iter().filter(|(_, metric)| metric.kind == "histogram") {
        assert!(metric.bounds.len() > 3, "{name} has no buckets");
        writeln!(text, "| `{name}` | {} |", metric.bounds.join(", ")).unwrap();
    }
    text += FILTER_HEAD;
    for (name, counts) in filter_rows() {
        writeln!(text, "| `{name}` | `{}` | {counts} |", name.replace('.', "_")).unwrap();
    }
    text
}

/// All metrics of the service, in the order of their names.
fn service_metrics() -> BTreeMap<String, Described> {
    let rendered = every_metric();
    let mut all = BTreeMap::<String, Described>::new();
    let mut current = String::new();
    for line in rendered.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            name.clone_into(&mut current);
            help.clone_into(&mut all.entry(current.clone()).or_default().help);
            continue;
        }
        let metric = all.get_mut(&current).expect("HELP comes first");
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            rest.split(' ').nth(1).expect("a type").clone_into(&mut metric.kind);
            continue;
        }
        let labels = line.split_once('{').and_then(|(_, rest)| rest.rsplit_once('}'));
        let labels = labels.map(|(labels, _)| labels.split(',')).into_iter().flatten();
        for (label, value) in labels.filter_map(|label| label.split_once('=')) {
            if label == "le" {
                metric.bounds.push(value.trim_matches('"').to_owned());
            } else if !metric.labels.iter().any(|known| known == label) {
                metric.labels.push(label.to_owned());
            }
        }
    }
    all.values_mut().for_each(|metric| metric.bounds.retain(|bound| bound != "+Inf"));
    all
}

/// The rows of the table in the documentation of the filter's metrics: name and description.
fn filter_rows() -> Vec<(&'static str, &'static str)> {
    let rows = FILTER.lines().filter_map(|line| line.strip_prefix("//! | `")?.strip_suffix(" |")?.split_once("` | "));
    rows.filter(|(name, _)| name.starts_with("cellgate.")).collect()
}

/// The part of a name before what varies.
fn fixed(name: &str) -> &str {
    let varies = [".{", ".OUTCOME", ".MODE"].iter().filter_map(|mark| name.find(mark)).min();
    varies.and_then(|end| name.get(..end)).unwrap_or(name)
}
