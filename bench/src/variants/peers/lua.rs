//! Envoy's Lua filter with a few lines that find the tenant by string matching. `lua/route.lua` says what that gets
//! wrong.

use serde_json::{Value, json};

use crate::bootstrap::insert_filter;
use crate::cases::TENANTS;

/// How the script looks for the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Matching {
    /// One pattern over the whole body: what everybody writes first.
    Pattern,
    /// A plain search, and a pattern where it succeeds: as fast as Lua gets.
    Search,
}

impl Matching {
    fn tenant_of(self) -> &'static str {
        match self {
            Self::Pattern => include_str!("lua/pattern.lua"),
            Self::Search => include_str!("lua/search.lua"),
        }
    }
}

/// Puts the filter in front of all others.
pub(crate) fn install(bootstrap: &mut Value, matching: Matching) {
    let script = [&table(&TENANTS), matching.tenant_of(), include_str!("lua/route.lua")].join("\n");
    let config = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
        "default_source_code": {"inline_string": script},
    });
    insert_filter(bootstrap, json!({"name": "envoy.filters.http.lua", "typed_config": config}));
}

fn table(cells: &[(&str, &str)]) -> String {
    let entry = |(tenant, cell): &(&str, &str)| format!("  [{}] = {},\n", quoted(tenant), quoted(cell));
    format!("local cells = {{\n{}}}\n", cells.iter().map(entry).collect::<String>())
}

/// A Lua string, each byte written as its number where it is not a plain character.
fn quoted(text: &str) -> String {
    let escaped = text.bytes().map(|byte| match byte {
        b'"' | b'\\' | 0..0x20 | 0x7f.. => format!("\\{byte:03}"),
        plain => char::from(plain).to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tenant_is_in_the_table() {
        let table = table(&[("acme", "cell-b"), ("globex", "cell-c")]);
        assert_eq!(table, "local cells = {\n  [\"acme\"] = \"cell-b\",\n  [\"globex\"] = \"cell-c\",\n}\n");
    }

    #[test]
    fn no_name_ends_the_string_it_stands_in() {
        assert_eq!(quoted("a\"b\\c\nd"), r#""a\034b\092c\010d""#);
        assert_eq!(quoted("ü"), r#""\195\188""#);
    }
}
