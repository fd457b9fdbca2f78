//! The decision for one request: from its head, and from its body if the key may be there.

mod body_reader;
mod decide;
mod explain;
mod guard;
mod scanner;
mod sources;

pub use body_reader::BodyReader;
pub use explain::{KeyOrigin, SourceFinding, SourceValue};
pub use guard::Guard;
pub use scanner::ScannedBody;

use std::sync::Arc;

use crate::claims;
use crate::concurrency_limit::ConcurrencyLimit;
use crate::config::Config;
use crate::decision::{Decision, Tier};
use crate::descriptor_limit::{DescriptorLimit, DescriptorTree};
use crate::document::AcceptedFaults;
use crate::encoding::{BodyDecoder, Clock, ContentCoding, DecodingLimits};
use crate::format::{BodyFormat, Format, FormatQueries, ScanLimits};
use crate::head::Head;
use crate::headers::routing_value;
use crate::media;
use crate::rate_limit::{DueLimits, RateLimit};
use crate::reason::Reason;
use crate::scope::{announces_body, is_preflight, is_tunnel};
use crate::source::{Found, Place, Source};
use crate::value::KeyRule;
use scanner::FormatScanner;
use sources::ActiveSources;

/// A configuration compiled for decisions. Cheap to clone: a request keeps the one it started with.
#[derive(Clone, Debug)]
pub struct Decider(Arc<Compiled>);

#[derive(Debug)]
struct Compiled {
    config: Config,
    tier: Tier,
    /// What each source needs, in their order.
    sources: Vec<CompiledSource>,
    /// The sources of rate limits that are not sources of the key.
    limit_sources: Vec<(Source, CompiledSource)>,
    queries: FormatQueries,
    decoding: DecodingLimits,
    descriptors: DescriptorTree,
}

#[derive(Debug)]
struct CompiledSource {
    rule: KeyRule,
    /// For a body source: its format and its index among the sources of that format.
    in_body: Option<(Format, usize)>,
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
    /// Compiles a configuration for a tier. Without a clock, `limits.decode_ms` limits nothing.
    #[must_use]
    pub fn new(config: Config, tier: Tier) -> Self {
        Self::compile(config, tier, None)
    }

    /// As [`Decider::new`], with the clock that measures how long bodies are decoded.
    #[must_use]
    pub fn with_clock(config: Config, tier: Tier, clock: Clock) -> Self {
        Self::compile(config, tier, Some(clock))
    }

    fn compile(config: Config, tier: Tier, clock: Option<Clock>) -> Self {
        let limits = ScanLimits {
            duplicates: config.duplicates,
            depth: config.limits.depth,
            key_bytes: config.limits.key_bytes,
            accepted: AcceptedFaults::of(&config.policy),
        };
        let mut counts: [std::ops::RangeFrom<usize>; Format::ALL.len()] = std::array::from_fn(|_| 0..);
        let mut compiled = |source: &Source| {
            let mut index = |format: Format| counts.get_mut(format as usize)?.next();
            let in_body = source.format().and_then(|format| Some((format, index(format)?)));
            CompiledSource { rule: KeyRule::of(source, limits), in_body }
        };
        let sources: Vec<_> = config.sources.iter().map(&mut compiled).collect();
        let mut limit_sources: Vec<(Source, CompiledSource)> = Vec::new();
        let of_rates = config.rate_limits.iter().flat_map(RateLimit::sources);
        for source in of_rates.chain(config.concurrency_limits.iter().flat_map(ConcurrencyLimit::sources)) {
            if !config.sources.contains(source) && !limit_sources.iter().any(|(known, _)| known == source) {
                limit_sources.push((source.clone(), compiled(source)));
            }
        }
        // In both tiers, although only the service reads bodies for limits: both must refuse the same bodies.
        let of_limits = limit_sources.iter().map(|(source, compiled)| (source, compiled));
        let all = config.sources.iter().zip(&sources).chain(of_limits);
        let queries = FormatQueries::new(all.map(|(source, compiled)| (&source.place, compiled.rule.clone())), limits);
        let decoding = DecodingLimits::new(&config, tier, clock);
        // No call reaches the filter.
        let descriptors = match tier {
            Tier::Filter => DescriptorTree::default(),
            Tier::Service => DescriptorTree::new(&config.descriptor_limits),
        };
        Self(Arc::new(Compiled { config, tier, sources, limit_sources, queries, decoding, descriptors }))
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The limit that applies to a descriptor of a call, and its place in the configuration. `entries` are keys and values.
    ///
    /// At each entry a limit with its value wins over one with a prefix of it, the longest prefix over shorter ones, and a
    /// prefix over any value. What one entry has decided, later entries do not take back.
    pub fn descriptor_limit<'a>(
        &self,
        domain: &[u8],
        entries: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Option<(usize, &DescriptorLimit)> {
        let index = self.0.descriptors.find(domain, entries)?;
        Some((index, self.config().descriptor_limits.get(index)?))
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
            let absent = || match (is_tunnel, has_body_source) {
                (true, _) => Reason::Upgrade,
                // Only without a key in the head: with one, a preflight is decided like any other request.
                (false, _) if is_preflight(head) => Reason::Preflight,
                (false, true) => Reason::BodyAbsent,
                (false, false) => Reason::KeyMissing,
            };
            return HeadResult::Decided(self.decide(sources.find_key(self, None), absent));
        }
        let scanner = self.readable_format(head, &|format| sources.read(format)).and_then(|body| {
            let decoder = self.decoder(head, body.format)?;
            FormatScanner::new(&body, &self.0.queries, decoder)
        });
        match scanner {
            Ok(scanner) => {
                HeadResult::NeedsBody(BodyReader::new(self.clone(), scanner, sources, media::content_length(head)))
            }
            Err(reason) if self.is_passed_over(reason) => {
                HeadResult::Decided(self.decide(sources.find_key(self, None).after(reason), || Reason::KeyMissing))
            }
            // No server reads such a stream as a document, so the body cannot outrank the head (docs/decisions/0012).
            Err(reason @ Reason::ContentTypeUnsupported)
                if self.config().content_types.is_unread_stream(head, |format| sources.read(format)) =>
            {
                HeadResult::Decided(self.decide(sources.find_key(self, None), || reason))
            }
            Err(reason) => HeadResult::Decided(self.answer(reason)),
        }
    }

    /// The routing key of a request that [`Decider::open`] has decided, if it has one. Only limits need it: the search runs
    /// again.
    #[must_use]
    pub fn head_key<H: Head + ?Sized>(&self, head: &H) -> Option<String> {
        let sources = ActiveSources::of_head(self, head);
        sources.find_key(self, None).key().map(Into::into)
    }

    /// The reader of a body for its limits only: the head has decided the request. `None`: no limit reads this body.
    #[must_use]
    pub fn open_for_limits<H: Head + ?Sized>(&self, head: &H, due: &DueLimits) -> Option<BodyReader> {
        let sources = ActiveSources::of_head(self, head);
        let body = self.readable_format(head, &|format| due.reads(format)).ok()?;
        let decoder = self.decoder(head, body.format).ok()?;
        let scanner = FormatScanner::new(&body, &self.0.queries, decoder).ok()?;
        Some(BodyReader::new(self.clone(), scanner, sources, media::content_length(head)))
    }

    /// The place of a limit's body source: its format, and its index among the sources of that format.
    pub(crate) fn limit_place(&self, source: &Source) -> Option<(Format, usize)> {
        self.limit_source(source)?.in_body
    }

    /// A value of a request's head for a limit.
    pub(crate) fn limit_value<H: Head + ?Sized>(&self, source: &Source, head: &H) -> Option<Found> {
        self.find_in_head(source, head, &self.limit_source(source)?.rule)
    }

    fn limit_source(&self, source: &Source) -> Option<&CompiledSource> {
        let of_limits = self.0.limit_sources.iter().map(|(known, compiled)| (known, compiled));
        let mut all = of_limits.chain(self.config().sources.iter().zip(&self.0.sources));
        all.find(|(known, _)| *known == source).map(|(_, compiled)| compiled)
    }

    /// The value of a head source, by its rule.
    #[inline]
    fn find_in_head<H: Head + ?Sized>(&self, source: &Source, head: &H, rule: &KeyRule) -> Option<Found> {
        match &source.place {
            Place::Claim(pointer) => claims::find(head.metadata(), &self.config().claims.metadata_key, pointer, rule),
            _ => source.find(head, self.config().duplicates, rule),
        }
    }

    /// The body's format, if a source reads it.
    fn readable_format<H: Head + ?Sized>(
        &self,
        head: &H,
        reads: &dyn Fn(Format) -> bool,
    ) -> Result<BodyFormat, Reason> {
        let body = self.config().content_types.format_of(head, reads)?;
        // A call whose messages may be compressed is deferred at once: its second message would be too late.
        let is_deferred = self.0.tier == Tier::Filter && body.framing.may_be_compressed();
        if is_deferred { Err(Reason::BodyEncoded) } else { Ok(body) }
    }

    /// The decoder of the body's codings, if it has any.
    fn decoder<H: Head + ?Sized>(&self, head: &H, format: Format) -> Result<Option<Box<BodyDecoder>>, Reason> {
        let codings = self.config().content_encodings.of_body(head, format)?;
        if codings.is_empty() {
            return Ok(None);
        }
        // Only what Envoy's worker decodes in little time, and holds anyway (docs/decisions/0023).
        let is_held = || media::content_length(head).is_some_and(|length| length <= self.config().limits.inspect_bytes);
        let is_left = self.0.tier == Tier::Filter && !(ContentCoding::are_for_the_filter(&codings) && is_held());
        if is_left { Err(Reason::BodyEncoded) } else { BodyDecoder::new(&codings, self.0.decoding).map(Some) }
    }

    /// Every source with its rule; for a body source also its format and its index among the sources of that format.
    fn indexed_sources(&self) -> impl Iterator<Item = (&Source, &KeyRule, Option<(Format, usize)>)> {
        let sources = self.config().sources.iter().zip(&self.0.sources);
        sources.map(|(source, compiled)| (source, &compiled.rule, compiled.in_body))
    }
}
