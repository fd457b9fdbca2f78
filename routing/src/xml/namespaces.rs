//! Namespace declarations in scope (Namespaces in XML 1.0, 3 to 6).

use super::syntax_fault::{SyntaxFault, malformed, too_complex};

/// The namespace of the prefix `xml`, which needs no declaration.
const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// The namespace of the prefix `xmlns`, which nothing may declare.
const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

/// The declarations of all open elements, from the root inwards.
#[derive(Debug, Default)]
pub(super) struct Namespaces {
    /// The prefixes and names, one behind the other.
    text: String,
    declarations: Vec<Declaration>,
}

/// One declaration, with its place in the text.
#[derive(Clone, Copy, Debug)]
struct Declaration {
    /// How many elements contain it, its own included.
    depth: usize,
    prefix: usize,
    name: usize,
    end: usize,
}

impl Namespaces {
    /// The most declarations that may be in scope.
    pub(super) const MAX: usize = 256;
    /// The most bytes of prefixes and names in scope.
    pub(super) const MAX_BYTES: usize = 32 << 10;
    /// The longest name of a namespace, in bytes.
    pub(super) const MAX_NAME: usize = 2048;

    /// Declares a prefix, or the default namespace if the prefix is empty, for the element at this depth.
    ///
    /// # Errors
    /// The declaration is not allowed, or there are too many.
    pub(super) fn declare(&mut self, depth: usize, prefix: &str, name: &str) -> Result<(), SyntaxFault> {
        let is_allowed = match prefix {
            "xml" => name == XML,
            "xmlns" => false,
            // Only the default namespace can be undeclared.
            "" => ![XML, XMLNS].contains(&name),
            _ => ![XML, XMLNS, ""].contains(&name),
        };
        if !is_allowed {
            return Err(malformed("expected a namespace that this prefix may stand for"));
        }
        if name.len() > Self::MAX_NAME {
            return Err(too_complex("expected a shorter name of a namespace"));
        }
        let bytes = self.text.len() + prefix.len() + name.len();
        if self.declarations.len() == Self::MAX || bytes > Self::MAX_BYTES {
            return Err(too_complex("expected fewer namespace declarations"));
        }
        let start = self.text.len();
        self.text.push_str(prefix);
        self.text.push_str(name);
        self.declarations.push(Declaration { depth, prefix: start, name: start + prefix.len(), end: self.text.len() });
        Ok(())
    }

    /// The namespace's name, empty for none.
    ///
    /// # Errors
    /// No declaration of the prefix is in scope.
    pub(super) fn resolve(&self, prefix: &str) -> Result<&str, SyntaxFault> {
        let of = |from: usize, to: usize| self.text.get(from..to).unwrap_or_default();
        let declaration = self.declarations.iter().rev().find(|each| of(each.prefix, each.name) == prefix);
        match (declaration, prefix) {
            (Some(declaration), _) => Ok(of(declaration.name, declaration.end)),
            (None, "") => Ok(""),
            (None, "xml") => Ok(XML),
            (None, _) => Err(malformed("expected a declaration of the namespace prefix")),
        }
    }

    /// Ends the scope of the declarations at this depth.
    pub(super) fn close(&mut self, depth: usize) {
        while let Some(declaration) = self.declarations.pop_if(|declaration| declaration.depth >= depth) {
            self.text.truncate(declaration.prefix);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reason::Reason;

    #[test]
    fn the_innermost_declaration_counts() {
        let mut namespaces = Namespaces::default();
        assert_eq!(namespaces.resolve(""), Ok(""));
        namespaces.declare(1, "", "urn:outer").unwrap();
        namespaces.declare(1, "p", "urn:p").unwrap();
        namespaces.declare(2, "", "").unwrap();
        namespaces.declare(2, "p", "urn:q").unwrap();
        assert_eq!((namespaces.resolve(""), namespaces.resolve("p")), (Ok(""), Ok("urn:q")));
        namespaces.close(2);
        assert_eq!((namespaces.resolve(""), namespaces.resolve("p")), (Ok("urn:outer"), Ok("urn:p")));
        namespaces.close(1);
        assert_eq!(namespaces.resolve(""), Ok(""));
        assert!(namespaces.text.is_empty() && namespaces.resolve("p").is_err());
        assert_eq!(namespaces.resolve("xml"), Ok(XML));
    }

    #[test]
    fn reserved_prefixes_and_names_keep_their_meaning() {
        let declare = |prefix, name| Namespaces::default().declare(1, prefix, name);
        assert_eq!(declare("xml", XML), Ok(()));
        for (prefix, name) in [
            ("xml", "urn:x"),
            ("xmlns", XMLNS),
            ("xmlns", "urn:x"),
            ("p", XML),
            ("p", XMLNS),
            ("", XML),
            ("", XMLNS),
            ("p", ""),
        ] {
            assert_eq!(declare(prefix, name).unwrap_err().reason, Reason::BodyMalformed, "{prefix} {name}");
        }
    }

    #[test]
    fn the_number_of_declarations_is_bounded() {
        let mut namespaces = Namespaces::default();
        (0..Namespaces::MAX).for_each(|depth| namespaces.declare(depth, "p", "urn:p").unwrap());
        assert_eq!(namespaces.declare(1, "p", "urn:p").unwrap_err().reason, Reason::BodyTooComplex);
        let mut namespaces = Namespaces::default();
        let long = "u".repeat(Namespaces::MAX_NAME);
        let declared = (0..Namespaces::MAX).take_while(|depth| namespaces.declare(*depth, "p", &long).is_ok()).count();
        assert_eq!(declared, Namespaces::MAX_BYTES / (long.len() + 1));
        assert_eq!(namespaces.declare(1, "", &format!("{long}u")).unwrap_err().reason, Reason::BodyTooComplex);
    }
}
