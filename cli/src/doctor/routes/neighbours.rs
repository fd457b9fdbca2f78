//! Routes that do not ask for the routing header, beside those of the cells: what they take, and from whom.
//!
//! Istio puts the routes of all VirtualServices of a host into one list, the oldest object's first, and those that take
//! everything last. So another team's `/api` may stand before the cells' routes, and its last route before the one that refuses.

use std::collections::BTreeSet;

use super::context::FilterContext;
use super::route::{Route, Wanted};
use crate::doctor::finding::{Notes, enumerate};
use crate::doctor::origin::Origin;

/// Whose a route is.
#[derive(Clone, Copy)]
pub(super) enum Owner<'a> {
    /// Of the object that has the cells' routes, too.
    Cells,
    /// Of another one.
    Other(Origin<'a>),
    /// The dump does not tell.
    Unknown,
}

/// The objects that the cells' routes were made from.
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

/// Looks at every route that a request of a cell could take instead of the cell's, and at those that take requests without a
/// decision.
pub(super) fn examine<'a>(routes: &[Route<'a>], owners: &Owners<'a>, context: FilterContext<'_>, notes: &mut Notes) {
    let header = &context.config.routing_header;
    // Cells whose requests have all found their route already.
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
        let wanted = route.wants(header);
        if matches!(wanted, Wanted::Exactly(_) | Wanted::Absence) {
            continue;
        }
        let overlapping = behind.iter().filter(|other| route.conditions().overlaps(other.conditions()));
        let robbed: BTreeSet<&str> =
            overlapping.filter_map(|other| cell_of(other, context)).filter(|cell| !served.contains(cell)).collect();
        let is_last = wanted == Wanted::Anything && route.is_broad(header);
        if !robbed.is_empty() {
            before(route, owners.owner(route), &robbed.into_iter().collect::<Vec<_>>(), context, notes);
        } else if has_cells && wanted == Wanted::Anything && !is_last {
            after(route, owners.owner(route), notes);
        }
        if is_last {
            // Nothing gets beyond it.
            return;
        }
    }
}

/// The cell whose route it is.
fn cell_of<'a>(route: &Route<'a>, context: FilterContext<'_>) -> Option<&'a str> {
    match route.wants(&context.config.routing_header) {
        Wanted::Exactly(cell) if context.is_cell(cell) => Some(cell),
        _ => None,
    }
}

fn before(route: &Route<'_>, owner: Owner<'_>, cells: &[&str], context: FilterContext<'_>, notes: &mut Notes) {
    let header = &context.config.routing_header;
    let (title, paths, deed) = (route.title(), route.conditions().in_words(), route.deed());
    let is_broad = route.is_broad(header);
    if let Some(purpose) = harmless(route) {
        notes.ok(format!("{title} takes {purpose} before the cells: {paths}, which {deed}"));
        return;
    }
    let is_deliberate = match owner {
        Owner::Cells => true,
        Owner::Other(_) => false,
        Owner::Unknown => !route.forwards() || route.disables(context.filter),
    };
    if is_deliberate && !is_broad {
        notes.ok(format!("{title} takes {paths} before the cells, and {deed}"));
        return;
    }
    let cells = enumerate(cells);
    if route.wants(header) != Wanted::Anything {
        notes.warning(
            format!("{title} matches {header} by a pattern and stands before the routes of {cells}: it may take {paths} from them, and {deed}"),
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
            "Istio puts the older object's routes first: take these paths out of {origin}; if they shall stay as they are, put \
             them into the cells' own VirtualService (chart: routes.extra): docs/operate.md, \"Take over a host\""
        ),
        Owner::Cells | Owner::Unknown => {
            "move it behind the cells' routes: the first route that matches counts".to_owned()
        }
    };
    notes.error(format!("{title} stands before the routes of {cells}, and takes {paths} from them: it {deed}"), fix);
}

fn after(route: &Route<'_>, owner: Owner<'_>, notes: &mut Notes) {
    let (title, paths, deed) = (route.title(), route.conditions().in_words(), route.deed());
    if let Some(purpose) = harmless(route) {
        notes.ok(format!("{title} takes {purpose}: {paths}, which {deed}"));
        return;
    }
    let what = format!("requests without a decision for {paths} are taken by {title}, which {deed}");
    match owner {
        Owner::Other(origin) => notes.warning(
            what,
            format!("take these paths out of {origin}, if requests without a decision shall be refused on them too"),
        ),
        Owner::Unknown if route.forwards() => {
            notes.warning(what, "remove it, if requests without a decision shall be refused on these paths too")
        }
        Owner::Cells | Owner::Unknown => notes.ok(what),
    }
}

/// What it is for, if that is for nobody's cell.
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
