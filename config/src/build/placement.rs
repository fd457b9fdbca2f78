//! Placement: every cell is in the list, every key is possible, and at least one rule places keys.

use super::super::path::Step;
use super::super::raw::{RawField, RawPlacement, RawSlots, RawTable};
use super::super::report::Report;
use super::super::text::quote;
use super::Cells;
use cellgate_routing::CellId;
use cellgate_routing::Reason;
use cellgate_routing::check_key;
use cellgate_routing::placement::{DEFAULT_SLOTS, MAX_CELLS, MAX_DRAWS, Placement, Rules, Slots};

const PLACEMENT: Step<'static> = Step::Field("placement");

const PREFIXES: &str = "prefixes";

pub(super) fn placement(
    raw: &RawPlacement<'_>,
    cells: &Cells<'_>,
    key_bytes: usize,
    uses_slots: bool,
    report: &mut Report<'_>,
) -> Placement {
    let default = raw.default.given();
    let default = default.and_then(|name| cells.find(name, &[PLACEMENT, Step::Field(super::DEFAULT)], report));
    let mut table = |name: &'static str, table| keys(table, name, cells, key_bytes, report);
    let (overrides, exact, prefixes) =
        (table("overrides", &raw.overrides), table("exact", &raw.exact), table(PREFIXES, &raw.prefixes));
    if has_no_rule(raw) && !report.is_incomplete(&[PLACEMENT]) {
        report.problem(&[PLACEMENT], &|| {
            "expected at least one of `overrides`, `exact`, `prefixes`, `slots` and `default`: otherwise no key has a cell"
                .into()
        });
    }
    let slots = slots(raw, cells, uses_slots, report);
    // Tables take time to build, so a refused configuration gets none.
    if !report.is_empty() {
        return Placement::default();
    }
    Placement::new(Rules { overrides, exact, prefixes, slots, by_slot: raw.slots.given().is_some(), default })
}

/// Whether no key has a cell. A refused rule is a rule.
fn has_no_rule(raw: &RawPlacement<'_>) -> bool {
    let is_empty = |table: &RawField<RawTable<'_, &str>>| match table {
        RawField::Given(RawTable(entries)) => entries.is_empty(),
        table => table.is_absent(),
    };
    [&raw.overrides, &raw.exact, &raw.prefixes].into_iter().all(is_empty)
        && raw.slots.is_absent()
        && raw.default.is_absent()
}

/// The slot table, if a rule needs it.
fn slots(raw: &RawPlacement<'_>, cells: &Cells<'_>, uses_slots: bool, report: &mut Report<'_>) -> Slots {
    let path = [PLACEMENT, Step::Field("slots"), Step::Field("count")];
    match &raw.slots {
        RawField::Given(slots) => {
            let weights = weights(slots, cells, report);
            let (Some(count), Some(seed)) = (slots.count.given(), slots.seed.given()) else { return Slots::default() };
            let count = u32::try_from(count.0).unwrap_or(DEFAULT_SLOTS);
            let cells: Vec<_> = named(cells).zip(weights).map(|((id, name), weight)| (id, name, weight)).collect();
            slot_table(count, seed.0, &cells, &path, report)
        }
        RawField::Absent if uses_slots => {
            let cells: Vec<_> = named(cells).map(|(id, name)| (id, name, 1)).collect();
            let [placement, slots, _] = path;
            slot_table(DEFAULT_SLOTS, 0, &cells, &[placement, slots], report)
        }
        RawField::Absent | RawField::Refused => Slots::default(),
    }
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
        report.problem(path, &|| {
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
    (0..).map(CellId).zip(cells.names.iter().copied())
}

/// Each cell's weight, in the order of the cells.
fn weights(raw: &RawSlots<'_>, cells: &Cells<'_>, report: &mut Report<'_>) -> Vec<u32> {
    let Some(RawTable(entries)) = raw.weights.given() else { return vec![1; cells.names.len()] };
    let path = [PLACEMENT, Step::Field("slots"), Step::Field("weights")];
    let mut weights = vec![None; cells.names.len()];
    // A name that is no cell, or a weight that is no number, may stand for what is missing.
    let mut are_complete = cells.are_complete;
    for (index, (name, weight)) in entries.iter().enumerate() {
        let [placement, slots, table] = path;
        let cell = cells.find(name, &[placement, slots, table, Step::Name(index)], report);
        let weight = weight.given().and_then(|weight| u32::try_from(weight.0).ok());
        match cell.and_then(|cell| weights.get_mut(usize::from(cell.0))) {
            Some(slot) if weight.is_some() => *slot = weight,
            _ => are_complete = false,
        }
    }
    if !are_complete {
    } else if let Some((name, _)) = cells.names.iter().zip(&weights).find(|(_, weight)| weight.is_none()) {
        report.problem(&path, &|| format!("{} has no weight: give every cell a weight (0 drains a cell)", quote(name)));
    } else if weights.iter().all(|weight| *weight == Some(0)) {
        report.problem(&path, &|| "expected at least one weight above 0".into());
    }
    weights.into_iter().map(Option::unwrap_or_default).collect()
}

/// A table of keys or prefixes.
fn keys<'a>(
    raw: &RawField<RawTable<'a, &'a str>>,
    table: &'static str,
    cells: &Cells<'_>,
    key_bytes: usize,
    report: &mut Report<'_>,
) -> Vec<(&'a str, CellId)> {
    let Some(RawTable(entries)) = raw.given() else { return Vec::new() };
    let mut keys = Vec::with_capacity(entries.len());
    for (index, (key, cell)) in entries.iter().enumerate() {
        if let Err(reason) = check_key(key.as_bytes(), key_bytes) {
            let path = [PLACEMENT, Step::Field(table), Step::Name(index)];
            report.problem(&path, &|| not_a_key(key, reason, table, key_bytes));
        }
        let Some(cell) = cell.given() else { continue };
        if let Some(cell) = cells.find(cell, &[PLACEMENT, Step::Field(table), Step::Entry(index)], report) {
            keys.push((&**key, cell));
        }
    }
    keys
}

/// Why the name of an entry is no key, and no prefix of one.
pub(super) fn not_a_key(name: &str, reason: Reason, table: &str, key_bytes: usize) -> String {
    match reason {
        Reason::KeyEmpty if table == PREFIXES => {
            "a prefix cannot be empty: for keys that no other rule places, use `placement.default`".into()
        }
        Reason::KeyEmpty => "a key cannot be empty: remove this entry".into(),
        Reason::KeyTooLong => format!(
            "no key has {} bytes, because `limits.key_bytes` is {key_bytes}: remove this entry, or raise the limit",
            name.len()
        ),
        _ => format!("no key has a control character: remove {}", quote(name)),
    }
}
