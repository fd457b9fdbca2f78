//! Envoy's Lua filter with a short script that finds the tenant by string matching. `lua/route.lua` lists the faults.

use serde_json::{Value, json};

use crate::bootstrap::insert_filter;
use crate::cases::TENANTS;

/// How the script finds the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Matching {
    /// One pattern over the whole body, the obvious solution.
    Pattern,
    /// A plain search, then a pattern at the match: the fastest way in Lua.
    Search,
    /// A plain search for a field of `multipart/form-data`.
    Multipart,
}

impl Matching {
    fn tenant_of(self) -> &'static str {
        match self {
            Self::Pattern => include_str!("lua/pattern.lua"),
            Self::Search => include_str!("lua/search.lua"),
            Self::Multipart => include_str!("lua/multipart.lua"),
        }
    }
}

/// Inserts the filter before all others.
pub(crate) fn install(bootstrap: &mut Value, matching: Matching) {
    install_script(bootstrap, &[matching.tenant_of(), include_str!("lua/route.lua")]);
}

/// Inserts a filter with a script in several parts before all others.
pub(super) fn install_script(bootstrap: &mut Value, parts: &[&str]) {
    let script = format!("{}\n{}", table(&TENANTS), parts.join("\n"));
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

/// A Lua string literal. Every byte that is not a plain character is written as its number.
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
    fn a_name_cannot_end_its_string_literal() {
        assert_eq!(quoted("a\"b\\c\nd"), r#""a\034b\092c\010d""#);
        assert_eq!(quoted("ü"), r#""\195\188""#);
    }
}
