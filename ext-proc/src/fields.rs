//! Header fields as Envoy sends them, and the ones a client may not send.

use std::collections::HashSet;

use cellgate_routing::Head;
use cellgate_routing::headers::is_reserved;
use envoy_types::pb::envoy::config::core::v3::HeaderMap;

/// Header fields in the order received, names in lower case, pseudo-headers among them.
pub type Fields = Vec<(String, Vec<u8>)>;

/// The most fields of a head or of trailers. Envoy's own default is 100.
pub const MAX_FIELDS: usize = 10_000;

/// Unwraps Envoy's form. Values are bytes (`raw_value`); `value` is for peers that only know text.
#[must_use]
pub fn from_envoy(map: Option<HeaderMap>) -> Fields {
    let headers = map.unwrap_or_default().headers.into_iter();
    headers
        .map(|header| {
            let value = if header.raw_value.is_empty() { header.value.into_bytes() } else { header.raw_value };
            (header.key, value)
        })
        .collect()
}

/// The first value of a field, or no bytes.
#[must_use]
pub fn first<'a>(fields: &'a [(String, Vec<u8>)], name: &str) -> &'a [u8] {
    Head::first(fields, name).unwrap_or_default()
}

/// Removes the routing header and all internal headers, in any spelling, and returns the names that were there.
pub fn strip(fields: &mut Fields, routing_header: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut seen: HashSet<String> = HashSet::new();
    fields.retain(|(name, _)| {
        let reserved = is_reserved(name.as_bytes(), routing_header);
        if reserved && seen.insert(name.clone()) {
            names.push(name.clone());
        }
        !reserved
    });
    names
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::config::core::v3::HeaderValue;

    use super::*;

    #[test]
    fn raw_values_win() {
        let header =
            |value: &str, raw: &[u8]| HeaderValue { key: "a".into(), value: value.into(), raw_value: raw.into() };
        let map = HeaderMap { headers: vec![header("", b"\xff"), header("text", b""), header("text", b"raw")] };
        let values: Vec<_> = from_envoy(Some(map)).into_iter().map(|(_, value)| value).collect();
        assert_eq!(values, [&b"\xff"[..], b"text", b"raw"]);
        assert!(from_envoy(None).is_empty());
    }

    #[test]
    fn every_reserved_value_goes_and_each_name_is_said_once() {
        let names = ["x-cell", "a", "x-cell", "x_cell", "x-cellgate-defer", "x-cells"];
        let mut fields: Fields = names.iter().map(|name| ((*name).to_owned(), Vec::new())).collect();
        assert_eq!(strip(&mut fields, "x-cell"), ["x-cell", "x_cell", "x-cellgate-defer"]);
        let left: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(left, ["a", "x-cells"]);
    }
}
