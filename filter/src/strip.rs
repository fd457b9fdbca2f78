//! Removing what a client must not send: the routing header and Cellgate's own.

use cellgate_routing::headers;

use crate::host::{Fields, Host, Unreleased};

/// Removes reserved headers from the request, every value and every spelling. What is left, and how many went.
pub(crate) fn headers<H: Host>(host: &H, unreleased: &Unreleased, routing_header: &str) -> (Fields, u64) {
    let mut fields = host.request_headers();
    let removed = take_reserved(&mut fields, routing_header);
    for name in names(&removed) {
        host.remove_request_header(unreleased, name);
    }
    (fields, removed.len() as u64)
}

/// Removes reserved trailers: an upstream may merge trailers into the headers (RFC 9110, 6.5.1). How many went.
pub(crate) fn trailers<H: Host>(host: &H, routing_header: &str) -> u64 {
    let mut fields = host.request_trailers();
    let removed = take_reserved(&mut fields, routing_header);
    for name in names(&removed) {
        host.remove_request_trailer(name);
    }
    removed.len() as u64
}

fn take_reserved(fields: &mut Fields, routing_header: &str) -> Fields {
    // Nearly every request has none: look first, and move nothing then.
    let is_reserved = |name: &str| headers::is_reserved(name.as_bytes(), routing_header);
    if !fields.iter().any(|(name, _)| is_reserved(name)) {
        return Fields::new();
    }
    let (reserved, kept) = std::mem::take(fields).into_iter().partition(|(name, _)| is_reserved(name));
    *fields = kept;
    reserved
}

/// Each name once: one removal takes every value.
fn names(removed: &Fields) -> impl Iterator<Item = &str> {
    removed
        .iter()
        .enumerate()
        .filter(|(index, (name, _))| !removed.iter().take(*index).any(|(earlier, _)| earlier == name))
        .map(|(_, (name, _))| name.as_str())
}
