use std::sync::Arc;

use super::*;
use crate::cases::{Case, SIZES};
use crate::row::Batch;
use crate::variants;

/// Envoy alone, the filter and the service at two sizes; the service does not support the larger one.
fn rows() -> Vec<Row> {
    let named = |name: &str| variants::all().find(|variant| variant.name == name).unwrap();
    let costs = [("plain", 100.0, 0.0), ("filter", 140.0, 0.0), ("service-buffered", 320.0, 60.0)];
    let mut rows = Vec::new();
    for size in [SIZES[1], SIZES[4]] {
        for (name, proxy, service) in costs {
            let mut row = Row::new(Case::plain(size), named(name), Arc::default());
            if let Outcome::Measured(batches) = &mut row.outcome {
                batches.extend([Batch { proxy, service }, Batch { proxy: proxy * 2.0, service: service * 2.0 }]);
            }
            rows.push(row);
        }
    }
    rows
}

fn report(rows: &[Row]) -> Report<'_> {
    let goals = vec![
        Goal::at_most("cost", Spread { median: 1.2, min: 1.1, max: 1.3 }, 1.25),
        Goal::at_least("gain, MB", Spread::one(12.0), 20.0),
        Goal { unclear: Some(7), ..Goal::at_most("noise", Spread { median: 1.0, min: 0.5, max: 2.0 }, 1.1) },
    ];
    Report { facts: vec![("CPU", "fast".to_owned())], effort: Effort::QUICK, rows, goals, parts: &[] }
}

#[test]
fn every_variant_has_a_figure_or_a_reason_for_every_size() {
    let text = report(&rows()).markdown();
    for wanted in [
        "### objects, key last, HTTP/1.1\n\n| | 4 KB | 10 MB |",
        "| Envoy alone | 150 (1.00) | 150 (1.00) |",
        "| **Cellgate's filter** | 210 (1.40) | 421 |",
        "| **Cellgate's service, BUFFERED** | 570 (3.80) | 413 |",
        "| **Cellgate's service, BUFFERED** | 480 (320 to 640) | 90 (60 to 120) | 420 (280 to 560) | 3.80 |",
    ] {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
}

#[test]
fn goals_are_shown_with_their_limits() {
    let rows = rows();
    let report = report(&rows);
    assert!(report.goals_table().contains("| cost | 1.200 (1.100 to 1.300) | ≤ 1.25 | yes |"));
    assert!(report.goals_table().contains("| gain, MB | 12.0 | ≥ 20 | **no** |"));
    assert_eq!(report.verdict(), "goals: 1 of 3 hold, 1 unclear");
}

#[test]
fn an_unclear_goal_does_not_remove_other_figures() {
    let rows = rows();
    let report = report(&rows);
    let text = report.markdown();
    for wanted in [
        "| noise | 1.000 (0.500 to 2.000) | ≤ 1.1 | *unclear*, needs about 7 more rounds |",
        "| cost | 1.200 (1.100 to 1.300) | ≤ 1.25 | yes |",
        "| **Cellgate's filter** | 210 (1.40) | 421 |",
    ] {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
    assert!(!report.is_good());
    assert_eq!(report.json()["goals"][2]["unclear"], true);
}

#[test]
fn the_json_report_is_complete() {
    let json = report(&rows()).json();
    let goal = json!({"name": "cost", "value": 1.2, "min": 1.1, "max": 1.3, "goal": 1.25, "at_most": true, "holds": true, "unclear": false});
    assert_eq!(json["goals"][0], goal);
    let row = &json["rows"][1];
    assert_eq!((&row["variant"], &row["case"]), (&json!("filter"), &json!("4KB-objects-last-h1")));
    assert_eq!((&row["ratio"]["median"], &row["batches"]), (&json!(1.4), &json!([[140.0, 0.0], [280.0, 0.0]])));
    assert_eq!(json["rows"][4]["cannot"], "Status(421)");
}
