//! One virtual host: its routes in their order, as Envoy tries them.

use std::collections::{BTreeMap, BTreeSet};

use cellgate_routing::headers::DEFER;
use serde_json::Value;

use super::context::FilterContext;
use super::neighbours::{self, Owner, Owners};
use super::route::{Route, Wanted};
use crate::doctor::destinations::Destinations;
use crate::doctor::finding::{Finding, Notes, Section, enumerate};
use crate::doctor::message::{list, text};

/// A virtual host.
pub(super) struct Host<'a> {
    name: &'a str,
    routes: Vec<Route<'a>>,
}

/// How a cell's requests fare in it.
#[derive(Default)]
struct Cells<'a> {
    /// Those with a route for every path.
    whole: BTreeMap<&'a str, Route<'a>>,
    /// Those with routes for some paths.
    partly: BTreeSet<&'a str>,
    /// Those whose route stands behind one that takes everything.
    shadowed: BTreeSet<&'a str>,
    /// Values of the header that are no cells.
    unknown: BTreeSet<&'a str>,
    /// Whether a route matches by a pattern, which may be any cell.
    by_pattern: bool,
    /// The first route that takes everything, whatever the header says.
    catch_all: Option<Route<'a>>,
}

impl<'a> Host<'a> {
    pub(super) fn new(routes: &'a Value, host: &'a Value) -> Self {
        let name = text(host, "name");
        Self { name, routes: list(host, "routes").iter().map(|route| Route::new(routes, host, route)).collect() }
    }

    pub(super) fn name(&self) -> &'a str {
        self.name
    }

    /// Whether any route looks at a header.
    pub(super) fn mentions(&self, header: &str) -> bool {
        self.routes.iter().any(|route| route.wants(header) != Wanted::Anything)
    }

    /// The routes for which a filter has a setting of a kind, by name.
    pub(super) fn that_set(&self, filter: &str, is_meant: impl Fn(&Value) -> bool) -> Vec<String> {
        let all = self.routes.iter().filter(|route| route.sets(filter, &is_meant));
        all.map(|route| format!("{} ({})", route.title(), self.name)).collect()
    }

    /// Looks at the cells' routes and the rest, and adds to where the cells are.
    pub(super) fn examine(&self, context: FilterContext<'_>, destinations: &mut Destinations<'a>) -> Vec<Finding> {
        let mut notes = Notes::new(Section::Routes, self.name);
        let header = &context.config.routing_header;
        let forwards = |route: &Route<'_>| route.forwards() && route.wants(header) != Wanted::Anything;
        if !self.routes.iter().any(forwards) {
            notes.ok(format!("answers requests with {header} by itself, as a probe's routes do"));
            return notes.into_findings();
        }
        let cells = self.cells(context);
        for (cell, route) in &cells.whole {
            match route.status() {
                Some(status) => notes.ok(format!("{header}: {cell} is answered {status} by the route itself")),
                None => notes.ok(format!("{header}: {cell} goes to {}", route.manner())),
            }
            destinations.entry(cell).or_default().extend(route.clusters());
        }
        absent(&cells, context, &mut notes);
        let owners = Owners::of(&self.routes, context);
        neighbours::examine(&self.routes, &owners, context, &mut notes);
        if !cells.unknown.is_empty() {
            let names: Vec<&str> = cells.unknown.iter().copied().collect();
            notes.warning(
                format!(
                    "routes match {header}: {}, which the filter's configuration does not know as cells",
                    enumerate(&names)
                ),
                "remove these routes, or add the cells to the configuration",
            );
        }
        undecided(cells.catch_all, &owners, &mut notes);
        let leaks = cells.whole.iter().filter(|(_, route)| route.forwards() && !route.removes(DEFER));
        let leaks: Vec<&str> = leaks.map(|(cell, _)| *cell).collect();
        if !leaks.is_empty() {
            notes.warning(
                format!("the routes of {} do not remove {DEFER}: the cells see it", enumerate(&leaks)),
                format!("add request_headers_to_remove: [{DEFER}] (VirtualService: headers.request.remove)"),
            );
        }
        notes.into_findings()
    }

    /// Looks at routes that switch the filter off, and with it the stripping.
    pub(super) fn opt_outs(&self, context: FilterContext<'_>) -> Vec<Finding> {
        let mut notes = Notes::new(Section::Routes, self.name);
        for route in self.routes.iter().filter(|route| route.disables(context.filter)) {
            let kept: Vec<&str> =
                [&*context.config.routing_header, DEFER].into_iter().filter(|header| !route.removes(header)).collect();
            if let Some(service) = context.service.filter(|service| !route.disables(service)) {
                notes.warning(
                    format!(
                        "{} switches the filter off and leaves `{service}` on: a client's own {DEFER} asks the service",
                        route.label()
                    ),
                    format!("switch `{service}` off there too"),
                );
            }
            if kept.is_empty() || !route.forwards() {
                notes.ok(format!("{} switches the filter off, and removes what clients could send", route.label()));
            } else {
                notes.error(
                    format!(
                        "{} switches the filter off and keeps a client's own {}",
                        route.label(),
                        kept.join(" and ")
                    ),
                    format!("add request_headers_to_remove: [{}] to the route", kept.join(", ")),
                );
            }
        }
        notes.into_findings()
    }

    fn cells(&self, context: FilterContext<'_>) -> Cells<'a> {
        let header = &context.config.routing_header;
        let mut cells = Cells::default();
        for route in &self.routes {
            let broad = route.is_broad(header);
            match route.wants(header) {
                Wanted::Exactly(cell) if !context.is_cell(cell) => {
                    cells.unknown.insert(cell);
                }
                Wanted::Exactly(cell) if cells.whole.contains_key(cell) => {}
                Wanted::Exactly(cell) if cells.catch_all.is_some() => {
                    cells.shadowed.insert(cell);
                }
                Wanted::Exactly(cell) if broad => {
                    cells.whole.insert(cell, *route);
                }
                Wanted::Exactly(cell) => {
                    cells.partly.insert(cell);
                }
                Wanted::Something => cells.by_pattern = true,
                Wanted::Anything if broad => cells.catch_all = cells.catch_all.or(Some(*route)),
                Wanted::Anything | Wanted::Absence => {}
            }
        }
        cells
    }
}

/// Cells without a route of their own, or with one on some paths only.
fn absent(cells: &Cells<'_>, context: FilterContext<'_>, notes: &mut Notes) {
    let names = || context.config.cells.iter().map(|cell| &**cell).filter(|cell| !cells.whole.contains_key(cell));
    let header = &context.config.routing_header;
    let partly: Vec<&str> = names().filter(|cell| cells.partly.contains(cell)).collect();
    if !partly.is_empty() {
        notes.warning(
            format!("{} have routes for some requests only, by path or by other headers", enumerate(&partly)),
            "add a route on the prefix / and nothing but the routing header for each of them, if others should reach them too",
        );
    }
    let known = |cell: &&str| cells.partly.contains(*cell) || cells.shadowed.contains(*cell);
    let missing: Vec<&str> = names().filter(|cell| !known(cell)).collect();
    if missing.is_empty() {
        return;
    }
    if cells.by_pattern {
        notes.unknown(
            format!("no route matches {header} exactly for {}: one with a pattern may", enumerate(&missing)),
            "match on exact values: a pattern also takes what is no cell",
        );
    } else {
        notes.error(
            format!("no route matches {header}: {}", enumerate(&missing)),
            "add a route on the exact value for each of them (chart: cells), or take them out of the configuration",
        );
    }
}

/// What becomes of a request without a decision.
fn undecided<'a>(catch_all: Option<Route<'a>>, owners: &Owners<'a>, notes: &mut Notes) {
    let Some(route) = catch_all else {
        notes.warning(
            "requests without a decision are answered 404, as by accident",
            "add a last route that refuses them: direct_response with status 421 (chart: routes.undecided)",
        );
        return;
    };
    match (owners.owner(&route), route.status()) {
        (Owner::Other(origin), status) if status.is_none_or(|status| status < 400) => notes.warning(
            format!("requests without a decision are taken by {}, which {}", route.title(), route.deed()),
            format!(
                "remove the route that takes everything from {origin}, so that the cells' own last route refuses them"
            ),
        ),
        (_, Some(status)) => notes.ok(format!("requests without a decision are answered {status}")),
        (_, None) => notes.warning(
            format!("requests without a decision go to {}", route.manner()),
            "if that is not meant: a last route that refuses them (chart: routes.undecided.reject)",
        ),
    }
}
