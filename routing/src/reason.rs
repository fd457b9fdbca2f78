//! Why a request was decided as it was: one closed set, shared by both tiers.
//!
//! A reason is a metric label, a field in access logs, the `code` of an error answer, the key of the policy table
//! and a line in `docs/reasons.md`, which is generated from this file. Nothing is decided without one.

use std::fmt;
use std::str::FromStr;

use crate::action::Answer;

/// What a policy may say about a reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// The filter may hand the request to the ext-proc service.
    pub defer: bool,
    /// The next source may be tried, as if this one held no key.
    pub next: bool,
    /// The request may go on without a cell: never where a tenant was named and could not be read.
    pub pass: bool,
    /// The key is complete and well formed, so it may be hashed to a slot.
    pub hash: bool,
}

impl Allowed {
    /// The names of the allowed actions, as a configuration has them.
    pub fn keywords(self) -> impl Iterator<Item = &'static str> {
        let all = [("defer", self.defer), ("next", self.next), ("hash", self.hash), ("pass", self.pass)];
        all.into_iter().filter(|(_, allowed)| *allowed).map(|(keyword, _)| keyword)
    }
}

const NOTHING: Allowed = Allowed { defer: false, next: false, pass: false, hash: false };
const DEFER: Allowed = Allowed { defer: true, ..NOTHING };
const NEXT: Allowed = Allowed { next: true, ..NOTHING };
const PASS: Allowed = Allowed { pass: true, ..NOTHING };
const NEXT_PASS: Allowed = Allowed { next: true, pass: true, ..NOTHING };
const HASH: Allowed = Allowed { hash: true, ..NOTHING };

macro_rules! reasons {
    (
        placed { $($placed:ident = $placed_label:literal, $placed_text:literal;)* }
        failed { $($failed:ident = $failed_label:literal, $answer:expr, $last:expr, $allowed:expr, $failed_text:literal;)* }
    ) => {
        /// Why a request was decided as it was.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Reason {
            $(#[doc = $placed_text] $placed,)*
            $(#[doc = $failed_text] $failed,)*
        }

        impl Reason {
            /// Every reason, in the order of the documentation.
            pub const ALL: &'static [Reason] = &[$(Reason::$placed,)* $(Reason::$failed,)*];

            /// The name used in configuration, metrics, logs and answers.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self {
                    $(Reason::$placed => $placed_label,)*
                    $(Reason::$failed => $failed_label,)*
                }
            }

            /// One sentence for a person: what happened.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Reason::$placed => $placed_text,)*
                    $(Reason::$failed => $failed_text,)*
                }
            }

            /// Whether the request has its cell: such reasons have no policy.
            #[must_use]
            pub const fn is_placed(self) -> bool {
                match self {
                    $(Reason::$placed => true,)*
                    $(Reason::$failed => false,)*
                }
            }

            /// The answer where the configuration has none: the secure one.
            #[must_use]
            pub const fn default_answer(self) -> Answer {
                match self {
                    $(Reason::$placed => Answer::Reject(500),)*
                    $(Reason::$failed => $answer,)*
                }
            }

            /// The answer of the last tier, where the policy says `defer` and nobody is left to defer to.
            #[must_use]
            pub const fn last_answer(self) -> Answer {
                match self {
                    $(Reason::$placed => Answer::Reject(500),)*
                    $(Reason::$failed => Answer::Reject($last),)*
                }
            }

            /// Which answers a policy may give besides `reject` and `use`.
            #[must_use]
            pub const fn allowed(self) -> Allowed {
                match self {
                    $(Reason::$placed => NOTHING,)*
                    $(Reason::$failed => $allowed,)*
                }
            }
        }
    };
}

reasons! {
    placed {
        Override = "override", "An override (a pin or quarantine) names the key.";
        Exact = "exact", "The exact table names the key.";
        Prefix = "prefix", "The longest matching prefix names the cell.";
        Slot = "slot", "The key's slot belongs to the cell.";
        Default = "default", "No rule matched the key; the default cell takes it.";
        DecidedBefore = "decided_before", "A peer in `decided_by.peers` sent the request with its decision, which is taken over.";
    }
    failed {
        HostExcluded = "host_excluded", Answer::Reject(421), 421, PASS,
            "The request's host is outside `applies_to.hosts`.";
        MethodExcluded = "method_excluded", Answer::Reject(421), 421, PASS,
            "The request's method is outside `applies_to.methods`.";
        PathExcluded = "path_excluded", Answer::Reject(421), 421, PASS,
            "The request's path is outside `applies_to.paths`.";
        Excepted = "excepted", Answer::Pass, 421, PASS,
            "The request is listed in `applies_to.except`.";
        Preflight = "preflight", Answer::Pass, 421, PASS,
            "The request is a CORS preflight: a browser's question, which names no tenant.";
        Upgrade = "upgrade", Answer::Reject(421), 421, PASS,
            "The request is an upgrade or CONNECT, whose body cannot be waited for, and its head alone does not decide.";
        ContentTypeMissing = "content_type_missing", Answer::Reject(415), 415, NEXT_PASS,
            "The request has a body and no Content-Type, so its format is unknown.";
        ContentTypeUnsupported = "content_type_unsupported", Answer::Reject(415), 415, NEXT_PASS,
            "No configured source can read a body of this Content-Type.";
        CharsetUnsupported = "charset_unsupported", Answer::Reject(415), 415, NOTHING,
            "The Content-Type names a charset other than UTF-8 or US-ASCII.";
        BodyEncoded = "body_encoded", Answer::Defer, 415, DEFER,
            "The body has a Content-Encoding (gzip, br, …).";
        BodyTooLarge = "body_too_large", Answer::Defer, 413, DEFER,
            "The body is larger than this tier may hold, and the key is not at its beginning.";
        BodyLengthUnknown = "body_length_unknown", Answer::Defer, 411, DEFER,
            "The body's length is unknown, so it must not be held here, and the key is not at its beginning.";
        BodyUnread = "body_unread", Answer::Reject(421), 421, NOTHING,
            "The key is in the body, and Envoy was configured not to send the body here.";
        BodyAbsent = "body_absent", Answer::Reject(421), 421, PASS,
            "The request has no body, and no source outside the body holds a key.";
        BodyMalformed = "body_malformed", Answer::Reject(400), 400, NOTHING,
            "The body does not follow its format's grammar (RFC 8259 for JSON).";
        BodyTruncated = "body_truncated", Answer::Reject(400), 400, NOTHING,
            "The body ends before its document does.";
        BodyInvalidUtf8 = "body_invalid_utf8", Answer::Reject(400), 400, NOTHING,
            "The body is not UTF-8.";
        BodyByteOrderMark = "body_byte_order_mark", Answer::Reject(400), 400, NOTHING,
            "The body starts with a byte order mark, which parsers treat differently.";
        BodyTooDeep = "body_too_deep", Answer::Reject(400), 400, NOTHING,
            "The body is nested deeper than `limits.depth`.";
        KeyMissing = "key_missing", Answer::Reject(421), 421, PASS,
            "The request was read to its end and no source holds a key.";
        KeyDuplicated = "key_duplicated", Answer::Reject(400), 400, NOTHING,
            "The key is named more than once, and parsers differ on which one counts.";
        KeyAmbiguous = "key_ambiguous", Answer::Reject(400), 400, NOTHING,
            "A name on the way to the key is there in another case, which some parsers take for the same name.";
        KeyNull = "key_null", Answer::Reject(400), 400, NEXT,
            "The key is null.";
        KeyBoolean = "key_boolean", Answer::Reject(400), 400, NOTHING,
            "The key is true or false.";
        KeyFloat = "key_float", Answer::Reject(400), 400, NOTHING,
            "The key is a number that is not a 64-bit integer.";
        KeyObject = "key_object", Answer::Reject(400), 400, NOTHING,
            "The key is an object.";
        KeyArray = "key_array", Answer::Reject(400), 400, NOTHING,
            "The key is an array.";
        KeyEmpty = "key_empty", Answer::Reject(400), 400, NEXT,
            "The key is the empty string.";
        KeyTooLong = "key_too_long", Answer::Reject(400), 400, NOTHING,
            "The key is longer than `limits.key_bytes`.";
        KeyControlCharacter = "key_control_character", Answer::Reject(400), 400, NOTHING,
            "The key contains a control character.";
        KeyInvalidUtf8 = "key_invalid_utf8", Answer::Reject(400), 400, NOTHING,
            "The key is not UTF-8.";
        KeyMalformed = "key_malformed", Answer::Reject(400), 400, NOTHING,
            "The key is written in a way that servers read differently: broken percent-encoding, path parameters, a quoted cookie.";
        KeyUnplaced = "key_unplaced", Answer::Reject(421), 421, HASH,
            "No placement rule matches the key, and there is no default cell.";
        CellMismatch = "cell_mismatch", Answer::Reject(421), 421, NOTHING,
            "The request belongs to another cell than `decided_by.cell`.";
        DeadlineExceeded = "deadline_exceeded", Answer::Reject(408), 408, NOTHING,
            "The body did not arrive within the service's deadline.";
        Overloaded = "overloaded", Answer::Reject(503), 503, NOTHING,
            "The service holds as many bytes as it may; the request can be tried again.";
    }
}

impl Reason {
    /// Whether parsers may differ on what the key is. It can come up after the key was found, up to the body's last byte.
    #[must_use]
    pub const fn is_conflict(self) -> bool {
        matches!(self, Reason::KeyDuplicated | Reason::KeyAmbiguous)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// The text is no reason's label.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown reason")]
pub struct UnknownReason;

impl FromStr for Reason {
    type Err = UnknownReason;

    fn from_str(label: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|reason| reason.label() == label).ok_or(UnknownReason)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn labels_are_unique_and_parse_back() {
        let labels: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.label()).collect();
        assert_eq!(labels.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert_eq!(reason.label().parse(), Ok(*reason));
        }
    }

    #[test]
    fn defaults_never_let_a_request_through() {
        for reason in Reason::ALL {
            // What the configuration lists, and what no cell answers: neither is a tenant's request.
            let no_tenants = matches!(reason, Reason::Excepted | Reason::Preflight);
            assert!(
                matches!(reason.default_answer(), Answer::Reject(_) | Answer::Defer) || no_tenants,
                "{reason} is open by default"
            );
            assert!(matches!(reason.last_answer(), Answer::Reject(400..=599)), "{reason}");
        }
    }

    #[test]
    fn a_default_of_defer_is_an_allowed_answer() {
        for reason in Reason::ALL {
            if reason.default_answer() == Answer::Defer {
                assert!(reason.allowed().defer, "{reason}");
            }
        }
    }
}
