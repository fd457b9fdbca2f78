//! One virtual host: its routes in the order in which Envoy tries them.

use std::collections::{BTreeMap, BTreeSet};

use cellgate_routing::headers::DEFER;
use serde_json::Value;

use super::context::FilterContext;
use super::other_routes::{self, Owner, Owners};
use super::route::{HeaderCondition, Route};
use super::settled_fields;
use crate::doctor::destinations::Destinations;
use crate::doctor::finding::{Finding, Notes, Section, enumerate};
use crate::doctor::message::{list, text};

/// A virtual host.
pub(super) struct Host<'a> {
    name: &'a str,
    routes: Vec<Route<'a>>,
}

/// The cells by the kind of their routes.
#[derive(Default)]
struct Cells<'a> {
    /// Cells with a route for every path.
    whole: BTreeMap<&'a str, Route<'a>>,
    /// Cells with routes for some paths only.
    partly: BTreeSet<&'a str>,
    /// Cells whose route is behind a route for all requests.
    shadowed: BTreeSet<&'a str>,
    /// Values of the header that are not cells.
    unknown: BTreeSet<&'a str>,
    /// Whether a route matches by a pattern, which may match any cell.
    by_pattern: bool,
    /// The first route for all requests, whatever the value of the header.
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

    /// Whether any route matches on a header.
    pub(super) fn mentions(&self, header: &str) -> bool {
        self.routes.iter().any(|route| route.condition_on(header) != HeaderCondition::Anything)
    }

    /// The names of the routes that have a matching setting for a filter.
    pub(super) fn that_set(&self, filter: &str, is_meant: impl Fn(&Value) -> bool) -> Vec<String> {
        let all = self.routes.iter().filter(|route| route.sets(filter, &is_meant));
        all.map(|route| format!("{} ({})", route.title(), self.name)).collect()
    }

    /// Examines all routes, and adds the cells' clusters to `destinations`.
    pub(super) fn examine(&self, context: FilterContext<'_>, destinations: &mut Destinations<'a>) -> Vec<Finding> {
        let mut notes = Notes::new(Section::Routes, self.name);
        let header = &context.config.routing_header;
        let forwards = |route: &Route<'_>| route.forwards() && route.condition_on(header) != HeaderCondition::Anything;
        if !self.routes.iter().any(forwards) {
            notes.ok(format!("answers requests with {header} directly, as a probe's routes do"));
            return notes.into_findings();
        }
        let cells = self.cells(context);
        for (cell, route) in &cells.whole {
            match route.status() {
                Some(status) => notes.ok(format!("{header}: {cell} is answered {status} by the route directly")),
                None => notes.ok(format!("{header}: {cell} goes to {}", route.manner())),
            }
            destinations.entry(cell).or_default().extend(route.clusters());
        }
        absent(&cells, context, &mut notes);
        let owners = Owners::of(&self.routes, context);
        other_routes::examine(&self.routes, &owners, context, &mut notes);
        if !cells.unknown.is_empty() {
            let names: Vec<&str> = cells.unknown.iter().copied().collect();
            notes.warning(
                format!(
                    "routes match {header}: {}, which are not cells of the filter's configuration",
                    enumerate(&names)
                ),
                "remove these routes, or add the cells to the configuration",
            );
        }
        undecided(cells.catch_all, &owners, &mut notes);
        settled_fields::examine(&self.routes, context.config, &mut notes);
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

    /// Examines routes that disable the filter, and with it the removal of reserved headers.
    pub(super) fn opt_outs(&self, context: FilterContext<'_>) -> Vec<Finding> {
        let mut notes = Notes::new(Section::Routes, self.name);
        for route in self.routes.iter().filter(|route| route.disables(context.filter)) {
            let kept: Vec<&str> =
                [&*context.config.routing_header, DEFER].into_iter().filter(|header| !route.removes(header)).collect();
            if let Some(service) = context.service.filter(|service| !route.disables(service)) {
                notes.warning(
                    format!(
                        "{} disables the filter but not `{service}`: a client's own {DEFER} reaches the service",
                        route.label()
                    ),
                    format!("disable `{service}` there too"),
                );
            }
            if kept.is_empty() || !route.forwards() {
                notes.ok(format!(
                    "{} disables the filter, and removes the headers that clients could send",
                    route.label()
                ));
            } else {
                notes.error(
                    format!("{} disables the filter and forwards a client's own {}", route.label(), kept.join(" and ")),
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
            match route.condition_on(header) {
                HeaderCondition::Exactly(cell) if !context.is_cell(cell) => {
                    cells.unknown.insert(cell);
                }
                HeaderCondition::Exactly(cell) if cells.whole.contains_key(cell) => {}
                HeaderCondition::Exactly(cell) if cells.catch_all.is_some() => {
                    cells.shadowed.insert(cell);
                }
                HeaderCondition::Exactly(cell) if broad => {
                    cells.whole.insert(cell, *route);
                }
                HeaderCondition::Exactly(cell) => {
                    cells.partly.insert(cell);
                }
                HeaderCondition::Other => cells.by_pattern = true,
                HeaderCondition::Anything if broad => cells.catch_all = cells.catch_all.or(Some(*route)),
                HeaderCondition::Anything | HeaderCondition::Absence => {}
            }
        }
        cells
    }
}

/// Reports cells without a route, or with routes for some paths only.
fn absent(cells: &Cells<'_>, context: FilterContext<'_>, notes: &mut Notes) {
    let names = || context.config.cells.iter().map(|cell| &**cell).filter(|cell| !cells.whole.contains_key(cell));
    let header = &context.config.routing_header;
    let partly: Vec<&str> = names().filter(|cell| cells.partly.contains(cell)).collect();
    if !partly.is_empty() {
        notes.warning(
            format!("{} have routes for some requests only, by path or by other headers", enumerate(&partly)),
            "if other requests should reach these cells too, add a route for each on the prefix / and the routing header only",
        );
    }
    let known = |cell: &&str| cells.partly.contains(*cell) || cells.shadowed.contains(*cell);
    let missing: Vec<&str> = names().filter(|cell| !known(cell)).collect();
    if missing.is_empty() {
        return;
    }
    if cells.by_pattern {
        notes.unknown(
            format!("no route matches {header} exactly for {}: a route with a pattern may", enumerate(&missing)),
            "match on exact values: a pattern also matches values that are not cells",
        );
    } else {
        notes.error(
            format!("no route matches {header}: {}", enumerate(&missing)),
            "add a route on the exact value for each of them (chart: cells), or remove them from the configuration",
        );
    }
}

/// Reports the route for requests without a decision.
fn undecided<'a>(catch_all: Option<Route<'a>>, owners: &Owners<'a>, notes: &mut Notes) {
    let Some(route) = catch_all else {
        notes.warning(
            "requests without a decision are answered 404, Envoy's default without a route",
            "add a last route that refuses them: direct_response with status 421 (chart: routes.undecided)",
        );
        return;
    };
    match (owners.owner(&route), route.status()) {
        (Owner::Other(origin), status) if status.is_none_or(|status| status < 400) => notes.warning(
            format!("requests without a decision are taken by {}, which {}", route.title(), route.action()),
            format!(
                "remove the route that takes everything from {origin}, so that the cells' own last route refuses them"
            ),
        ),
        (_, Some(status)) => notes.ok(format!("requests without a decision are answered {status}")),
        (_, None) => notes.warning(
            format!("requests without a decision go to {}", route.manner()),
            "if this is not intended, add a last route that refuses them (chart: routes.undecided.reject)",
        ),
    }
}
