//! The variants that are compared.
//!
//! **To add a variant, add one entry to a table**: [`ours::ALL`], [`encoded::ALL`] or [`peers::ALL`]. An entry has the differences from
//! [`Variant::PLAIN`], which is Envoy with no filter but its router:
//!
//! ```ignore
//! Variant { name: "lua", title: "Envoy's Lua, by a pattern", adjust: lua, named_by: NamedBy::Body, ..Variant::PLAIN }
//! ```
//!
//! Then `--variant lua` measures it and Envoy alone, and [`crate::comparisons`] may compare it with others by name.

mod encoded;
mod ours;
pub(crate) mod peers;

use crate::variant::Variant;

/// All variants. Envoy alone is first.
pub(crate) fn all() -> impl Iterator<Item = &'static Variant> {
    ours::ALL.iter().chain(encoded::ALL).chain(peers::ALL)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cases::{Case, NamedBy};

    #[test]
    fn envoy_alone_is_first_and_names_are_unique() {
        assert_eq!(all().next().map(|variant| variant.name), Some("plain"));
        let names: BTreeSet<_> = all().map(|variant| variant.name).collect();
        let titles: BTreeSet<_> = all().map(|variant| variant.title).collect();
        assert_eq!((names.len(), titles.len()), (all().count(), all().count()));
    }

    #[test]
    fn a_name_is_a_single_shell_word() {
        for variant in all() {
            assert!(variant.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", variant.name);
        }
    }

    #[test]
    fn every_variant_of_ours_decides() {
        for variant in all().filter(|variant| variant.ours) {
            assert_ne!(variant.named_by, NamedBy::Client, "{}", variant.name);
        }
    }

    #[test]
    fn every_variant_supports_some_case() {
        let all_cases = Case::all();
        for variant in all() {
            let measured = all_cases.iter().filter(|case| variant.supports(case).is_ok()).count();
            assert!(measured > 0, "{} supports no case", variant.name);
        }
    }
}
