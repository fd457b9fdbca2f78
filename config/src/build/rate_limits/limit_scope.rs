//! The requests that a limit counts.

use super::super::super::path::Step;
use super::super::super::raw::RawLimitScope;
use super::super::super::report::Report;
use super::super::super::text::quote;
use super::super::{items, scope};
use super::LimitPlace;
use cellgate_routing::{CellId, Scope};

/// The scope, and the cells: an empty list is all.
pub(super) fn limit_scope(
    raw: &RawLimitScope<'_>,
    place: LimitPlace<'_>,
    report: &mut Report<'_>,
) -> (Scope, Vec<CellId>) {
    let path = place.field("applies_to");
    let scope = scope::scope(&raw.scope, &path, report);
    let [section, item, applies_to] = path;
    let list = [section, item, applies_to, Step::Field("cells")];
    if raw.cells.given().is_some_and(Vec::is_empty) {
        report
            .problem(&list, &|| "the list is empty: add a cell, or remove the field to count requests for all".into());
    }
    let mut cells = Vec::new();
    for (index, name) in items(&raw.cells) {
        let [section, item, applies_to, list] = list;
        let path = [section, item, applies_to, list, Step::Item(index)];
        let Some(cell) = place.context.cells.find(name, &path, report) else { continue };
        if cells.contains(&cell) {
            report.problem(&path, &|| format!("duplicate cell {}", quote(name)));
        } else {
            cells.push(cell);
        }
    }
    (scope, cells)
}
