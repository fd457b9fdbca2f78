use std::sync::Arc;

use super::*;
use crate::row::Outcome;
use crate::variants;

#[test]
fn far_from_the_goal_much_noise_is_no_matter() {
    assert_eq!(missing_rounds(&[1.30, 1.80, 1.60, 1.45, 1.50], 1.08), None);
    assert_eq!(missing_rounds(&[3.0, 5.0, 4.0, 3.5, 4.4], 2.0), None);
}

#[test]
fn noise_beyond_the_distance_from_the_goal_tells_nothing() {
    let more = missing_rounds(&[1.00, 1.16, 1.06, 1.10, 1.04], 1.08);
    // Half the width is 0.08, and the tolerance is the wider of the two distances: 5 * (0.08 / 0.027)^2 rounds.
    assert_eq!(more, Some(39));
}

#[test]
fn two_that_cost_the_same_can_be_told_to_cost_the_same() {
    // Noise around 1 hides which of the two is cheaper; it does not hide that neither costs 5 % more.
    assert_eq!(missing_rounds(&[0.98, 1.02, 1.00, 0.99, 1.01], 1.05), None);
}

#[test]
fn on_the_goal_the_median_decides_if_it_is_known_well() {
    assert_eq!(missing_rounds(&[1.04, 1.06, 1.05, 1.05, 1.05], 1.05), None);
}

#[test]
fn one_disturbed_round_of_eight_spoils_nothing() {
    assert_eq!(missing_rounds(&[1.01, 1.02, 1.00, 1.03, 1.02, 1.01, 1.02, 3.00], 1.05), None);
    assert!(missing_rounds(&[1.01, 1.02, 1.00, 1.03, 3.00], 1.05).is_some());
}

#[test]
fn fewer_than_five_rounds_tell_nothing() {
    assert_eq!(missing_rounds(&[1.0, 1.0, 1.0], 2.0), Some(2));
}

#[test]
fn every_promise_is_about_something_that_is_measured() {
    let cases = Case::all();
    for promise in all() {
        assert!(cases.contains(&promise.case), "{}", promise.name());
        for name in [promise.over, promise.under] {
            let variant = variants::all().find(|variant| variant.name == name);
            let variant = variant.unwrap_or_else(|| panic!("{name} is not a variant"));
            assert_eq!((variant.can)(&promise.case), Ok(()), "{}", promise.name());
        }
    }
}

#[test]
fn a_ratio_is_taken_in_each_round() {
    let promise = &all()[0];
    // The machine was half as fast in the second round.
    let rows = [row(promise, promise.over, &[110.0, 220.0]), row(promise, promise.under, &[100.0, 200.0])];
    let ratios = promise.ratios(&rows).unwrap();
    assert!(ratios.iter().all(|ratio| (ratio - 1.1).abs() < 1e-9), "{ratios:?}");
    assert_eq!(goals(&rows).len(), 1);
    let open: Vec<_> = unclear(&rows).into_iter().map(|(promise, goal)| (promise.name(), goal.unclear)).collect();
    assert_eq!(open, [(promise.name(), Some(3))]);
}

#[test]
fn what_was_not_measured_is_no_goal() {
    let promise = &all()[0];
    assert_eq!(goals(&[row(promise, promise.over, &[110.0])]), []);
    assert_eq!(goals(&[row(promise, promise.over, &[110.0]), row(promise, promise.under, &[])]), []);
}

fn row(promise: &Promise, name: &str, costs: &[f64]) -> Row {
    let variant = variants::all().find(|variant| variant.name == name).unwrap();
    let mut row = Row::new(promise.case, variant, Arc::default());
    let batches = costs.iter().map(|cost| Batch { proxy: *cost, service: 0.0 });
    row.outcome = Outcome::Measured(batches.collect());
    row
}
