//! What is compared: ways to bring a request to its cell, one proxy each.
//!
//! **To add a variant, add one entry to a table**: to [`ours::ALL`], or to [`peers::ALL`]. An entry names what differs
//! from [`Variant::PLAIN`], which is Envoy with nothing in front of its router:
//!
//! ```ignore
//! Variant { name: "lua", title: "Envoy's Lua, by a pattern", adjust: lua, named_by: NamedBy::Body, ..Variant::PLAIN }
//! ```
//!
//! Then `--variant lua` measures it alone beside the baseline, and [`crate::promises`] may compare it with others by name.

mod ours;
pub(crate) mod peers;

use crate::variant::Variant;

/// All of them, the baseline first.
pub(crate) fn all() -> impl Iterator<Item = &'static Variant> {
    ours::ALL.iter().chain(peers::ALL)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cases::{Case, NamedBy};

    #[test]
    fn the_baseline_is_first_and_nothing_is_there_twice() {
        assert_eq!(all().next().map(|variant| variant.name), Some("plain"));
        let names: BTreeSet<_> = all().map(|variant| variant.name).collect();
        let titles: BTreeSet<_> = all().map(|variant| variant.title).collect();
        assert_eq!((names.len(), titles.len()), (all().count(), all().count()));
    }

    #[test]
    fn a_name_can_be_typed() {
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
    fn what_is_not_measured_is_told_from_what_is() {
        let all_cases = Case::all();
        for variant in all() {
            let measured = all_cases.iter().filter(|case| (variant.can)(case).is_ok()).count();
            assert!(measured > 0, "{} can do nothing", variant.name);
        }
    }
}
