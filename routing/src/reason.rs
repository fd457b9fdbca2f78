//! Reasons: why a decision was made. Both tiers use the same closed set, and every decision has one.
//!
//! A reason is a metric label, a field of access logs, the `code` of a refusal, a field of the policy and a line of
//! `docs/reasons.md`, which is generated from this file.

use std::fmt;
use std::str::FromStr;

use crate::action::PolicyAction;

/// The actions that a policy may have for a reason, besides `reject` and `use`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// `defer`: the filter lets the ext-proc service decide.
    pub defer: bool,
    /// `next`: the next source is tried, as if this one held no key.
    pub next: bool,
    /// `pass`: the request is forwarded without a cell. Not allowed if the request names a tenant that cannot be read.
    pub pass: bool,
    /// `hash`: the key is valid, so it has a slot.
    pub hash: bool,
    /// `accept`: the body is read as if it did not have this fault, which cannot change the key.
    pub accept: bool,
}

impl Allowed {
    /// The allowed actions, by their names in a configuration.
    pub fn keywords(self) -> impl Iterator<Item = &'static str> {
        let all = [
            ("defer", self.defer),
            ("next", self.next),
            ("hash", self.hash),
            ("pass", self.pass),
            ("accept", self.accept),
        ];
        all.into_iter().filter(|(_, allowed)| *allowed).map(|(keyword, _)| keyword)
    }
}

const NOTHING: Allowed = Allowed { defer: false, next: false, pass: false, hash: false, accept: false };
const DEFER: Allowed = Allowed { defer: true, ..NOTHING };
const NEXT: Allowed = Allowed { next: true, ..NOTHING };
const PASS: Allowed = Allowed { pass: true, ..NOTHING };
const NEXT_PASS: Allowed = Allowed { next: true, pass: true, ..NOTHING };
const HASH: Allowed = Allowed { hash: true, ..NOTHING };
const ACCEPT: Allowed = Allowed { accept: true, ..NOTHING };

macro_rules! reasons {
    (
        placed { $($placed:ident = $placed_label:literal, $placed_text:literal;)* }
        handed_over { $($handed:ident = $handed_label:literal, $handed_text:literal;)* }
        failed { $($failed:ident = $failed_label:literal, $answer:expr, $last:expr, $allowed:expr, $failed_text:literal;)* }
    ) => {
        /// Why a decision was made.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Reason {
            $(#[doc = $placed_text] $placed,)*
            $(#[doc = $handed_text] $handed,)*
            $(#[doc = $failed_text] $failed,)*
        }

        impl Reason {
            /// Every reason, in the order of the documentation.
            pub const ALL: &'static [Reason] = &[$(Reason::$placed,)* $(Reason::$handed,)* $(Reason::$failed,)*];

            /// The name in configuration, metrics, logs and refusals.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self {
                    $(Reason::$placed => $placed_label,)*
                    $(Reason::$handed => $handed_label,)*
                    $(Reason::$failed => $failed_label,)*
                }
            }

            /// One sentence that explains the reason.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self {
                    $(Reason::$placed => $placed_text,)*
                    $(Reason::$handed => $handed_text,)*
                    $(Reason::$failed => $failed_text,)*
                }
            }

            /// Whether the request has a cell. Such a reason has no policy.
            #[must_use]
            pub const fn is_placed(self) -> bool {
                matches!(self, $(Reason::$placed)|*)
            }

            /// Whether the configuration may have a policy for the reason.
            #[must_use]
            pub const fn has_policy(self) -> bool {
                matches!(self, $(Reason::$failed)|*)
            }

            /// The action if the configuration has none. It is secure.
            #[must_use]
            pub const fn default_answer(self) -> PolicyAction {
                match self {
                    $(Reason::$placed => PolicyAction::Reject(500),)*
                    $(Reason::$handed => PolicyAction::Reject(500),)*
                    $(Reason::$failed => $answer,)*
                }
            }

            /// The action if the policy is `defer` in the last tier, or `next` after the last source.
            #[must_use]
            pub const fn last_answer(self) -> PolicyAction {
                match self {
                    $(Reason::$placed => PolicyAction::Reject(500),)*
                    $(Reason::$handed => PolicyAction::Reject(500),)*
                    $(Reason::$failed => PolicyAction::Reject($last),)*
                }
            }

            /// The actions that a policy may have besides `reject` and `use`.
            #[must_use]
            pub const fn allowed(self) -> Allowed {
                match self {
                    $(Reason::$placed => NOTHING,)*
                    $(Reason::$handed => NOTHING,)*
                    $(Reason::$failed => $allowed,)*
                }
            }
        }
    };
}

reasons! {
    placed {
        Override = "override", "An override (a pin or quarantine) matches the key.";
        Exact = "exact", "The exact table names the key.";
        Prefix = "prefix", "A prefix in the table matches the key; the longest one counts.";
        Slot = "slot", "The key's slot belongs to the cell.";
        Default = "default", "No other rule matches the key, so it goes to the default cell.";
        DecidedBefore = "decided_before", "A peer in `decided_by.peers` has decided the request, and its decision is accepted.";
    }
    handed_over {
        LimitDue = "limit_due", "The filter has decided the request, and the ext-proc service checks its rate limits.";
    }
    failed {
        HostExcluded = "host_excluded", PolicyAction::Reject(421), 421, PASS,
            "The request's host is outside `applies_to.hosts`.";
        MethodExcluded = "method_excluded", PolicyAction::Reject(421), 421, PASS,
            "The request's method is outside `applies_to.methods`.";
        PathExcluded = "path_excluded", PolicyAction::Reject(421), 421, PASS,
            "The request's path is outside `applies_to.paths`.";
        Excepted = "excepted", PolicyAction::Pass, 400, PASS,
            "The request is listed in `applies_to.except`.";
        Preflight = "preflight", PolicyAction::Pass, 400, PASS,
            "The request is a CORS preflight, which browsers send without a key.";
        Upgrade = "upgrade", PolicyAction::Reject(400), 400, PASS,
            "The request is an upgrade or CONNECT, whose body never ends, and its head does not hold the key.";
        ContentTypeMissing = "content_type_missing", PolicyAction::Reject(415), 415, NEXT_PASS,
            "The request has a body and no Content-Type, so its format is unknown.";
        ContentTypeUnsupported = "content_type_unsupported", PolicyAction::Reject(415), 415, NEXT_PASS,
            "No configured source can read a body of this Content-Type.";
        CharsetUnsupported = "charset_unsupported", PolicyAction::Reject(415), 415, NOTHING,
            "The Content-Type, that of the part with the key, or an XML body itself names a charset other than UTF-8 or US-ASCII.";
        BodyEncoded = "body_encoded", PolicyAction::Defer, 415, DEFER,
            "The body has a Content-Encoding that is not decoded in its format (`content_encodings`), more than two of them, or one that this tier does not decode. Or its gRPC messages have a compression that this tier does not read.";
        BodyEncodingMalformed = "body_encoding_malformed", PolicyAction::Reject(400), 400, NOTHING,
            "The body is not what its Content-Encoding says: it is damaged or cut off, data follows its end, or it needs a larger window than Cellgate has.";
        BodySeveralMembers = "body_several_members", PolicyAction::Reject(400), 400, ACCEPT,
            "The encoded body consists of several gzip members or zstd frames. Some servers read only the first.";
        BodyDecodedTooLarge = "body_decoded_too_large", PolicyAction::Reject(413), 413, NOTHING,
            "The body decodes to more than `limits.decoded_bytes`.";
        BodyDecodedRatio = "body_decoded_ratio", PolicyAction::Reject(413), 413, NOTHING,
            "The body decodes to more than `limits.decoded_ratio` times its size.";
        BodyDecodeTime = "body_decode_time", PolicyAction::Reject(413), 413, NOTHING,
            "Decoding the body takes longer than `limits.decode_ms`.";
        BodyTooLarge = "body_too_large", PolicyAction::Defer, 413, DEFER,
            "The body is larger than this tier's limit, and the key is not at its beginning. Or an encoded body decodes to more than the filter reads.";
        BodyLengthUnknown = "body_length_unknown", PolicyAction::Defer, 411, DEFER,
            "The body's length is unknown, so the filter cannot hold it, and the key is not at its beginning.";
        BodyUnread = "body_unread", PolicyAction::Reject(500), 500, NOTHING,
            "Envoy did not send or show the part of the request that may hold the key.";
        BodyAbsent = "body_absent", PolicyAction::Reject(400), 400, PASS,
            "The request has no body, and no source in its head holds a key.";
        BodyMalformed = "body_malformed", PolicyAction::Reject(400), 400, NOTHING,
            "The body does not follow its format's grammar (RFC 8259 for JSON), or parsers split it in different ways.";
        BodyTruncated = "body_truncated", PolicyAction::Reject(400), 400, NOTHING,
            "The body ends before its document is complete.";
        BodyInvalidUtf8 = "body_invalid_utf8", PolicyAction::Reject(400), 400, NOTHING,
            "The body is not valid UTF-8.";
        BodyByteOrderMark = "body_byte_order_mark", PolicyAction::Reject(400), 400, ACCEPT,
            "The body starts with a byte order mark, which parsers handle in different ways.";
        BodyLoneSurrogate = "body_lone_surrogate", PolicyAction::Accept, 400, ACCEPT,
            "A JSON string escapes half of a surrogate pair, which parsers read in different ways. In a name on the path to a key, it is refused even with `accept`.";
        BodyTooDeep = "body_too_deep", PolicyAction::Reject(400), 400, NOTHING,
            "The body is nested deeper than `limits.depth`.";
        BodyTooComplex = "body_too_complex", PolicyAction::Reject(400), 400, NOTHING,
            "The XML body has a longer name, or an element with more attributes or namespaces, than Cellgate reads.";
        BodyDoctype = "body_doctype", PolicyAction::Reject(400), 400, NOTHING,
            "The XML body has a document type declaration, or an entity that only such a declaration can define.";
        KeyMissing = "key_missing", PolicyAction::Reject(400), 400, PASS,
            "No source holds a key.";
        KeyDuplicated = "key_duplicated", PolicyAction::Reject(400), 400, NOTHING,
            "A source holds more than one key, and parsers differ on which one counts.";
        KeyConflict = "key_conflict", PolicyAction::Reject(400), 400, NOTHING,
            "Elements, records or messages of the body hold different keys.";
        KeyAmbiguous = "key_ambiguous", PolicyAction::Reject(400), 400, NOTHING,
            "Some parsers take a name in the request for one on the path to the key. It differs only in case, in `_` and `-` or in its escapes, or PHP or C changes it, or it is not text.";
        KeyNull = "key_null", PolicyAction::Reject(400), 400, NEXT,
            "The key is null.";
        KeyBoolean = "key_boolean", PolicyAction::Reject(400), 400, NOTHING,
            "The key is true or false.";
        KeyFloat = "key_float", PolicyAction::Reject(400), 400, NOTHING,
            "The key is a number that is not a 64-bit integer.";
        KeyObject = "key_object", PolicyAction::Reject(400), 400, NOTHING,
            "The key is an object, or an XML element with other elements inside it.";
        KeyArray = "key_array", PolicyAction::Reject(400), 400, NOTHING,
            "The key is an array.";
        KeyEmpty = "key_empty", PolicyAction::Reject(400), 400, NEXT,
            "The key is the empty string.";
        KeyTooLong = "key_too_long", PolicyAction::Reject(400), 400, NOTHING,
            "The key is longer than `limits.key_bytes`.";
        KeyControlCharacter = "key_control_character", PolicyAction::Reject(400), 400, NOTHING,
            "The key contains a control character.";
        KeyInvalidUtf8 = "key_invalid_utf8", PolicyAction::Reject(400), 400, NOTHING,
            "The key is not valid UTF-8.";
        KeyMalformed = "key_malformed", PolicyAction::Reject(400), 400, NOTHING,
            "The key has a form that servers read in different ways: invalid percent-encoding, a path with dot segments or parameters, a quoted cookie, a file in a form, a value that a template can split in two ways, and others.";
        KeyUnplaced = "key_unplaced", PolicyAction::Reject(421), 421, HASH,
            "No placement rule matches the key, and there is no default cell.";
        CellMismatch = "cell_mismatch", PolicyAction::Reject(421), 421, NOTHING,
            "The request is for another cell than `decided_by.cell`.";
        DeadlineExceeded = "deadline_exceeded", PolicyAction::Reject(408), 408, NOTHING,
            "The body did not arrive before the service's deadline.";
        Overloaded = "overloaded", PolicyAction::Reject(503), 503, NOTHING,
            "The service has reached its byte budget. The client can retry the request.";
        RateLimited = "rate_limited", PolicyAction::Reject(429), 429, NOTHING,
            "The request is over a rate limit. The client can retry it after the time in Retry-After.";
        ConcurrencyLimited = "concurrency_limited", PolicyAction::Reject(429), 429, NOTHING,
            "As many requests as a concurrency limit allows are in flight. The client can retry when one of them has ended.";
        LimitUnknown = "limit_unknown", PolicyAction::Reject(503), 503, NOTHING,
            "The store of a rate limit with `when_store_fails: deny` does not answer.";
    }
}

impl Reason {
    /// Whether parsers may read different keys. The scanner can find such a conflict up to the last byte of the body.
    #[must_use]
    pub const fn is_conflict(self) -> bool {
        matches!(self, Reason::KeyDuplicated | Reason::KeyConflict | Reason::KeyAmbiguous)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// The text is not the label of a reason.
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
    fn each_label_is_unique_and_parses() {
        let labels: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.label()).collect();
        assert_eq!(labels.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert_eq!(reason.label().parse(), Ok(*reason));
        }
    }

    #[test]
    fn no_default_forwards_a_request_of_a_tenant() {
        for reason in Reason::ALL {
            // Neither exceptions nor preflights are requests of a tenant.
            let has_no_tenant = matches!(reason, Reason::Excepted | Reason::Preflight);
            // A body that is accepted is read to its end, and its key decides.
            let is_read = reason.default_answer() == PolicyAction::Accept;
            assert!(
                matches!(reason.default_answer(), PolicyAction::Reject(_) | PolicyAction::Defer)
                    || has_no_tenant
                    || is_read,
                "{reason} is open by default"
            );
            assert!(matches!(reason.last_answer(), PolicyAction::Reject(400..=599)), "{reason}");
        }
    }

    #[test]
    fn a_default_of_defer_or_accept_is_an_allowed_action() {
        for reason in Reason::ALL {
            if reason.default_answer() == PolicyAction::Defer {
                assert!(reason.allowed().defer, "{reason}");
            }
            if reason.default_answer() == PolicyAction::Accept {
                assert!(reason.allowed().accept, "{reason}");
            }
        }
    }
}
