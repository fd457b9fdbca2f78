//! Decides one request offline with the decision core of the filter and the service, and reports each step.

mod body_place;
mod claims;
mod curl;
mod decoding;
mod filter;
mod framing;
mod report;
mod request;
mod service;
mod trace;

use cellgate_routing::{
    Config, Decider, Decision, HeadResult, Reason, RefusedType, SourceValue, Tier, body::BodyError, is_encoded,
};

pub(crate) use claims::metadata;
pub(crate) use curl::{BadCurl, CurlCommand};
pub(crate) use report::{json, text};
pub(crate) use request::{BadRequest, Parts, Request};

use cellgate_ext_proc::fields::{self, RequestHead};
use cellgate_ext_proc::thread_cpu_time;

/// The decision for a request, step by step.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    /// `POST /path`.
    pub(crate) line: String,
    /// The size of the body.
    pub(crate) body_bytes: usize,
    /// The options of a curl command that do not change the request.
    pub(crate) ignored: Vec<String>,
    /// The reserved headers that the filter removes.
    pub(crate) stripped: Vec<String>,
    /// Why the request is out of scope, if it is.
    pub(crate) excluded: Option<Reason>,
    /// Whether it is in scope of `applies_to.hosts` only because it has no host.
    pub(crate) hostless: bool,
    /// Each source, as configured, and what was found there.
    pub(crate) findings: Vec<(String, SourceValue)>,
    /// The request's Content-Type, if it is the reason of a tier's decision. Empty if it has none.
    pub(crate) refused_type: Option<String>,
    /// The values in the body and their places, if the body was read.
    pub(crate) trace: Option<trace::Trace>,
    /// The decoded text and its cost, if the body has a Content-Encoding that is decoded.
    pub(crate) decoding: Option<decoding::Decoding>,
    /// The place at which the body is malformed, if it is.
    pub(crate) broken: Option<BodyError>,
    /// The decision of the filter.
    pub(crate) filter: Verdict,
    /// The decision of the service, alone or after a deferral by the filter.
    pub(crate) service: Verdict,
    /// The configuration that decided.
    pub(crate) config: &'a Config,
}

/// The decision of one tier.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// How the tier handles the body.
    pub(crate) how: String,
    /// The decision.
    pub(crate) decision: Decision,
    /// The refusal that ends the request after the decision was carried out.
    pub(crate) conflict: Option<Decision>,
}

impl Report<'_> {
    /// The final verdict: the filter's, or the service's if the filter defers.
    #[must_use]
    pub(crate) fn last(&self) -> &Verdict {
        if self.filter.decision.outcome == cellgate_routing::Outcome::Defer { &self.service } else { &self.filter }
    }
}

impl Verdict {
    /// The final decision.
    #[must_use]
    pub(crate) fn end(&self) -> Decision {
        self.conflict.unwrap_or(self.decision)
    }
}

/// Decides a request. `peer` is the URI in the peer's certificate. The body arrives in chunks of `first_chunk` bytes, so
/// this is what the filter scans before it releases or defers a body that it must not hold.
#[must_use]
pub(crate) fn run<'a>(config: &'a Config, request: &Request, peer: Option<&str>, first_chunk: usize) -> Report<'a> {
    let decider = Decider::new(config.clone(), Tier::Filter);
    let fields = request.fields.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
    let before = decider.decided_before(fields, || peer);
    let mut fields = request.fields.clone();
    let stripped = fields::strip(&mut fields, &config.routing_header);
    let head = RequestHead { fields: &fields, metadata: &request.metadata };
    let excluded = config.scope.check(&head).err();

    // The filter leaves an encoded body to the service, so the report shows what the service reads.
    let service_decider = Decider::with_clock(config.clone(), Tier::Service, thread_cpu_time);
    let is_encoded = is_encoded(&head);
    let reader = if is_encoded { &service_decider } else { &decider };
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
    let filter = match before {
        Some(decision) => Verdict { how: "accepts the peer's decision".to_owned(), decision, conflict: None },
        None => filter::run(&decider, &head, request, first_chunk),
    };
    let service = service::run(config, request, first_chunk);
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
        trace: reading.as_ref().filter(|_| !is_encoded).and_then(|_| trace::run(&decider, &head, &request.body)),
        decoding: reading.as_ref().and_then(|reading| decoding::Decoding::of(&head, reading, request.body.len())),
        broken: reading.and_then(|reading| reading.broken()),
        filter,
        service,
        config,
    }
}
