//! Header fields as Envoy sends them, and the reserved ones that a client must not send.

use std::borrow::Cow;
use std::collections::HashSet;

use cellgate_routing::Head;
use cellgate_routing::headers::is_reserved;

/// Header fields in the order received, with names in lower case. Pseudo-headers are included.
pub type Fields = Vec<(String, Vec<u8>)>;

/// The most headers or trailers of a request. Envoy's default limit is 100.
pub const MAX_FIELDS: usize = 10_000;

/// A request's head: its fields, and the dynamic metadata of the filters in front of the service.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The header fields.
    pub fields: &'a [(String, Vec<u8>)],
    /// A serialised `envoy.config.core.v3.Metadata`, or empty.
    pub metadata: &'a [u8],
    /// Request attributes.
    pub attributes: &'a Attributes,
}

/// The request attributes that Envoy sends (`request_attributes` of the ext_proc filter). No client can write them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `filter_state['wasm.cellgate_handover']`: the filter's decision.
    pub handover: Option<String>,
    /// `connection.uri_san_peer_certificate`.
    pub peer: Option<String>,
    /// `source.address`.
    pub client_address: Option<String>,
}

impl Head for RequestHead<'_> {
    fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.values(name)
    }

    fn metadata(&self) -> &[u8] {
        self.metadata
    }

    fn peer(&self) -> Option<Cow<'_, [u8]>> {
        self.attributes.peer.as_deref().map(|peer| Cow::Borrowed(peer.as_bytes()))
    }

    fn client_address(&self) -> Option<Cow<'_, [u8]>> {
        self.attributes.client_address.as_deref().map(|address| Cow::Borrowed(address.as_bytes()))
    }
}

/// The first value of a field, or an empty slice.
#[must_use]
pub fn first<'a>(fields: &'a Fields, name: &str) -> &'a [u8] {
    Head::first(fields.as_slice(), name).unwrap_or_default()
}

/// Removes the routing header and all internal headers, in any spelling. Returns the names that it removed.
pub fn strip(fields: &mut Fields, routing_header: &str) -> Vec<String> {
    let mut names = Vec::new();
    // Does not allocate until there is a name to remove.
    let mut seen = HashSet::new();
    fields.retain_mut(|(name, _)| {
        let reserved = is_reserved(name.as_bytes(), routing_header);
        if reserved && !seen.contains(name.as_str()) {
            seen.insert(name.clone());
            names.push(std::mem::take(name));
        }
        !reserved
    });
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_headers_are_removed_and_each_name_is_returned_once() {
        let names = ["x-cell", "a", "x-cell", "x_cell", "x-cellgate-defer", "x-cells"];
        let mut fields: Fields = names.iter().map(|name| ((*name).to_owned(), Vec::new())).collect();
        assert_eq!(strip(&mut fields, "x-cell"), ["x-cell", "x_cell", "x-cellgate-defer"]);
        let left: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(left, ["a", "x-cells"]);
    }
}
