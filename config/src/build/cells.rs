//! The cells by name.

use super::super::path::Step;
use super::super::raw::RawList;
use super::super::report::Report;
use super::super::suggest::hint;
use super::super::text::quote;
use super::DEFAULT;
use crate::sorted::sorted;
use cellgate_routing::CellId;
use cellgate_routing::placement::{MAX_CELL_NAME, MAX_CELLS};

/// The cells by name.
pub(super) struct Cells<'a> {
    pub(super) names: Vec<&'a str>,
    /// Names and their indices, sorted by name.
    by_name: Vec<(&'a str, usize)>,
    /// Whether all cells have their names. If one is refused, its name may be any that is not in the list.
    pub(super) are_complete: bool,
}

impl<'a> Cells<'a> {
    pub(super) fn new(raw: Option<&'a RawList>, report: &mut Report<'_>) -> Self {
        let list = raw.map_or(&[][..], Vec::as_slice);
        if raw.is_some() && (list.is_empty() || list.len() > MAX_CELLS) {
            report.problem(&[Step::Field("cells")], &|| {
                format!("expected from 1 to {MAX_CELLS} cells, found {}", list.len())
            });
        }
        let given: Vec<_> =
            list.iter().enumerate().filter_map(|(index, name)| Some((index, &**name.given()?))).collect();
        let mut are_legal = true;
        for (index, name) in &given {
            are_legal &= !refuse_name(name, &[Step::Field("cells"), Step::Item(*index)], report);
        }
        let are_complete = are_legal && !given.is_empty() && given.len() == list.len();
        let names = refuse_duplicates(given, report);
        let by_name = sorted(names.iter().enumerate().map(|(index, name)| (*name, index)).collect());
        Self { names, by_name, are_complete }
    }

    /// The cell with this name. If there is none, notes a problem at the path.
    pub(super) fn find(&self, name: &str, path: &[Step<'_>], report: &mut Report<'_>) -> Option<CellId> {
        let cell = self.get(name);
        if cell.is_none() && self.are_complete {
            report.problem(path, &|| format!("{} is not one of the cells {}", quote(name), self.list(name)));
        }
        cell
    }

    /// The cell with this name.
    pub(super) fn get(&self, name: &str) -> Option<CellId> {
        let index = self.by_name.partition_point(|(other, _)| *other < name);
        let (_, index) = self.by_name.get(index).filter(|(found, _)| *found == name)?;
        u16::try_from(*index).ok().map(CellId)
    }

    /// The names for a message, with a hint at the nearest one.
    fn list(&self, wanted: &str) -> String {
        const MAX_LISTED: usize = 8;
        let listed: Vec<_> = self.names.iter().take(MAX_LISTED).copied().collect();
        let more = if self.names.len() > MAX_LISTED { ", …" } else { "" };
        let candidates = self.names.iter().take(MAX_CELLS).copied();
        format!("[{}{more}]{}", listed.join(", "), hint(wanted, candidates))
    }
}

/// Refuses a name that no cell can have.
fn refuse_name(name: &str, path: &[Step<'_>], report: &mut Report<'_>) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name == DEFAULT {
        report.problem(path, &|| {
            "`default` is reserved, because in a policy it means `placement.default`: use another name".into()
        });
        true
    } else if name.is_empty() || name.len() > MAX_CELL_NAME || !name.bytes().all(is_legal) {
        report.problem(path, &|| {
            format!("expected a name of 1 to {MAX_CELL_NAME} letters, digits, `.`, `_` and `-`, found {}", quote(name))
        });
        true
    } else {
        false
    }
}

/// Refuses each name that occurs again, and returns the others. The names have their indices in the list.
fn refuse_duplicates<'a>(names: Vec<(usize, &'a str)>, report: &mut Report<'_>) -> Vec<&'a str> {
    let by_name = sorted(names.iter().map(|(index, name)| (*name, *index)).collect::<Vec<_>>());
    let mut again = Vec::new();
    for pair in by_name.windows(2) {
        if let [(first, _), (second, index)] = pair
            && first == second
        {
            let path = [Step::Field("cells"), Step::Item(*index)];
            report.problem(&path, &|| format!("duplicate cell {}", quote(second)));
            again.push(*index);
        }
    }
    let again = sorted(again);
    names.into_iter().filter(|(index, _)| again.binary_search(index).is_err()).map(|(_, name)| name).collect()
}
