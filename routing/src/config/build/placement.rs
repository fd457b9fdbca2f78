//! Placement: every cell is in the list, every key is possible, and at least one rule places keys.

use super::super::path::Step;
use super::super::raw::{RawPlacement, RawSlots, RawTable};
use super::super::report::Report;
use super::super::text::quote;
use super::Cells;
use crate::action::CellId;
use crate::key;
use crate::placement::{DEFAULT_SLOTS, MAX_CELLS, MAX_DRAWS, Placement, Rules, Slots};

const PLACEMENT: Step<'static> = Step::Field("placement");

pub(super) fn placement(
    raw: &RawPlacement,
    cells: &Cells<'_>,
    key_bytes: usize,
    uses_slots: bool,
    report: &mut Report<'_>,
) -> Placement {
    let default =
        raw.default.as_deref().and_then(|name| cells.find(name, &[PLACEMENT, Step::Field(super::DEFAULT)], report));
    let mut table = |name: &'static str, table| keys(table, name, cells, key_bytes, report);
    let (overrides, exact, prefixes) =
        (table("overrides", &raw.overrides), table("exact", &raw.exact), table("prefixes", &raw.prefixes));
    let empty = raw.overrides.0.is_empty() && raw.exact.0.is_empty() && raw.prefixes.0.is_empty();
    if empty && raw.slots.is_none() && raw.default.is_none() {
        report.problem(&[PLACEMENT], || {
            "expected at least one of `overrides`, `exact`, `prefixes`, `slots` and `default`: otherwise no key has a cell"
                .into()
        });
    }
    let weights = raw.slots.as_ref().map(|slots| weights(slots, cells, report));
    let slots = match (&raw.slots, weights) {
        (Some(slots), Some(weights)) => {
            let count = u32::try_from(slots.count.0).unwrap_or(DEFAULT_SLOTS);
            let cells: Vec<_> = named(cells).zip(weights).map(|((id, name), weight)| (id, name, weight)).collect();
            slot_table(count, slots.seed.0, &cells, &[PLACEMENT, Step::Field("slots"), Step::Field("count")], report)
        }
        _ if uses_slots => {
            let cells: Vec<_> = named(cells).map(|(id, name)| (id, name, 1)).collect();
            slot_table(DEFAULT_SLOTS, 0, &cells, &[PLACEMENT, Step::Field("slots")], report)
        }
        _ => Slots::default(),
    };
    // Tables take time to build, so a refused configuration gets none.
    if !report.is_empty() {
        return Placement::default();
    }
    Placement::new(Rules { overrides, exact, prefixes, slots, by_slot: raw.slots.is_some(), default })
}

/// The slot table, unless the configuration is refused or the table would take too long to build.
fn slot_table(
    count: u32,
    seed: u64,
    cells: &[(CellId, &str, u32)],
    path: &[Step<'_>],
    report: &mut Report<'_>,
) -> Slots {
    let weighted = cells.iter().filter(|(_, _, weight)| *weight > 0).count() as u64;
    // Too many cells have their own problem.
    if u64::from(count) * weighted > MAX_DRAWS && cells.len() <= MAX_CELLS {
        report.problem(path, || {
            let most = MAX_DRAWS / weighted;
            format!(
                "expected at most {most} slots for {weighted} cells with a weight above 0, found {count}: the \
                 time to build the table grows with both"
            )
        });
    }
    if report.is_empty() { Slots::new(count, seed, cells.iter().copied()) } else { Slots::default() }
}

fn named<'a>(cells: &Cells<'a>) -> impl Iterator<Item = (CellId, &'a str)> {
    (0..).map(CellId).zip(cells.names).map(|(id, name)| (id, &**name))
}

/// Each cell's weight, in the order of the cells.
fn weights(raw: &RawSlots, cells: &Cells<'_>, report: &mut Report<'_>) -> Vec<u32> {
    let Some(RawTable(entries)) = &raw.weights else { return vec![1; cells.names.len()] };
    let path = [PLACEMENT, Step::Field("slots"), Step::Field("weights")];
    let mut weights = vec![None; cells.names.len()];
    for (index, (name, weight)) in entries.iter().enumerate() {
        let [placement, slots, table] = path;
        let cell = cells.find(name, &[placement, slots, table, Step::Name(index)], report);
        if let Some(slot) = cell.and_then(|cell| weights.get_mut(usize::from(cell.0))) {
            *slot = u32::try_from(weight.0).ok();
        }
    }
    if let Some((name, _)) = cells.names.iter().zip(&weights).find(|(_, weight)| weight.is_none()) {
        report.problem(&path, || format!("{} has no weight: give every cell a weight (0 drains a cell)", quote(name)));
    } else if weights.iter().all(|weight| *weight == Some(0)) {
        report.problem(&path, || "expected at least one weight above 0".into());
    }
    weights.into_iter().map(Option::unwrap_or_default).collect()
}

/// A table of keys or prefixes.
fn keys<'a>(
    RawTable(entries): &'a RawTable<Box<str>>,
    table: &'static str,
    cells: &Cells<'_>,
    key_bytes: usize,
    report: &mut Report<'_>,
) -> Vec<(&'a str, CellId)> {
    let mut keys = Vec::with_capacity(entries.len());
    for (index, (key, cell)) in entries.iter().enumerate() {
        if let Err(reason) = key::check(key.as_bytes(), key_bytes) {
            let path = [PLACEMENT, Step::Field(table), Step::Name(index)];
            report.problem(&path, || format!("{} cannot be a key: {}", quote(key), reason.text()));
        }
        if let Some(cell) = cells.find(cell, &[PLACEMENT, Step::Field(table), Step::Entry(index)], report) {
            keys.push((&**key, cell));
        }
    }
    keys
}
