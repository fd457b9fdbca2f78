//! Removes the reserved fields that a client must not send: the routing header and Cellgate's own.

use cellgate_routing::{Decider, Decision, headers};

use crate::host::{Fields, Host, Unreleased};

/// A request's head without reserved headers.
pub(crate) struct Stripped {
    pub(crate) head: Fields,
    /// How many removed headers the peer was not entitled to send.
    pub(crate) count: u64,
    /// The decision in the routing header of a listed peer. The header is removed too, because each decision sets it.
    pub(crate) decided_before: Option<Decision>,
}

/// Removes reserved headers from the request, every value and every spelling. `None`: Envoy does not show or remove them.
pub(crate) fn headers<H: Host>(host: &H, unreleased: &Unreleased, decider: &Decider) -> Option<Stripped> {
    let routing_header = &decider.config().routing_header;
    let fields = host.request_headers()?;
    let count = reserved(&fields, routing_header).count();
    if count == 0 {
        return Some(Stripped { head: fields, count: 0, decided_before: None });
    }
    let decided_before =
        decider.decided_before(fields.iter().map(|(name, value)| (name.as_bytes(), value)), || host.peer_uri());
    for name in reserved(&fields, routing_header) {
        host.remove_request_header(unreleased, name);
    }
    let head = host.request_headers()?;
    let is_clean = reserved(&head, routing_header).next().is_none();
    is_clean.then_some(Stripped { head, count: count as u64 - u64::from(decided_before.is_some()), decided_before })
}

/// Removes reserved trailers, because an upstream may merge trailers into the headers (RFC 9110, 6.5.1). Returns how
/// many; `None`: Envoy does not show or remove them.
pub(crate) fn trailers<H: Host>(host: &H, routing_header: &str) -> Option<u64> {
    let fields = host.request_trailers()?;
    let count = reserved(&fields, routing_header).count();
    if count == 0 {
        return Some(0);
    }
    for name in reserved(&fields, routing_header) {
        host.remove_request_trailer(name);
    }
    let is_clean = reserved(&host.request_trailers()?, routing_header).next().is_none();
    is_clean.then_some(count as u64)
}

/// The names of the reserved fields. A repeated field is repeated here; its second removal changes nothing.
pub(crate) fn reserved<'a>(fields: &'a Fields, routing_header: &str) -> impl Iterator<Item = &'a str> {
    fields.iter().map(|(name, _)| name).filter(move |name| headers::is_reserved(name.as_bytes(), routing_header))
}
