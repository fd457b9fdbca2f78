//! An error of a body without its place, which only the scanner knows.

use crate::reason::Reason;

/// Why the next character, or the construct that it ends, is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SyntaxFault {
    pub(super) reason: Reason,
    /// The message: `"expected '>'"`.
    pub(super) expected: &'static str,
}

/// The document is not well-formed (XML 1.0), or not namespace-well-formed (Namespaces in XML 1.0).
pub(super) const fn malformed(expected: &'static str) -> SyntaxFault {
    SyntaxFault { reason: Reason::BodyMalformed, expected }
}

/// The document needs more memory than Cellgate gives it.
pub(super) const fn too_complex(expected: &'static str) -> SyntaxFault {
    SyntaxFault { reason: Reason::BodyTooComplex, expected }
}

/// The document has a document type declaration, or needs one.
pub(super) const fn doctype(expected: &'static str) -> SyntaxFault {
    SyntaxFault { reason: Reason::BodyDoctype, expected }
}
