//! The filter in whose chain the routes are.

use cellgate_routing::Config;

/// The filter of a chain, and its configuration.
#[derive(Clone, Copy)]
pub(in crate::doctor) struct FilterContext<'a> {
    /// The filter's name in the chain.
    pub(in crate::doctor) filter: &'a str,
    /// The name of the service's filter in the same chain, if there is one.
    pub(in crate::doctor) service: Option<&'a str>,
    /// The filter's configuration.
    pub(in crate::doctor) config: &'a Config,
}

impl FilterContext<'_> {
    /// Whether the configuration has a cell of this name.
    pub(super) fn is_cell(&self, name: &str) -> bool {
        self.config.cell_named(name.as_bytes()).is_some()
    }
}
