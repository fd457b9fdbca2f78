//! The decision for one request: from its head, and from its body if the key may be there.

mod body_reader;
mod decide;
mod explain;
mod guard;
mod scanner;
mod sources;
#[cfg(test)]
mod tests;

pub use body_reader::BodyReader;
pub use explain::{SourceFinding, SourceValue};
pub use guard::Guard;

use std::sync::Arc;

use crate::config::Config;
use crate::decision::{Decision, Tier};
use crate::form::FormQuery;
use crate::head::Head;
use crate::headers::routing_value;
use crate::json::JsonQuery;
use crate::media;
use crate::reason::Reason;
use crate::scope::{announces_body, is_preflight, is_tunnel};
use crate::source::{Format, Source};
use scanner::FormatScanner;
use sources::ActiveSources;

/// A configuration compiled for decisions. Cheap to clone: a request keeps the one it started with.
#[derive(Clone, Debug)]
pub struct Decider(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    config: Config,
    tier: Tier,
    json: Arc<JsonQuery>,
    form: Arc<FormQuery>,
}

/// The result of a request's head.
#[derive(Debug)]
pub enum HeadResult {
    /// The decision. The body is not needed.
    Decided(Decision),
    /// The key may be in the body.
    NeedsBody(BodyReader),
}

impl Decider {
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
        Self(Arc::new(Compiled { config, tier, json, form }))
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Accepts the decision of a peer in `decided_by`: one routing header, spelled as configured, with a cell's name.
    ///
    /// `fields` are the request's headers before any is removed. `peer` returns the URI of the peer's verified
    /// certificate. It is called only if the header is valid.
    #[must_use]
    pub fn decided_before<'a, P: AsRef<[u8]>>(
        &self,
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        peer: impl FnOnce() -> Option<P>,
    ) -> Option<Decision> {
        let config = self.config();
        let decided_by = config.decided_by.as_ref()?;
        let cell = config.cell_named(routing_value(fields, &config.routing_header)?)?;
        let is_trusted = peer().is_some_and(|uri| decided_by.lists(uri.as_ref()));
        is_trusted.then(|| self.send(cell, Reason::DecidedBefore))
    }

    /// Decides from the head, or returns the reader of the body.
    ///
    /// The caller must have removed inbound routing and internal headers. `end_of_stream` means that no body follows.
    #[must_use]
    pub fn open<H: Head + ?Sized>(&self, head: &H, end_of_stream: bool) -> HeadResult {
        if let Err(reason) = self.config().scope.check(head) {
            return HeadResult::Decided(self.answer(reason));
        }
        let sources = ActiveSources::of_head(self, head);
        let (is_tunnel, has_body_source) = (is_tunnel(head), sources.has_body_source());
        if is_tunnel && has_body_source && announces_body(head) {
            // A tunnel's body never ends. But an upstream may ignore the upgrade (RFC 9110, 7.8) and read a body that
            // names another tenant than the head.
            return HeadResult::Decided(self.answer(Reason::Upgrade));
        }
        if is_tunnel || end_of_stream || !has_body_source {
            let absent = match (is_tunnel, has_body_source) {
                (true, _) => Reason::Upgrade,
                // Only without a key in the head: with one, a preflight is decided like any other request.
                (false, _) if is_preflight(head) => Reason::Preflight,
                (false, true) => Reason::BodyAbsent,
                (false, false) => Reason::KeyMissing,
            };
            return HeadResult::Decided(self.decide(sources.find_key(self, None), absent));
        }
        match self.readable_format(head, &sources) {
            Ok(format) => {
                let scanner = FormatScanner::new(format, &self.0.json, &self.0.form);
                HeadResult::NeedsBody(BodyReader::new(self.clone(), scanner, sources, media::content_length(head)))
            }
            Err(reason) if self.is_passed_over(reason) => {
                HeadResult::Decided(self.decide(sources.find_key(self, None).after(reason), Reason::KeyMissing))
            }
            // No server reads a gRPC body as a document, so the body cannot outrank the head (docs/decisions/0012).
            Err(reason @ Reason::ContentTypeUnsupported) if self.config().content_types.is_unread_grpc(head) => {
                HeadResult::Decided(self.decide(sources.find_key(self, None), reason))
            }
            Err(reason) => HeadResult::Decided(self.answer(reason)),
        }
    }

    /// The body's format, if an active source reads it.
    fn readable_format<H: Head + ?Sized>(&self, head: &H, sources: &ActiveSources) -> Result<Format, Reason> {
        let format = self.config().content_types.format_of(head)?;
        if !sources.read(format) {
            Err(Reason::ContentTypeUnsupported)
        } else if media::is_encoded(head) {
            Err(Reason::BodyEncoded)
        } else {
            Ok(format)
        }
    }

    /// Every source; for a body source also its format and its index among the sources of that format.
    fn indexed_sources(&self) -> impl Iterator<Item = (&Source, Option<(Format, usize)>)> {
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
}
