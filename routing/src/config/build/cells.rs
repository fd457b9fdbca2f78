//! The cells by name.

use super::super::path::Step;
use super::super::report::Report;
use super::super::suggest::hint;
use super::super::text::quote;
use super::DEFAULT;
use crate::action::CellId;
use crate::placement::{MAX_CELL_NAME, MAX_CELLS};

/// The cells by name.
pub(super) struct Cells<'a> {
    pub(super) names: &'a [Box<str>],
    /// Names and their indices, sorted by name.
    by_name: Vec<(&'a str, usize)>,
}

impl<'a> Cells<'a> {
    pub(super) fn new(names: &'a [Box<str>], report: &mut Report<'_>) -> Self {
        if names.is_empty() || names.len() > MAX_CELLS {
            report.problem(&[Step::Field("cells")], || {
                format!("expected from 1 to {MAX_CELLS} cells, found {}", names.len())
            });
        }
        let mut by_name: Vec<_> = names.iter().enumerate().map(|(index, name)| (&**name, index)).collect();
        by_name.sort_unstable();
        for (index, name) in names.iter().enumerate() {
            let path = [Step::Field("cells"), Step::Item(index)];
            let legal = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
            if !legal || name.is_empty() || name.len() > MAX_CELL_NAME {
                report.problem(&path, || {
                    format!(
                        "expected a name of 1 to {MAX_CELL_NAME} letters, digits, `.`, `_` and `-`, found {}",
                        quote(name)
                    )
                });
            } else if &**name == DEFAULT {
                report.problem(&path, || {
                    "`default` is reserved, because in a policy it means `placement.default`: use another name".into()
                });
            }
        }
        for pair in by_name.windows(2) {
            if let [(first, _), (second, index)] = pair
                && first == second
            {
                let path = [Step::Field("cells"), Step::Item(*index)];
                report.problem(&path, || format!("duplicate cell {}", quote(second)));
            }
        }
        Self { names, by_name }
    }

    /// The cell with this name. If there is none, notes a problem at the path.
    pub(super) fn find(&self, name: &str, path: &[Step<'_>], report: &mut Report<'_>) -> Option<CellId> {
        let cell = self.get(name);
        // An empty list of cells has its own problem.
        if cell.is_none() && !self.names.is_empty() {
            report.problem(path, || format!("{} is not one of the cells {}", quote(name), self.list(name)));
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
        let listed: Vec<_> = self.names.iter().take(MAX_LISTED).map(|name| &**name).collect();
        let more = if self.names.len() > MAX_LISTED { ", …" } else { "" };
        let candidates = self.names.iter().take(MAX_CELLS).map(|name| &**name);
        format!("[{}{more}]{}", listed.join(", "), hint(wanted, candidates))
    }
}
