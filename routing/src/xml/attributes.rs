//! The attributes of one start tag, by name.

use super::characters::split_name;
use super::namespaces::Namespaces;
use super::syntax_fault::{SyntaxFault, malformed, too_complex};
use crate::sorted::sorted;

/// The names of the attributes so far, without namespace declarations' meaning.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    /// The names, one behind the other.
    text: String,
    /// Where each name ends.
    ends: Vec<usize>,
}

impl Attributes {
    /// The most attributes of one element.
    pub(super) const MAX: usize = 256;
    /// The most bytes of the names of one element's attributes.
    pub(super) const MAX_BYTES: usize = 16 << 10;

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Adds an attribute.
    ///
    /// # Errors
    /// The element has an attribute of this name already, or too many.
    pub(super) fn add(&mut self, name: &str) -> Result<(), SyntaxFault> {
        if self.ends.len() == Self::MAX || self.text.len() + name.len() > Self::MAX_BYTES {
            return Err(too_complex("expected fewer attributes"));
        }
        if self.names().any(|other| other == name) {
            return Err(malformed("expected each attribute once"));
        }
        self.text.push_str(name);
        self.ends.push(self.text.len());
        Ok(())
    }

    /// The name of an attribute, and its namespace, empty for none.
    ///
    /// # Errors
    /// Its prefix is not declared.
    pub(super) fn expanded<'a>(
        &'a self,
        index: usize,
        scope: &'a Namespaces,
    ) -> Result<(&'a str, &'a str), SyntaxFault> {
        expand(self.name(index), scope)
    }

    /// Checks the namespaces of a complete tag.
    ///
    /// # Errors
    /// A prefix is not declared, or two prefixes make one name of two.
    pub(super) fn check(&self, scope: &Namespaces) -> Result<(), SyntaxFault> {
        let has_prefix = |name: &&str| name.contains(':') && !name.starts_with("xmlns:");
        // Sorted, since a comparison of all pairs would take seconds for a body of tags with hundreds of attributes.
        let names = self.names().filter(has_prefix).map(|name| expand(name, scope));
        let names = sorted(names.collect::<Result<Vec<_>, _>>()?);
        if names.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(malformed("expected each attribute once"));
        }
        Ok(())
    }

    fn name(&self, index: usize) -> &str {
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        self.ends.get(index).and_then(|end| self.text.get(start..*end)).unwrap_or_default()
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len()).map(|index| self.name(index))
    }
}

/// The namespace and the local name. The default namespace does not apply to attributes.
fn expand<'a>(name: &'a str, scope: &'a Namespaces) -> Result<(&'a str, &'a str), SyntaxFault> {
    match split_name(name) {
        Some(("", local)) => Ok(("", local)),
        Some((prefix, local)) => Ok((scope.resolve(prefix)?, local)),
        None => Err(malformed("expected at most one colon in a name")),
    }
}
