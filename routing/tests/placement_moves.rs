//! A change to one cell moves slots to or from that cell only, and no more than its share.
#![allow(clippy::indexing_slicing, reason = "helpers of tests")]

use cellgate_routing::CellId;
use cellgate_routing::placement::{DEFAULT_SLOTS, Slots};
use proptest::prelude::*;

type Cells = Vec<(CellId, String, u32)>;

fn cells(weights: &[u32]) -> Cells {
    (0..).map(CellId).zip(weights).map(|(id, weight)| (id, format!("cell-{}", id.0), *weight)).collect()
}

fn slots(seed: u64, cells: &Cells) -> Slots {
    Slots::new(DEFAULT_SLOTS, seed, cells.iter().map(|(id, name, weight)| (*id, name.as_str(), *weight)))
}

fn count(slots: &Slots, cell: CellId) -> usize {
    slots.owners().iter().filter(|owner| **owner == cell).count()
}

/// The slots that change their owner, as (from, to).
fn moves(before: &Slots, after: &Slots) -> Vec<(CellId, CellId)> {
    before.owners().iter().zip(after.owners()).filter(|(from, to)| from != to).map(|(from, to)| (*from, *to)).collect()
}

/// Asserts that a number of slots is within four standard deviations of a share.
fn assert_share(found: usize, share: f64) {
    let slots = f64::from(DEFAULT_SLOTS);
    let deviation = (slots * share * (1.0 - share)).sqrt();
    let off = (found as f64 - slots * share).abs();
    assert!(off <= 4.0 * deviation, "{found} slots, where {} are {share}", slots * share);
}

#[test]
fn shares_follow_the_weights() {
    for (seed, weights) in [(0, vec![1, 1, 1]), (1, vec![1, 2, 3, 4]), (2, vec![1000, 1, 999]), (3, vec![7, 0, 7])] {
        let slots = slots(seed, &cells(&weights));
        let total: u32 = weights.iter().sum();
        for (cell, weight) in weights.iter().enumerate() {
            assert_share(count(&slots, CellId(cell as u16)), f64::from(*weight) / f64::from(total));
        }
    }
}

#[test]
fn a_new_cell_takes_its_share_and_no_other_slot_moves() {
    for present in 1..12 {
        let new = CellId(present);
        let before = slots(5, &cells(&vec![1; usize::from(present)]));
        let after = slots(5, &cells(&vec![1; usize::from(present) + 1]));
        let moves = moves(&before, &after);
        assert!(moves.iter().all(|(_, to)| *to == new));
        assert_eq!(moves.len(), count(&after, new));
        assert_share(moves.len(), 1.0 / (f64::from(present) + 1.0));
    }
}

#[test]
fn draining_a_cell_moves_its_slots_to_all_others() {
    let (before, after) = (slots(5, &cells(&[1, 1, 1, 1])), slots(5, &cells(&[1, 1, 0, 1])));
    let moves = moves(&before, &after);
    assert!(moves.iter().all(|(from, _)| *from == CellId(2)));
    assert_eq!(moves.len(), count(&before, CellId(2)));
    assert_eq!(count(&after, CellId(2)), 0);
    for cell in [0, 1, 3].map(CellId) {
        assert_share(count(&after, cell), 1.0 / 3.0);
    }
}

#[test]
fn another_seed_makes_another_table() {
    let cells = cells(&[1, 1, 1, 1]);
    let changed = moves(&slots(1, &cells), &slots(2, &cells)).len();
    assert_share(changed, 0.75);
}

#[test]
fn keys_spread_evenly_over_slots() {
    let slots = Slots::new(64, 0, [(CellId(0), "a", 1)]);
    let mut found = vec![0_u32; 64];
    for number in 0..64_000 {
        found[slots.slot(&format!("tenant-{number}")) as usize] += 1;
    }
    // 63 degrees of freedom: above 126 once in a million tables.
    let chi: f64 = found.iter().map(|found| (f64::from(*found) - 1000.0).powi(2) / 1000.0).sum();
    assert!(chi < 126.0, "{chi}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn only_the_changed_cell_gains_or_loses(
        seed in 0_u64..1 << 53,
        mut weights in prop::collection::vec(0_u32..=1_000_000, 2..8),
        pick: prop::sample::Index,
        weight in 0_u32..=1_000_000,
    ) {
        let pick = pick.index(weights.len());
        let changed = CellId(pick as u16);
        // At least one cell must have a weight, before and after.
        let other = &mut weights[usize::from(pick == 0)];
        *other = (*other).max(1);
        let before = slots(seed, &cells(&weights));
        let grows = weight >= weights[pick];
        weights[pick] = weight;
        let after = slots(seed, &cells(&weights));
        let moves = moves(&before, &after);
        let expected = |(from, to): &(CellId, CellId)| if grows { *to == changed } else { *from == changed };
        prop_assert!(moves.iter().all(expected));
        prop_assert_eq!(moves.len(), count(&after, changed).abs_diff(count(&before, changed)));
    }

    #[test]
    fn the_order_of_cells_does_not_matter(seed in 0_u64..1 << 53, rotation in 0_usize..5) {
        let cells = cells(&[1, 2, 3, 4, 5]);
        let mut rotated = cells.clone();
        rotated.rotate_left(rotation);
        let (plain, rotated) = (slots(seed, &cells), slots(seed, &rotated));
        prop_assert_eq!(plain.owners(), rotated.owners());
    }
}

#[test]
fn only_proportions_matter() {
    let (small, large) = (slots(3, &cells(&[1, 2, 3])), slots(3, &cells(&[300_000, 600_000, 900_000])));
    assert_eq!(small.owners(), large.owners());
}
