//! Decides one request offline with the decision core of the filter and the service, and reports each step.

mod body_place;
mod claims;
mod curl;
mod decoding;
mod filter;
mod framing;
mod limits;
mod report;
mod request;
mod service;
mod trace;

use cellgate_routing::{
    Config, Decider, Decision, HeadResult, Outcome, Reason, RefusedType, SourceValue, Tier, body::BodyError, is_encoded,
};

pub use claims::metadata;
pub use curl::{BadCurl, CurlCommand};
pub use report::{decision_json, json, lines, text};
pub use request::{BadRequest, Parts, Request};

use crate::fields::{self, Attributes, RequestHead};
use crate::thread_cpu_time;

/// A configuration compiled for both tiers.
#[derive(Clone, Debug)]
pub struct Deciders {
    filter: Decider,
    service: Decider,
}

/// The decision for a request, step by step.
#[derive(Debug)]
pub struct Report<'a> {
    /// `POST /path`.
    pub line: String,
    /// The size of the body.
    pub body_bytes: usize,
    /// The options of a curl command that do not change the request.
    pub ignored: Vec<String>,
    /// The reserved headers that the filter removes.
    pub stripped: Vec<String>,
    /// Why the request is out of scope, if it is.
    pub excluded: Option<Reason>,
    /// Whether it is in scope of `applies_to.hosts` only because it has no host.
    pub hostless: bool,
    /// Each source, as configured, and what was found there.
    pub findings: Vec<(String, SourceValue)>,
    /// The request's Content-Type, if it is the reason of a tier's decision. Empty if it has none.
    pub refused_type: Option<String>,
    /// The values in the body and their places, if the body was read.
    pub trace: Option<trace::Trace>,
    /// The decoded text and its cost, if the body has a Content-Encoding that is decoded.
    pub decoding: Option<decoding::Decoding>,
    /// The place at which the body is malformed, if it is.
    pub broken: Option<BodyError>,
    /// The effect of the rate limits on the request.
    pub limits: limits::LimitReport,
    /// The decision of the filter.
    pub filter: Verdict,
    /// The decision of the service, alone or after a deferral by the filter.
    pub service: Verdict,
    /// The configuration that decided.
    pub config: &'a Config,
}

/// The decision of one tier.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How the tier handles the body.
    pub how: String,
    /// The decision.
    pub decision: Decision,
    /// The refusal that ends the request after the decision was carried out.
    pub conflict: Option<Decision>,
}

impl Deciders {
    /// Compiles a configuration.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::beside(Decider::with_clock(config, Tier::Service, thread_cpu_time))
    }

    /// With the service's decider of a configuration.
    #[must_use]
    pub fn beside(service: Decider) -> Self {
        Self { filter: Decider::new(service.config().clone(), Tier::Filter), service }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        self.service.config()
    }
}

impl Report<'_> {
    /// The tier with the final verdict.
    #[must_use]
    pub fn last_tier(&self) -> &'static str {
        if self.filter.decision.outcome == Outcome::Defer { "service" } else { "filter" }
    }

    /// The final verdict: the filter's, or the service's if the filter defers.
    #[must_use]
    pub fn last(&self) -> &Verdict {
        last(&self.filter, &self.service)
    }
}

impl Verdict {
    /// The final decision.
    #[must_use]
    pub fn end(&self) -> Decision {
        self.conflict.unwrap_or(self.decision)
    }
}

/// Decides a request. The attributes are those that Envoy knows of the connection. The body arrives in chunks of `first_chunk` bytes, so
/// this is what the filter scans before it releases or defers a body that it must not hold.
#[must_use]
pub fn run<'a>(deciders: &'a Deciders, request: &Request, attributes: &Attributes, first_chunk: usize) -> Report<'a> {
    let peer = attributes.peer.as_deref();
    let (config, Deciders { filter: decider, service: service_decider }) = (deciders.config(), deciders);
    let fields = request.fields.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
    let before = decider.decided_before(fields, || peer);
    let mut fields = request.fields.clone();
    let stripped = fields::strip(&mut fields, &config.routing_header);
    let head = RequestHead { fields: &fields, metadata: &request.metadata, attributes };
    let excluded = config.scope.check(&head).err();

    // The filter leaves an encoded body to the service, so the report shows what the service reads.
    let is_encoded = is_encoded(&head);
    let reader = if is_encoded { service_decider } else { decider };
    let open = || reader.open(&head, request.end_of_stream);
    let mut reading = match before.map_or_else(open, HeadResult::Decided) {
        HeadResult::NeedsBody(reading) => Some(reading),
        HeadResult::Decided(_) => None,
    };
    if let Some(reading) = &mut reading
        && reading.push(&request.body).is_ok()
    {
        reading.finish();
    }
    let findings = match (before, excluded) {
        (Some(_), _) | (_, Some(_)) => Vec::new(),
        (None, None) => reader.explain(&head, reading.as_ref()),
    };
    let (filter, is_handed_over) = match before {
        Some(decision) => (Verdict { how: "accepts the peer's decision".to_owned(), decision, conflict: None }, false),
        None => filter::run(decider, &head, request, first_chunk),
    };
    let service = service::run(service_decider, request, attributes, first_chunk);
    let last = last(&filter, &service).end();
    let limits = match config.shadow {
        true => limits::LimitReport::of_shadow(config),
        false => limits::LimitReport::of(service_decider, &head, request, (filter.decision, is_handed_over), last),
    };
    let is_about_type = |verdict: &Verdict| RefusedType::of(verdict.decision.reason, config, None).is_some();
    let refused_type = (is_about_type(&filter) || is_about_type(&service))
        .then(|| String::from_utf8_lossy(fields::first(&fields, "content-type")).into_owned());
    Report {
        line: request.line(),
        body_bytes: request.body.len(),
        ignored: Vec::new(),
        stripped,
        excluded,
        hostless: !config.scope.hosts.is_empty() && fields::first(&fields, ":authority").is_empty(),
        findings: findings.into_iter().map(|finding| (finding.source.to_string(), finding.held)).collect(),
        refused_type,
        // A place in an encoded body means nothing to a reader.
        trace: reading.as_ref().filter(|_| !is_encoded).and_then(|_| trace::run(decider, &head, &request.body)),
        decoding: reading.as_ref().and_then(|reading| decoding::Decoding::of(&head, reading, request.body.len())),
        broken: reading.and_then(|reading| reading.broken()),
        limits,
        filter,
        service,
        config,
    }
}

/// The final verdict: the filter's, or the service's if the filter defers.
fn last<'a>(filter: &'a Verdict, service: &'a Verdict) -> &'a Verdict {
    if filter.decision.outcome == Outcome::Defer { service } else { filter }
}
