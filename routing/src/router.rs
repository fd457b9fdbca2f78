//! One request's way through the core: head, body, decision.

mod explain;
mod reading;
#[cfg(test)]
mod tests;

pub use explain::{Finding, Held};
pub use reading::{Guard, Reading};

use std::sync::Arc;

use self::reading::Scan;
use crate::answer::{Answer, CellId};
use crate::config::Config;
use crate::decision::{Decision, Outcome, Tier};
use crate::form::{FormQuery, FormScanner};
use crate::head::Head;
use crate::headers::routing_value;
use crate::json::{JsonQuery, JsonScanner};
use crate::media;
use crate::reason::Reason;
use crate::scope::{announces_body, is_preflight, is_tunnel};
use crate::source::{Format, Found, Source};

/// A configuration made ready to decide with. Cheap to clone; a request keeps the one it started with.
#[derive(Clone, Debug)]
pub struct Router(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: Config,
    tier: Tier,
    json: Arc<JsonQuery>,
    form: Arc<FormQuery>,
}

/// What a request's head says.
#[derive(Debug)]
pub enum Opening {
    /// Decided; the body need not be looked at.
    Decided(Decision),
    /// The key may be in the body.
    Read(Reading),
}

/// A source that may hold the key. A request has a list of them, in order of precedence.
#[derive(Debug)]
enum Contender {
    /// The `index`th source of this format.
    Body { format: Format, index: usize },
    /// A head source that holds something.
    Head(Found),
}

impl Router {
    /// Compiles a configuration for a tier.
    #[must_use]
    pub fn new(config: Config, tier: Tier) -> Self {
        let (mut pointers, mut fields) = (Vec::new(), Vec::new());
        for source in &config.sources {
            match source {
                Source::Json(pointer) => pointers.push(pointer.clone()),
                Source::Form(name) => fields.push(name.clone()),
                Source::Header(_) | Source::Query(_) | Source::Path(_) | Source::Cookie(_) => {}
            }
        }
        let limits = config.limits;
        let json = Arc::new(JsonQuery::new(pointers, config.duplicates, limits.depth, limits.key_bytes));
        let form = Arc::new(FormQuery::new(fields, config.duplicates, limits.key_bytes));
        Self(Arc::new(Shared { config, tier, json, form }))
    }

    /// The configuration it was compiled from.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The decision that a request came with, if `decided_by` lists the peer that sent it: the routing header, once and in
    /// one spelling, with a cell's name. Such a request is decided, and its body need not be looked at.
    ///
    /// `fields` are the request's own, before anything was removed. `peer` is asked only if the rest is in order, and
    /// gives the URI of the certificate that the peer has proved to own.
    #[must_use]
    pub fn decided_before<'a, P: AsRef<[u8]>>(
        &self,
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        peer: impl FnOnce() -> Option<P>,
    ) -> Option<Decision> {
        let config = self.config();
        let decided_by = config.decided_by.as_ref()?;
        let cell = config.cell_named(routing_value(fields, &config.routing_header)?)?;
        peer().filter(|uri| decided_by.lists(uri.as_ref())).map(|_| self.send(cell, Reason::DecidedBefore))
    }

    /// Decides from the head, or says that the body must be read.
    ///
    /// The caller has removed inbound routing and internal headers. `end_of_stream`: no body follows.
    #[must_use]
    pub fn open<H: Head + ?Sized>(&self, head: &H, end_of_stream: bool) -> Opening {
        if let Err(reason) = self.config().scope.check(head) {
            return Opening::Decided(self.answer(reason));
        }
        let tunnel = is_tunnel(head);
        let contenders = self.contenders(head);
        let reads_body = contenders.iter().any(|contender| matches!(contender, Contender::Body { .. }));
        if tunnel && reads_body && announces_body(head) {
            // A tunnel cannot be waited for. But an upstream may ignore the upgrade (RFC 9110, 7.8), and then it reads
            // a body that could name another tenant than the head.
            return Opening::Decided(self.answer(Reason::Upgrade));
        }
        if !reads_body || end_of_stream || tunnel {
            let otherwise = match (tunnel, reads_body) {
                (true, _) => Reason::Upgrade,
                // A head that names a tenant decides it like any other request.
                (false, _) if is_preflight(head) => Reason::Preflight,
                (false, true) => Reason::BodyAbsent,
                (false, false) => Reason::KeyMissing,
            };
            return Opening::Decided(self.pick(&contenders, None, None, otherwise));
        }
        match self.readable(head, &contenders) {
            Ok(format) => {
                let scan = match format {
                    Format::Json => Scan::Json(Box::new(JsonScanner::new(Arc::clone(&self.0.json)))),
                    Format::Form => Scan::Form(Box::new(FormScanner::new(Arc::clone(&self.0.form)))),
                };
                Opening::Read(Reading::new(self.clone(), scan, contenders, media::content_length(head)))
            }
            Err(reason) if self.is_next(reason) => {
                Opening::Decided(self.pick(&contenders, None, Some(reason), Reason::KeyMissing))
            }
            // Nobody reads a gRPC body as a document, so nothing in it can outrank the head (docs/decisions/0012).
            Err(reason @ Reason::ContentTypeUnsupported) if self.config().content_types.is_unread_grpc(head) => {
                Opening::Decided(self.pick(&contenders, None, None, reason))
            }
            Err(reason) => Opening::Decided(self.answer(reason)),
        }
    }

    /// The answer to a reason without a key, among them those that only a tier can find: a limit, a deadline.
    #[must_use]
    pub fn answer(&self, reason: Reason) -> Decision {
        self.answer_with(reason, None)
    }

    /// Every source, and for a body source its format and its number among those of that format.
    fn sources(&self) -> impl Iterator<Item = (&Source, Option<(Format, usize)>)> {
        let (mut json, mut form) = (0.., 0..);
        self.config().sources.iter().map(move |source| {
            let index = match source.format() {
                Some(Format::Json) => json.next(),
                Some(Format::Form) => form.next(),
                None => None,
            };
            (source, source.format().zip(index))
        })
    }

    /// The sources that may hold the key. Those behind a head source that does hold one do not matter.
    fn contenders<H: Head + ?Sized>(&self, head: &H) -> Vec<Contender> {
        let config = self.config();
        let mut contenders = Vec::with_capacity(config.sources.len());
        for (source, in_body) in self.sources() {
            if let Some((format, index)) = in_body {
                contenders.push(Contender::Body { format, index });
            } else if let Some(found) = source.find(head, config.duplicates, config.limits.key_bytes) {
                let last = !self.is_passed_over(&found);
                contenders.push(Contender::Head(found));
                if last {
                    break;
                }
            }
        }
        contenders
    }

    /// The format of a body that a contender can read.
    fn readable<H: Head + ?Sized>(&self, head: &H, contenders: &[Contender]) -> Result<Format, Reason> {
        let actual = self.config().content_types.format_of(head)?;
        let wanted =
            contenders.iter().any(|contender| matches!(contender, Contender::Body { format, .. } if *format == actual));
        match (wanted, media::is_encoded(head)) {
            (false, _) => Err(Reason::ContentTypeUnsupported),
            (true, true) => Err(Reason::BodyEncoded),
            (true, false) => Ok(actual),
        }
    }

    /// The decision by the first contender that yields. If none does: the last answer of the first reason that was passed
    /// over by `next`, of which `passed` is one that came before the contenders, or else the answer to `otherwise`.
    fn pick(
        &self,
        contenders: &[Contender],
        body: Option<&Scan>,
        mut passed: Option<Reason>,
        otherwise: Reason,
    ) -> Decision {
        for contender in contenders {
            let found = match (contender, body) {
                (Contender::Head(found), _) => Some(found.as_deref().map_err(|reason| *reason)),
                (Contender::Body { format, index }, Some(scan)) if *format == scan.format() => {
                    scan.get().candidate(*index).found()
                }
                (Contender::Body { .. }, _) => None,
            };
            let Some(found) = found else { continue };
            match found {
                Err(reason) if self.is_next(reason) => passed = passed.or(Some(reason)),
                found => return self.conclude(found),
            }
        }
        match passed {
            Some(reason) => self.carry_out(reason.last_answer(), reason, None),
            None => self.answer(otherwise),
        }
    }

    fn conclude(&self, found: Result<&str, Reason>) -> Decision {
        match found {
            Ok(key) => match self.config().placement.place(key) {
                Some((cell, reason)) => self.send(cell, reason),
                None => self.answer_with(Reason::KeyUnplaced, Some(key)),
            },
            Err(reason) => self.answer(reason),
        }
    }

    fn answer_with(&self, reason: Reason, key: Option<&str>) -> Decision {
        self.carry_out(self.config().policy.answer(reason), reason, key)
    }

    fn carry_out(&self, answer: Answer, reason: Reason, key: Option<&str>) -> Decision {
        let answer = match (answer, self.0.tier) {
            // Nobody is left to defer to.
            (Answer::Defer, Tier::Service) => reason.last_answer(),
            (answer, _) => answer,
        };
        let outcome = match (answer, key) {
            (Answer::Reject(status), _) => Outcome::Reject(status),
            (Answer::Use(cell), _) => return self.send(cell, reason),
            (Answer::Pass, _) => Outcome::Pass,
            (Answer::Defer, _) => Outcome::Defer,
            (Answer::Hash, Some(key)) => return self.send(self.config().placement.slots().place(key), reason),
            // The configuration refuses both; refusing the request is the answer that cannot misroute.
            (Answer::Hash, None) | (Answer::Next, _) => Outcome::Reject(421),
        };
        Decision { outcome, reason }
    }

    /// Sends a request to its cell, unless this proxy belongs to another one. That one's policy is the last word.
    fn send(&self, cell: CellId, reason: Reason) -> Decision {
        let here = self.config().decided_by.as_ref().and_then(|decided_by| decided_by.cell);
        match here {
            Some(here) if here != cell && reason != Reason::CellMismatch => self.answer(Reason::CellMismatch),
            _ => Decision { outcome: Outcome::Cell(cell), reason },
        }
    }

    fn is_next(&self, reason: Reason) -> bool {
        self.config().policy.answer(reason) == Answer::Next
    }

    fn is_passed_over<T>(&self, found: &Result<T, Reason>) -> bool {
        matches!(found, Err(reason) if self.is_next(*reason))
    }
}
