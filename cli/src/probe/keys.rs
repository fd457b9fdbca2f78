//! Keys for each cell.

use std::collections::BTreeMap;

use cellgate_routing::{CellId, Config};
use serde_json::Value;

/// How many generated keys are tried. A cell that owns one slot of 65,536 almost certainly gets one of them.
const TRIED: u32 = 1_000_000;

/// How many keys of each kind a cell gets. Some keys cannot be written in some sources.
const PER_KIND: usize = 3;

/// Keys by cell: first generated keys, which no tenant has, then keys with a configured prefix, then configured keys. `json`
/// is the configuration as JSON.
pub(super) fn candidates(config: &Config, json: &Value) -> BTreeMap<CellId, Vec<String>> {
    let mut found = Candidates { config, keys: BTreeMap::new() };
    found.add_generated();
    let prefixes = table(json, "prefixes");
    found.add(prefixes.map(|(prefix, _)| format!("{prefix}cellgate-probe")));
    for name in ["overrides", "exact"] {
        let entries = table(json, name);
        found.add(entries.map(|(key, _)| key.clone()));
    }
    found.keys
}

/// The entries of one of the placement's tables.
fn table<'a>(json: &'a Value, name: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    json.get("placement").and_then(|placement| placement.get(name)).and_then(Value::as_object).into_iter().flatten()
}

struct Candidates<'a> {
    config: &'a Config,
    keys: BTreeMap<CellId, Vec<String>>,
}

impl Candidates<'_> {
    fn add_generated(&mut self) {
        let mut open = self.reachable();
        for number in 0..TRIED {
            if open.is_empty() {
                return;
            }
            let key = format!("cellgate-probe-{number}");
            if let Some((cell, _)) = self.config.placement.place(&key) {
                let keys = self.keys.entry(cell).or_default();
                if keys.len() < PER_KIND {
                    keys.push(key);
                }
                if keys.len() == PER_KIND {
                    open.retain(|other| *other != cell);
                }
            }
        }
    }

    /// The cells in which a key that no table has can be placed: by its slot, or by default.
    fn reachable(&self) -> Vec<CellId> {
        let placement = &self.config.placement;
        match placement.place("cellgate-probe-0") {
            None => Vec::new(),
            Some((cell, cellgate_routing::Reason::Slot)) => {
                let mut owners = placement.slots().owners().to_vec();
                owners.push(cell);
                owners.sort_unstable();
                owners.dedup();
                owners
            }
            Some((cell, _)) => vec![cell],
        }
    }

    /// Adds each key to the cell in which it is placed. A table with precedence may have the same key.
    fn add(&mut self, keys: impl Iterator<Item = String>) {
        let mut added: BTreeMap<CellId, usize> = BTreeMap::new();
        for key in keys {
            let Some((cell, _)) = self.config.placement.place(&key) else { continue };
            let added = added.entry(cell).or_default();
            if *added < PER_KIND {
                *added += 1;
                self.keys.entry(cell).or_default().push(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_cell(placement: &str) -> BTreeMap<String, Vec<String>> {
        let text = format!(
            r#"{{"routing_header":"x-cell","cells":["a","b","c"],"key":[{{"json":"/t"}}],"placement":{placement}}}"#
        );
        let config = cellgate_config::from_json(&text, "test").unwrap();
        let found = candidates(&config, &serde_json::from_str(&text).unwrap());
        found.into_iter().map(|(cell, keys)| (config.cell_name(cell).to_owned(), keys)).collect()
    }

    #[test]
    fn generated_keys_reach_cells_with_slots_and_configured_keys_the_others() {
        let found = by_cell(r#"{"slots":{"weights":{"a":1,"b":1000,"c":0}},"overrides":{"acme":"c"}}"#);
        assert_eq!(found["c"], ["acme"]);
        assert_eq!(found["a"].len(), 3);
        assert!(found["a"][0].starts_with("cellgate-probe-"));
    }

    #[test]
    fn a_key_belongs_to_the_cell_in_which_it_is_placed() {
        let found = by_cell(r#"{"exact":{"acme":"a"},"overrides":{"acme":"b"},"prefixes":{"eu-":"c"}}"#);
        assert!(!found.contains_key("a"));
        assert_eq!(found["c"], ["eu-cellgate-probe"]);
        assert!(found["b"].contains(&"acme".to_owned()));
    }

    #[test]
    fn generated_keys_are_placed_by_default() {
        let found = by_cell(r#"{"exact":{"acme":"a"},"default":"b"}"#);
        assert_eq!(found["b"].len(), 3);
        assert_eq!(found["a"], ["acme"]);
        assert!(!found.contains_key("c"));
    }
}
