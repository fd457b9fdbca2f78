//! The names that PHP gives to the fields of a form (`main/php_variables.c`).

/// A field's name, decoded, as PHP reads it: without spaces before it, up to its first NUL, with `_` for each space, dot and
/// unclosed bracket, and without what follows its last index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PhpName<'a> {
    pub(crate) name: &'a [u8],
    /// Whether these are only the first bytes of the name.
    pub(crate) is_cut: bool,
}

impl PhpName<'_> {
    /// Whether it is, or may be, the name that PHP gives to the field `wanted`, in any case.
    #[inline]
    pub(crate) fn may_be(self, wanted: &[u8]) -> bool {
        // Most names differ here.
        self.name.first().is_none_or(|first| Self::may_begin(*first, wanted)) && self.is_alike(wanted)
    }

    /// Whether a name that begins with this byte, decoded, may be the one that PHP gives to the field `wanted`.
    #[inline]
    pub(crate) fn may_begin(first: u8, wanted: &[u8]) -> bool {
        // PHP leaves out the spaces before a name.
        first == b' ' || wanted.first().is_none_or(|wanted| *wanted == b' ' || letter(first) == letter(*wanted))
    }

    #[inline(never)]
    fn is_alike(self, wanted: &[u8]) -> bool {
        if self.name.first() == Some(&b' ') || wanted.first() == Some(&b' ') {
            return self.is_equal(wanted);
        }
        // The others differ at a byte that is in both of PHP's names.
        let differs = |(one, other): (&u8, &u8)| letter(*one) != letter(*other);
        match self.name.iter().zip(wanted).position(differs) {
            Some(at) if !wanted.iter().take(at).any(|byte| *byte == b']') => false,
            _ => self.is_equal(wanted),
        }
    }

    fn is_equal(self, wanted: &[u8]) -> bool {
        let name = without_spaces(self.name);
        // Behind more spaces than are kept, there may be any name.
        let is_hidden = self.is_cut && name.len() < self.name.len();
        let mut rest = letters(without_spaces(wanted));
        for one in letters(name) {
            if rest.next() != Some(one) {
                return false;
            }
        }
        is_hidden || rest.next().is_none()
    }
}

fn without_spaces(name: &[u8]) -> &[u8] {
    let spaces = name.iter().take_while(|byte| **byte == b' ').count();
    name.get(spaces..).unwrap_or_default()
}

/// The bytes of PHP's name, in lower case. An index stays as it is.
fn letters(name: &[u8]) -> impl Iterator<Item = u8> {
    let end = memchr::memchr(0, name).unwrap_or(name.len());
    let name = name.get(..end).unwrap_or_default();
    let open = memchr::memchr(b'[', name).filter(|open| name.get(*open..).is_some_and(|rest| rest.contains(&b']')));
    let (variable, index) = name.split_at_checked(open.unwrap_or(name.len())).unwrap_or_default();
    let index = index.get(..index_end(index)).unwrap_or_default();
    variable.iter().map(|byte| letter(*byte)).chain(index.iter().map(u8::to_ascii_lowercase))
}

#[inline]
fn letter(byte: u8) -> u8 {
    match byte {
        b' ' | b'.' | b'[' => b'_',
        other => other.to_ascii_lowercase(),
    }
}

/// The length of `[a][b]`.
fn index_end(index: &[u8]) -> usize {
    let mut end = 0;
    while let Some(rest) = index.get(end..).filter(|rest| rest.starts_with(b"["))
        && let Some(close) = memchr::memchr(b']', rest)
    {
        end += close + 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn may_be(name: &str, wanted: &str, is_cut: bool) -> bool {
        PhpName { name: name.as_bytes(), is_cut }.may_be(wanted.as_bytes())
    }

    #[test]
    fn names_are_those_of_php() {
        for (name, wanted) in [
            ("tenant.id", "tenant_id"),
            ("tenant id", "tenant_id"),
            ("tenant[id", "tenant_id"),
            ("Tenant_ID", "tenant_id"),
            ("  tenant", "tenant"),
            ("tenant\0x", "tenant"),
            ("tenant_id", "tenant.id"),
            ("user[id]x", "user[id]"),
            (" user[id]\0", "user[id]"),
            ("my.user[id].x", "my_user[id]"),
            ("a[b][c]d", "a[b][c]"),
        ] {
            assert!(may_be(name, wanted, false), "{name:?} is {wanted:?}");
        }
        for (name, wanted) in [
            ("tenant", "tenants"),
            ("tenants", "tenant"),
            ("tenant ", "tenant"),
            ("tenant]", "tenant"),
            ("tenant[]", "tenant"),
            ("tenant[id]", "tenant"),
            ("tenant[id]", "tenant_id"),
            ("a[b.c]", "a[b_c]"),
            ("a[b][d]", "a[b]"),
            ("_tenant", "tenant"),
            ("", "tenant"),
            ("\0tenant", "tenant"),
        ] {
            assert!(!may_be(name, wanted, false), "{name:?} is not {wanted:?}");
        }
    }

    #[test]
    fn a_name_that_is_cut_may_be_any_that_begins_like_it_behind_spaces() {
        for name in [" ", "  ", " ten", " tenant"] {
            assert!(may_be(name, "tenant", true), "{name:?}");
        }
        for name in ["ten", "x", " x", "  tenants", "tenantx"] {
            assert!(!may_be(name, "tenant", true), "{name:?}");
        }
    }

    proptest! {
        /// The tests of the first bytes are shortcuts: the names themselves decide.
        #[test]
        fn shortcuts_do_not_change_the_result(name in "[aA_. \\[\\]\0]{0,6}", wanted in "[aA_. \\[\\]b]{0,6}", is_cut: bool) {
            let name = PhpName { name: name.as_bytes(), is_cut };
            prop_assert_eq!(name.may_be(wanted.as_bytes()), name.is_equal(wanted.as_bytes()));
        }
    }
}
