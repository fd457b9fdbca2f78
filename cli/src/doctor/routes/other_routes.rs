//! Routes beside those of the cells that do not match on the routing header: the requests that they take from the cells.
//!
//! Istio puts the routes of all VirtualServices of a host into one list: the routes of the oldest object first, and routes for
//! all requests last. So another team's `/api` may stand before the cells' routes, and its last route before the refusing one.

use std::collections::BTreeSet;

use super::context::FilterContext;
use super::route::{HeaderCondition, Route};
use crate::doctor::finding::{Notes, enumerate};
use crate::doctor::origin::Origin;

/// The owner of a route.
#[derive(Clone, Copy)]
pub(super) enum Owner<'a> {
    /// The object that also has the cells' routes.
    Cells,
    /// Another object.
    Other(Origin<'a>),
    /// The dump does not contain the owner.
    Unknown,
}

/// The objects with the cells' routes.
pub(super) struct Owners<'a>(BTreeSet<Origin<'a>>);

impl<'a> Owners<'a> {
    pub(super) fn of(routes: &[Route<'a>], context: FilterContext<'_>) -> Self {
        let of_cells = routes.iter().filter(|route| cell_of(route, context).is_some());
        Self(of_cells.filter_map(Route::origin).collect())
    }

    pub(super) fn owner(&self, route: &Route<'a>) -> Owner<'a> {
        match route.origin() {
            Some(_) if self.0.is_empty() => Owner::Unknown,
            Some(origin) if self.0.contains(&origin) => Owner::Cells,
            Some(origin) => Owner::Other(origin),
            None => Owner::Unknown,
        }
    }
}

/// Examines every route that could take a cell's requests, and the routes for requests without a decision.
pub(super) fn examine<'a>(routes: &[Route<'a>], owners: &Owners<'a>, context: FilterContext<'_>, notes: &mut Notes) {
    let header = &context.config.routing_header;
    // Cells whose requests have all matched a route already.
    let mut served = BTreeSet::new();
    let mut has_cells = false;
    let mut rest = routes;
    while let Some((route, behind)) = rest.split_first() {
        rest = behind;
        if let Some(cell) = cell_of(route, context) {
            has_cells = true;
            if route.is_broad(header) {
                served.insert(cell);
            }
            continue;
        }
        let condition = route.condition_on(header);
        if matches!(condition, HeaderCondition::Exactly(_) | HeaderCondition::Absence) {
            continue;
        }
        let overlapping = behind.iter().filter(|other| route.conditions().overlaps(other.conditions()));
        let affected: BTreeSet<&str> =
            overlapping.filter_map(|other| cell_of(other, context)).filter(|cell| !served.contains(cell)).collect();
        let is_last = condition == HeaderCondition::Anything && route.is_broad(header);
        if !affected.is_empty() {
            before(route, owners.owner(route), &affected.into_iter().collect::<Vec<_>>(), context, notes);
        } else if has_cells && condition == HeaderCondition::Anything && !is_last {
            after(route, owners.owner(route), notes);
        }
        if is_last {
            // No request reaches the routes behind it.
            return;
        }
    }
}

/// The cell of a route.
fn cell_of<'a>(route: &Route<'a>, context: FilterContext<'_>) -> Option<&'a str> {
    match route.condition_on(&context.config.routing_header) {
        HeaderCondition::Exactly(cell) if context.is_cell(cell) => Some(cell),
        _ => None,
    }
}

fn before(route: &Route<'_>, owner: Owner<'_>, cells: &[&str], context: FilterContext<'_>, notes: &mut Notes) {
    let header = &context.config.routing_header;
    let (title, paths, action) = (route.title(), route.conditions().in_words(), route.action());
    let is_broad = route.is_broad(header);
    if let Some(purpose) = harmless(route) {
        notes.ok(format!("{title} takes {purpose} before the cells: {paths}, which {action}"));
        return;
    }
    let is_deliberate = match owner {
        Owner::Cells => true,
        Owner::Other(_) => false,
        Owner::Unknown => !route.forwards() || route.disables(context.filter),
    };
    if is_deliberate && !is_broad {
        notes.ok(format!("{title} takes {paths} before the cells, and {action}"));
        return;
    }
    let cells = enumerate(cells);
    if route.condition_on(header) != HeaderCondition::Anything {
        notes.warning(
            format!("{title} matches {header} by a pattern and stands before the routes of {cells}: it may take {paths} from them, and {action}"),
            "move it behind the cells' routes, or match on exact values: the first route that matches counts",
        );
        return;
    }
    let fix = match owner {
        Owner::Other(origin) if origin.kind() == "HTTPRoute" => format!(
            "Gateway API prefers the longer path, whichever object is older: take these paths out of {origin}, or give the cells' \
             routes the same paths"
        ),
        Owner::Other(origin) => format!(
            "Istio puts the older object's routes first: take these paths out of {origin}; to keep them as they are, put \
             them into the cells' own VirtualService (chart: routes.extra): docs/operate.md, \"Take over a host\""
        ),
        Owner::Cells | Owner::Unknown => {
            "move it behind the cells' routes: the first route that matches counts".to_owned()
        }
    };
    notes.error(format!("{title} stands before the routes of {cells}, and takes {paths} from them: it {action}"), fix);
}

fn after(route: &Route<'_>, owner: Owner<'_>, notes: &mut Notes) {
    let (title, paths, action) = (route.title(), route.conditions().in_words(), route.action());
    if let Some(purpose) = harmless(route) {
        notes.ok(format!("{title} takes {purpose}: {paths}, which {action}"));
        return;
    }
    let what = format!("requests without a decision for {paths} are taken by {title}, which {action}");
    match owner {
        Owner::Other(origin) => notes.warning(
            what,
            format!("take these paths out of {origin}, if requests without a decision must be refused there too"),
        ),
        Owner::Unknown if route.forwards() => {
            notes.warning(what, "remove it, if requests without a decision must be refused on these paths too")
        }
        Owner::Cells | Owner::Unknown => notes.ok(what),
    }
}

/// The purpose of a route whose requests belong to no cell.
fn harmless(route: &Route<'_>) -> Option<&'static str> {
    let conditions = route.conditions();
    if conditions.is_preflight() {
        Some("CORS preflights")
    } else if conditions.is_challenge() {
        Some("certificate challenges")
    } else {
        None
    }
}
