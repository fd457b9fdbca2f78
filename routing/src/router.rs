//! One request's way through the core: head, body, decision.

use std::sync::Arc;

use crate::body::{BodyError, BodyScanner, Candidate};
use crate::config::Config;
use crate::decision::{Decision, Outcome, Tier};
use crate::form::{FormQuery, FormScanner};
use crate::head::Head;
use crate::json::{JsonQuery, JsonScanner};
use crate::media;
use crate::policy::Answer;
use crate::reason::Reason;
use crate::scope::is_tunnel;
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

/// A body being read for its key.
#[derive(Debug)]
pub struct Reading {
    router: Router,
    scan: Scan,
    contenders: Vec<Contender>,
    content_length: Option<u64>,
    received: u64,
    broken: Option<BodyError>,
}

/// Watches the rest of a body whose decision is already on its way, so that no other key and no syntax error can
/// follow unseen. Each chunk is to be passed on only after [`Guard::push`] has accepted it.
#[derive(Debug)]
pub struct Guard {
    router: Router,
    scan: Scan,
    index: usize,
}

/// A source that may hold the key, in order of precedence.
#[derive(Debug)]
enum Contender {
    /// The body scanner's nth source.
    Body(usize),
    /// A head source's finding. Only the last contender, or one whose reason is answered by `next`.
    Head(Found),
}

#[derive(Debug)]
enum Scan {
    Json(Box<JsonScanner>),
    Form(Box<FormScanner>),
}

impl Router {
    /// Compiles a configuration for a tier.
    #[must_use]
    pub fn new(config: Config, tier: Tier) -> Self {
        let pointers = config.sources.iter().filter_map(|source| match source {
            Source::Json(pointer) => Some(pointer.clone()),
            _ => None,
        });
        let json = JsonQuery::new(pointers.collect(), config.duplicates, config.limits.depth, config.limits.key_bytes);
        let fields = config.sources.iter().filter_map(|source| match source {
            Source::Form(name) => Some(name.clone()),
            _ => None,
        });
        let form = FormQuery::new(fields.collect(), config.duplicates, config.limits.key_bytes);
        Self(Arc::new(Shared { config, tier, json: Arc::new(json), form: Arc::new(form) }))
    }

    /// The configuration it was compiled from.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Decides from the head, or says that the body must be read.
    ///
    /// The caller has removed inbound routing and internal headers. `end_of_stream`: no body follows.
    #[must_use]
    pub fn open<H: Head + ?Sized>(&self, head: &H, end_of_stream: bool) -> Opening {
        let config = self.config();
        if let Err(reason) = config.scope.check(head) {
            return Opening::Decided(self.answer(reason, None));
        }
        let tunnel = is_tunnel(head);
        let has_body = !end_of_stream && !tunnel;
        let mut contenders = Vec::new();
        let (mut json, mut form) = (0, 0);
        let (mut reads_json, mut reads_form) = (false, false);
        for source in &config.sources {
            match source.format() {
                Some(Format::Json) => {
                    contenders.push((Some(Format::Json), Contender::Body(json)));
                    json += 1;
                    reads_json = true;
                }
                Some(Format::Form) => {
                    contenders.push((Some(Format::Form), Contender::Body(form)));
                    form += 1;
                    reads_form = true;
                }
                None => {
                    let Some(found) = source.find(head, config.duplicates, config.limits.key_bytes) else { continue };
                    let last = !matches!(&found, Err(reason) if self.is_next(*reason));
                    contenders.push((None, Contender::Head(found)));
                    if last {
                        break;
                    }
                }
            }
        }
        let wants_body = reads_json || reads_form;
        let head_only = |reason: Reason| {
            let found = contenders.iter().rev().find_map(|(_, contender)| match contender {
                Contender::Head(found) => Some(found),
                Contender::Body(_) => None,
            });
            Opening::Decided(match found {
                Some(found) => self.conclude(found.as_deref().map_err(|reason| *reason)),
                None => self.answer(reason, None),
            })
        };
        if !wants_body {
            return head_only(if tunnel { Reason::Upgrade } else { Reason::KeyMissing });
        }
        if !has_body {
            return head_only(if tunnel { Reason::Upgrade } else { Reason::BodyAbsent });
        }
        let format = config.content_types.format_of(head).and_then(|format| match format {
            Format::Json if !reads_json => Err(Reason::ContentTypeUnsupported),
            Format::Form if !reads_form => Err(Reason::ContentTypeUnsupported),
            format => Ok(format),
        });
        let format = match format {
            Ok(format) => format,
            Err(reason) if self.is_next(reason) => return head_only(Reason::KeyMissing),
            Err(reason) => return Opening::Decided(self.answer(reason, None)),
        };
        if media::is_encoded(head) {
            return Opening::Decided(self.answer(Reason::BodyEncoded, None));
        }
        contenders.retain(|(of, _)| of.is_none_or(|of| of == format));
        Opening::Read(Reading {
            router: self.clone(),
            scan: self.scan(format),
            contenders: contenders.into_iter().map(|(_, contender)| contender).collect(),
            content_length: media::content_length(head),
            received: 0,
            broken: None,
        })
    }

    /// The answer to a reason that a tier found itself (a limit, a deadline), or that has no key.
    #[must_use]
    pub fn reject_or_defer(&self, reason: Reason) -> Decision {
        self.answer(reason, None)
    }

    fn scan(&self, format: Format) -> Scan {
        match format {
            Format::Json => Scan::Json(Box::new(JsonScanner::new(Arc::clone(&self.0.json)))),
            Format::Form => Scan::Form(Box::new(FormScanner::new(Arc::clone(&self.0.form)))),
        }
    }

    fn is_next(&self, reason: Reason) -> bool {
        self.config().policy.answer(reason) == Answer::Next
    }

    fn conclude(&self, found: Result<&str, Reason>) -> Decision {
        match found {
            Ok(key) => match self.config().placement.place(key) {
                Some((cell, reason)) => Decision { outcome: Outcome::Cell(cell), reason },
                None => self.answer(Reason::KeyUnplaced, Some(key)),
            },
            Err(reason) => self.answer(reason, None),
        }
    }

    fn answer(&self, reason: Reason, key: Option<&str>) -> Decision {
        let answer = self.config().policy.answer(reason);
        let answer = match (answer, self.0.tier) {
            // `next` with no source left, and `defer` with no tier left, come to the reason's own end.
            (Answer::Next, _) | (Answer::Defer, Tier::Service) => reason.last_answer(),
            (answer, _) => answer,
        };
        let outcome = match answer {
            Answer::Reject(status) => Outcome::Reject(status),
            Answer::Use(cell) => Outcome::Cell(cell),
            Answer::Pass => Outcome::Pass,
            Answer::Defer => Outcome::Defer,
            Answer::Hash => match key {
                Some(key) => Outcome::Cell(self.config().placement.slots().place(key)),
                None => Outcome::Reject(421),
            },
            Answer::Next => Outcome::Reject(421),
        };
        Decision { outcome, reason }
    }
}

impl Reading {
    /// The request's Content-Length, if it has one.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// How many bytes of the body have been scanned.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Scans the next chunk.
    ///
    /// # Errors
    /// The body is malformed: the decision is final, the rest need not be read.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), Decision> {
        self.received = self.received.saturating_add(chunk.len() as u64);
        let broken = match self.broken {
            Some(error) => Some(error),
            None => self.scan.get_mut().push(chunk).err(),
        };
        match broken {
            None => Ok(()),
            Some(error) => {
                self.broken = Some(error);
                Err(self.router.answer(error.reason, None))
            }
        }
    }

    /// If the first source that may hold the key does hold it, and only a conflict could change that: the decision,
    /// and the guard that must see the rest of the body before anyone else does. Otherwise the reading goes on.
    ///
    /// # Errors
    /// The key is not known yet: the reading, unchanged.
    pub fn settle(self) -> Result<(Decision, Guard), Self> {
        let Some(Contender::Body(index)) = self.contenders.first() else { return Err(self) };
        let index = *index;
        let scanner = self.scan.get();
        if self.broken.is_some() || !scanner.is_settled(index) {
            return Err(self);
        }
        let decision = match scanner.candidate(index) {
            Candidate::Found(key) => self.router.conclude(Ok(key)),
            Candidate::Unusable(reason) if !self.router.is_next(reason) => self.router.answer(reason, None),
            Candidate::Unusable(_) | Candidate::Missing => return Err(self),
        };
        Ok((decision, Guard { router: self.router, scan: self.scan, index }))
    }

    /// The body is complete: the decision.
    #[must_use]
    pub fn finish(&mut self) -> Decision {
        if self.received > 0 {
            let broken = match self.broken {
                Some(error) => Some(error),
                None => self.scan.get_mut().finish().err(),
            };
            if let Some(error) = broken {
                self.broken = Some(error);
                return self.router.answer(error.reason, None);
            }
        }
        let scanner = self.scan.get();
        for contender in &self.contenders {
            let found = match contender {
                Contender::Head(found) => found.as_deref().map_err(|reason| *reason),
                // A body of no bytes is no body.
                Contender::Body(_) if self.received == 0 => continue,
                Contender::Body(index) => match scanner.candidate(*index) {
                    Candidate::Missing => continue,
                    Candidate::Found(key) => Ok(key),
                    Candidate::Unusable(reason) => Err(reason),
                },
            };
            if !matches!(found, Err(reason) if self.router.is_next(reason)) {
                return self.router.conclude(found);
            }
        }
        self.router.answer(if self.received == 0 { Reason::BodyAbsent } else { Reason::KeyMissing }, None)
    }

    /// Where and why the body is malformed, once [`Reading::push`] or [`Reading::finish`] has said so.
    #[must_use]
    pub fn broken(&self) -> Option<BodyError> {
        self.broken
    }
}

impl Guard {
    /// Scans a chunk that is about to be passed on.
    ///
    /// # Errors
    /// The key is named again, or the body is malformed. The request must end before the upstream has a complete
    /// body; the decision is always a rejection, as the request can no longer change its cell.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), Decision> {
        let scanned = self.scan.get_mut().push(chunk);
        self.check(scanned)
    }

    /// The body is about to end.
    ///
    /// # Errors
    /// As for [`Guard::push`].
    pub fn finish(&mut self) -> Result<(), Decision> {
        let scanned = self.scan.get_mut().finish();
        self.check(scanned)
    }

    fn check(&self, scanned: Result<(), BodyError>) -> Result<(), Decision> {
        match (scanned, self.scan.get().candidate(self.index)) {
            (Err(error), _) => Err(self.conflict(error.reason)),
            (Ok(()), Candidate::Unusable(Reason::KeyDuplicated)) => Err(self.conflict(Reason::KeyDuplicated)),
            (Ok(()), _) => Ok(()),
        }
    }

    fn conflict(&self, reason: Reason) -> Decision {
        let status = match self.router.config().policy.answer(reason) {
            Answer::Reject(status) => status,
            _ => 400,
        };
        Decision { outcome: Outcome::Reject(status), reason }
    }
}

impl Scan {
    fn get(&self) -> &dyn BodyScanner {
        match self {
            Scan::Json(scanner) => scanner.as_ref(),
            Scan::Form(scanner) => scanner.as_ref(),
        }
    }

    fn get_mut(&mut self) -> &mut dyn BodyScanner {
        match self {
            Scan::Json(scanner) => scanner.as_mut(),
            Scan::Form(scanner) => scanner.as_mut(),
        }
    }
}
