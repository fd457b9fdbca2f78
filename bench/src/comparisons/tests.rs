use std::sync::Arc;

use super::*;
use crate::row::Outcome;
use crate::variants;

#[test]
fn far_from_the_goal_noise_does_not_matter() {
    assert_eq!(missing_rounds(&[1.30, 1.80, 1.60, 1.45, 1.50], 1.08), None);
    assert_eq!(missing_rounds(&[3.0, 5.0, 4.0, 3.5, 4.4], 2.0), None);
}

#[test]
fn noise_greater_than_the_distance_from_the_goal_is_unclear() {
    let more = missing_rounds(&[1.00, 1.16, 1.06, 1.10, 1.04], 1.08);
    // Half the width is 0.08, and the tolerance is the wider of the two distances: 5 * (0.08 / 0.027)^2 rounds.
    assert_eq!(more, Some(39));
}

#[test]
fn equal_costs_can_be_shown_to_be_equal() {
    // Noise around 1 hides which variant is cheaper, but not that neither costs 5 % more.
    assert_eq!(missing_rounds(&[0.98, 1.02, 1.00, 0.99, 1.01], 1.05), None);
}

#[test]
fn on_the_goal_a_precise_median_decides() {
    assert_eq!(missing_rounds(&[1.04, 1.06, 1.05, 1.05, 1.05], 1.05), None);
}

#[test]
fn one_disturbed_round_of_eight_is_ignored() {
    assert_eq!(missing_rounds(&[1.01, 1.02, 1.00, 1.03, 1.02, 1.01, 1.02, 3.00], 1.05), None);
    assert!(missing_rounds(&[1.01, 1.02, 1.00, 1.03, 3.00], 1.05).is_some());
}

#[test]
fn fewer_than_five_rounds_are_unclear() {
    assert_eq!(missing_rounds(&[1.0, 1.0, 1.0], 2.0), Some(2));
}

#[test]
fn every_comparison_names_measured_variants() {
    let cases = Case::all();
    for comparison in all() {
        assert!(cases.contains(&comparison.case), "{}", comparison.name());
        for name in [comparison.over, comparison.under] {
            let variant = variants::all().find(|variant| variant.name == name);
            let variant = variant.unwrap_or_else(|| panic!("{name} is not a variant"));
            assert_eq!(variant.supports(&comparison.case), Ok(()), "{}", comparison.name());
        }
    }
}

#[test]
fn a_ratio_is_taken_in_each_round() {
    let comparison = &all()[0];
    // In the second round the machine was half as fast.
    let rows = [row(comparison, comparison.over, &[110.0, 220.0]), row(comparison, comparison.under, &[100.0, 200.0])];
    let ratios = comparison.ratios(&rows).unwrap();
    assert!(ratios.iter().all(|ratio| (ratio - 1.1).abs() < 1e-9), "{ratios:?}");
    assert_eq!(goals(&rows).len(), 1);
    let open: Vec<_> = unclear(&rows).into_iter().map(|(comparison, goal)| (comparison.name(), goal.unclear)).collect();
    assert_eq!(open, [(comparison.name(), Some(3))]);
}

#[test]
fn an_unmeasured_variant_has_no_goal() {
    let comparison = &all()[0];
    assert_eq!(goals(&[row(comparison, comparison.over, &[110.0])]), []);
    assert_eq!(goals(&[row(comparison, comparison.over, &[110.0]), row(comparison, comparison.under, &[])]), []);
}

fn row(comparison: &Comparison, name: &str, costs: &[f64]) -> Row {
    let variant = variants::all().find(|variant| variant.name == name).unwrap();
    let mut row = Row::new(comparison.case, variant, Arc::default());
    let batches = costs.iter().map(|cost| Batch { proxy: *cost, service: 0.0 });
    row.outcome = Outcome::Measured(batches.collect());
    row
}
