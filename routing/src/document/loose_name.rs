//! Names of members as loose parsers compare them.

/// The most bytes of a letter that folds to an ASCII letter (the Kelvin sign).
const MAX_FOLDED_BYTES: usize = 3;

/// A member's name, which is none of those on the pointers' paths.
#[derive(Clone, Copy, Debug)]
pub(super) struct LooseName<'a> {
    name: &'a [u8],
    /// Whether these are only the first bytes of the name.
    is_cut: bool,
}

impl<'a> LooseName<'a> {
    /// The most bytes of a name that is compared whole, for a wanted name of so many bytes.
    pub(super) fn max_bytes(wanted: usize) -> usize {
        // One more shows that the name is longer, or may be the NUL that ends it in C.
        wanted * MAX_FOLDED_BYTES + 1
    }

    /// A name of which at most `max` bytes are compared. Whether it came in pieces must not matter.
    #[inline]
    pub(super) fn new(name: &'a [u8], max: usize) -> Self {
        name.get(..max)
            .filter(|kept| kept.len() < name.len())
            .map_or(Self { name, is_cut: false }, |kept| Self { name: kept, is_cut: true })
    }

    /// Whether a parser may take this name for the wanted one:
    ///
    /// - one that folds case (Go's `encoding/json`, .NET's). Besides ASCII letters, these are the two letters that Unicode's
    ///   simple folding maps to one: `ſ` (long s) and `K` (the Kelvin sign);
    /// - one that knows two spellings of a field (`resourceSpans` and `resource_spans` in protobuf's JSON mapping), or
    ///   ignores `_` and `-` (Go's `encoding/json/v2`). At the beginning of a name they count: documents have `_id`
    ///   beside `id`;
    /// - one that keeps names as C strings, which end at their first NUL.
    ///
    /// A name that is cut has many `_` and `-`, and may be any that begins like it.
    #[inline]
    pub(super) fn may_be(self, wanted: &[u8]) -> bool {
        // Most names differ here.
        match (self.name, wanted) {
            ([first, ..], [wanted_first, ..]) if first.is_ascii() && !first.eq_ignore_ascii_case(wanted_first) => false,
            _ => self.is_alike(wanted),
        }
    }

    #[inline(never)]
    fn is_alike(self, wanted: &[u8]) -> bool {
        let (mut name, mut rest) = (self.name, wanted);
        let mut is_inside = false;
        loop {
            if is_inside {
                (name, rest) = (without_separators(name), without_separators(rest));
            }
            let Some((letter, behind)) = rest.split_first() else {
                return name.first().is_none_or(|byte| *byte == 0);
            };
            if name.is_empty() {
                return self.is_cut;
            }
            let Some(after) = without_letter(name, *letter) else {
                // The cut may go through a letter.
                return self.is_cut && name.len() < MAX_FOLDED_BYTES;
            };
            is_inside |= !is_separator(letter);
            (name, rest) = (after, behind);
        }
    }
}

fn is_separator(byte: &u8) -> bool {
    matches!(byte, b'_' | b'-')
}

fn without_separators(name: &[u8]) -> &[u8] {
    let start = name.iter().position(|byte| !is_separator(byte)).unwrap_or(name.len());
    name.get(start..).unwrap_or_default()
}

/// The name behind its first letter, if this folds to the wanted one.
fn without_letter(name: &[u8], letter: u8) -> Option<&[u8]> {
    let folded = match letter.to_ascii_lowercase() {
        b's' => name.strip_prefix("\u{17f}".as_bytes()),
        b'k' => name.strip_prefix("\u{212a}".as_bytes()),
        _ => None,
    };
    let plain = || name.split_first().filter(|(byte, _)| byte.eq_ignore_ascii_case(&letter)).map(|(_, rest)| rest);
    folded.or_else(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_be(name: &str, wanted: &str) -> bool {
        LooseName::new(name.as_bytes(), LooseName::max_bytes(wanted.len())).may_be(wanted.as_bytes())
    }

    #[test]
    fn names_are_alike_without_case_and_separators() {
        for (name, wanted) in [
            ("ID", "id"),
            ("Tenant", "tenant"),
            ("\u{17f}toc\u{212a}", "Stock"),
            ("tenant\0x", "tenant"),
            ("tenant_\0x", "tenant"),
            ("resource_spans", "resourceSpans"),
            ("resourceSpans", "resource_spans"),
            ("resource-spans", "resource_spans"),
            ("RESOURCE_SPANS", "resourceSpans"),
            ("tenant__id_", "tenant_id"),
            ("field1", "field_1"),
            ("_ID", "_id"),
            ("_tenantId", "_tenant_id"),
            ("id_", "id"),
            ("id", "id_"),
            ("_", "_"),
        ] {
            assert!(may_be(name, wanted), "{name:?} may be {wanted:?}");
        }
        for (name, wanted) in [
            ("idx", "id"),
            ("i", "id"),
            ("", "id"),
            ("id", ""),
            ("_id", "id"),
            ("id", "_id"),
            ("-id", "_id"),
            ("__id", "_id"),
            ("\0id", "id"),
            ("tenant id", "tenant_id"),
            ("tenant.id", "tenant_id"),
            ("\u{161}", "s"),
            ("ids", "i_d"),
        ] {
            assert!(!may_be(name, wanted), "{name:?} is not {wanted:?}");
        }
    }

    #[test]
    fn a_name_of_many_separators_may_be_any_that_begins_like_it() {
        let long = |start: &str, end: &str| format!("{start}{}{end}", "_".repeat(100));
        assert!(may_be(&long("tenant", "id"), "tenantId"));
        assert!(may_be(&long("tenant", "other"), "tenantId"));
        assert!(may_be(&long("id", ""), "id"));
        assert!(!may_be(&long("tenants", "id"), "tenantId"));
        assert!(!may_be(&"x".repeat(100), "x"));
        assert!(!may_be(&long("", "id"), "id"));
        assert!(may_be("i____\u{17f}", "is"));
    }
}
