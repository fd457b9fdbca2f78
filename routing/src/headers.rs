//! The headers that Cellgate sets, and those that it removes from client requests.

/// The deferral header, which the filter sets for the matcher before the ext-proc filter. Its value is `MODE;REASON`.
pub const DEFER: &str = "x-cellgate-defer";

/// The prefix of internal headers. Cellgate removes every header with it from client requests.
pub const INTERNAL_PREFIX: &str = "x-cellgate-";

/// Whether a header must be removed from client requests: the routing header or an internal one, in any spelling.
///
/// An underscore equals a hyphen, because upstreams that map headers to CGI-style variables cannot tell `x_cell` from
/// `x-cell`.
#[must_use]
pub fn is_reserved(name: &[u8], routing_header: &str) -> bool {
    same_spelling(name, routing_header.as_bytes())
        || name.get(..INTERNAL_PREFIX.len()).is_some_and(|start| same_spelling(start, INTERNAL_PREFIX.as_bytes()))
}

/// The value of the routing header, if the request has exactly one, spelled as configured. Upstreams could read any other
/// set of headers in different ways.
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
    fn similar_names_are_not_reserved() {
        for name in ["x-cel", "x-cells", "x-cellgate", "xcell", "x-tenant-id", ""] {
            assert!(!is_reserved(name.as_bytes(), "x-cell"), "{name}");
        }
    }
}
