//! The header names Cellgate sets, and the names it never lets a client send.

/// Set by the filter on a deferred request, read by the matcher in front of the ext-proc filter: `MODE;REASON`.
pub const DEFER: &str = "x-cellgate-defer";

/// Every header with this prefix is Cellgate's own and is stripped from inbound requests.
pub const INTERNAL_PREFIX: &str = "x-cellgate-";

/// Whether a client's header must be removed: the routing header or an internal one, in any spelling.
///
/// Envoy lower-cases names before filters see them. Underscores are compared as hyphens, because upstreams that map
/// headers to CGI-style variables cannot tell `x_cell` from `x-cell`.
#[must_use]
pub fn is_reserved(name: &[u8], routing_header: &str) -> bool {
    same_spelling(name, routing_header.as_bytes())
        || name.get(..INTERNAL_PREFIX.len()).is_some_and(|start| same_spelling(start, INTERNAL_PREFIX.as_bytes()))
}

/// The routing header's value, if it is there once and in its own spelling: anything else says two things.
pub(crate) fn routing_value<'a>(
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    routing_header: &str,
) -> Option<&'a [u8]> {
    let mut fields = fields.filter(|(name, _)| same_spelling(name, routing_header.as_bytes()));
    match (fields.next(), fields.next()) {
        (Some((name, value)), None) if name == routing_header.as_bytes() => Some(value),
        _ => None,
    }
}

fn same_spelling(name: &[u8], reserved: &[u8]) -> bool {
    let fold = |byte: &u8| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.len() == reserved.len() && name.iter().map(fold).eq(reserved.iter().map(fold))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_reserved() {
        for name in
            ["x-cell", "X-Cell", "x_cell", "X_CELL", "x-cellgate-defer", "x_cellgate_defer", "X-CELLGATE-anything"]
        {
            assert!(is_reserved(name.as_bytes(), "x-cell"), "{name}");
        }
    }

    #[test]
    fn neighbours_are_not() {
        for name in ["x-cel", "x-cells", "x-cellgate", "xcell", "x-tenant-id", ""] {
            assert!(!is_reserved(name.as_bytes(), "x-cell"), "{name}");
        }
    }
}
