//! The part of a trace that only the state machine knows: the source of the key, and how long the steps took.

use cellgate_limiting::{KeyHasher, LimitKey};
use cellgate_routing::{Clock, Decision, DecodingCost, KeyOrigin};

use crate::traces::phase::Phase;

/// The part of a decision that a trace shows. It never has the key itself.
#[derive(Clone, Debug)]
pub(crate) struct DecisionTrace {
    pub(super) clock: Clock,
    hasher: KeyHasher,
    /// The source in the head that decides, if none in the body does.
    in_head: Option<Origin>,
    origin: Option<Origin>,
    /// Scanning the body, with its decoding.
    pub(crate) scan: Phase,
    /// The search for the key in the head and at the end of the body, and its placement.
    pub(crate) place: Phase,
    /// The cost of decoding, if the body has a Content-Encoding.
    pub(crate) decoded: Option<DecodingCost>,
}

/// A source, and the digest of its key.
#[derive(Clone, Debug, Default)]
struct Origin {
    /// As in the configuration. `None`: the filter has found the key, and does not say where.
    source: Option<String>,
    key: Option<LimitKey>,
}

impl DecisionTrace {
    /// The trace of a request that has not begun. `hasher` makes the digest of its key.
    pub(crate) fn new(clock: Clock, hasher: KeyHasher) -> Self {
        let (scan, place) = (Phase::default(), Phase::default());
        Self { clock, hasher, in_head: None, origin: None, scan, place, decoded: None }
    }

    /// The source that decided, as in the configuration. `None`: no source did.
    pub(crate) fn source(&self) -> Option<&str> {
        self.origin.as_ref()?.source.as_deref()
    }

    /// The digest of the routing key, if there is one.
    pub(crate) fn key(&self) -> Option<LimitKey> {
        self.origin.as_ref()?.key
    }

    /// A source in the head decides, unless one in the body does.
    pub(super) fn found_in_head(&mut self, origin: Option<KeyOrigin<'_>>) {
        self.in_head = origin.map(|origin| self.digest(origin));
    }

    /// The request is decided: by this source in the body, by the one in the head, or for a reason without a key.
    pub(super) fn decided(&mut self, decision: Decision, in_body: Option<KeyOrigin<'_>>) {
        let by_key = decision.reason.is_placed() || decision.reason.label().starts_with("key_");
        let in_body = in_body.map(|origin| self.digest(origin));
        self.origin = in_body.or_else(|| self.in_head.take()).filter(|_| by_key);
    }

    /// The filter has decided the request.
    pub(super) fn handed_over(&mut self, key: Option<&str>) {
        let key = key.map(|key| self.hash(key));
        self.origin = Some(Origin { source: None, key });
    }

    fn digest(&self, (source, key): KeyOrigin<'_>) -> Origin {
        Origin { source: Some(source.to_string()), key: key.map(|key| self.hash(&key)) }
    }

    fn hash(&self, key: &str) -> LimitKey {
        self.hasher.key("trace", [key.as_bytes()])
    }
}
