//! Routes that remove the field by which a response settles a cost. Envoy's router does so before any filter sees the response.

use cellgate_routing::{Config, ResponsePlace};

use super::route::Route;
use crate::doctor::finding::{Notes, enumerate};
use crate::doctor::rate_limits;

/// Examines the routes of a virtual host.
pub(super) fn examine(routes: &[Route<'_>], config: &Config, notes: &mut Notes) {
    if !rate_limits::are_counted(config) {
        return;
    }
    for limit in &config.rate_limits {
        let Some(ResponsePlace::Header(field)) = limit.settlement.as_ref().map(|settlement| &settlement.place) else {
            continue;
        };
        let removing = routes.iter().filter(|route| route.forwards() && route.removes_from_response(field));
        let names: Vec<String> = removing.map(Route::title).collect();
        if names.is_empty() {
            continue;
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        notes.error(
            format!(
                "{}: {field} is removed from responses before the service sees it, so no response settles `{}`",
                enumerate(&names),
                limit.name
            ),
            format!(
                "remove {field} from response_headers_to_remove (VirtualService: headers.response.remove), and hide it by a \
                 filter in front of Cellgate's: docs/rate-limits.md"
            ),
        );
    }
}
