//! Answers of calls.

use cellgate_limit_store::{Judge, StoreDecision};
use cellgate_limiting::{Enforcement, Outcome, SECOND, Verdict};
use cellgate_routing::{Config, DescriptorRule};
use envoy_types::pb::envoy::config::core::v3::HeaderValue;
use envoy_types::pb::envoy::service::ratelimit::v3::RateLimitResponse;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::rate_limit::Unit;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::{Code, DescriptorStatus, RateLimit};
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Duration, ListValue, Struct, Value};

use super::unit::in_units;
use super::{Charges, LimitHeaders};

/// The answer to a call.
#[derive(Clone, Copy)]
pub(super) struct CallAnswer<'a> {
    pub decision: &'a StoreDecision,
    pub config: &'a Config,
    pub headers: LimitHeaders,
}

/// The answer to a call none of whose descriptors has a limit.
pub(super) fn uncounted(descriptors: usize) -> RateLimitResponse {
    RateLimitResponse {
        overall_code: Code::Ok.into(),
        statuses: vec![status(Code::Ok); descriptors],
        ..RateLimitResponse::default()
    }
}

impl CallAnswer<'_> {
    /// The label of the call in metrics.
    pub(super) fn label(self) -> &'static str {
        match self.decision.decision().is_admitted() {
            _ if self.decision.is_admitted() => "admitted",
            true => "unknown",
            false => "refused",
        }
    }

    /// The answer to a call with these charges.
    pub(super) fn response(self, descriptors: usize, charges: &Charges) -> RateLimitResponse {
        let is_admitted = self.decision.is_admitted();
        let mut answers = charges.list.iter().zip(self.decision.answers());
        let statuses = (0..descriptors).map(|place| {
            let is_counted = charges.counted >> place & 1 == 1;
            match if is_counted { answers.next() } else { None } {
                // Envoy shows clients the limit of which the least is left, so a limit in shadow mode shows nothing.
                Some((charge, _)) if charge.charge.enforcement == Enforcement::Shadow => status(Code::Ok),
                Some((_, (_, Some(outcome)))) => self.status(outcome),
                Some((_, (Judge::Denied, None))) => status(Code::OverLimit),
                Some((_, (_, None))) | None => status(Code::Ok),
            }
        });
        let mut response = RateLimitResponse {
            overall_code: if is_admitted { Code::Ok } else { Code::OverLimit }.into(),
            statuses: statuses.collect(),
            ..RateLimitResponse::default()
        };
        if !is_admitted || self.headers == LimitHeaders::All {
            self.add_fields(&mut response);
        }
        response
    }

    fn status(self, outcome: &Outcome) -> DescriptorStatus {
        let code = if outcome.refuses() { Code::OverLimit } else { Code::Ok };
        let name = self.config.limit_name(outcome.id());
        if self.is_denied(outcome) {
            let limit = RateLimit { name: name.to_owned(), requests_per_unit: 0, unit: Unit::Second.into() };
            return DescriptorStatus { current_limit: Some(limit), ..status(code) };
        }
        let micros = match outcome.verdict() {
            Verdict::Admitted => Some(outcome.reset()),
            Verdict::Refused { wait } => Some(wait),
            Verdict::Never => None,
        };
        DescriptorStatus {
            code: code.into(),
            current_limit: Some(in_units(outcome.limit().rate(), name)),
            limit_remaining: outcome.remaining(),
            duration_until_reset: micros.map(seconds),
            quota: None,
        }
    }

    /// Whether a limit with `always: deny` has made this outcome.
    fn is_denied(self, outcome: &Outcome) -> bool {
        self.config.descriptor_limit(outcome.id()).is_some_and(|limit| limit.rule == DescriptorRule::Deny)
    }

    /// Adds the response headers and the dynamic metadata.
    fn add_fields(self, response: &mut RateLimitResponse) {
        let name = |id| self.config.limit_name(id);
        let judged = self.decision.decision();
        let mut metadata = Struct::default();
        let mut headers = Vec::new();
        // A limit that refuses everything has no allowance to show.
        if !judged.outcomes().iter().any(|outcome| self.is_denied(outcome)) {
            let fields = [
                ("RateLimit", "rate_limit", judged.rate_limit_field(name)),
                ("RateLimit-Policy", "rate_limit_policy", judged.policy_field(name)),
            ];
            for (header, field, value) in fields {
                let Some(value) = value else { continue };
                headers.push(self::header(header, value.clone()));
                metadata.fields.insert(field.into(), text(value));
            }
        }
        if let Some(seconds) = self.decision.retry_after() {
            headers.push(header("Retry-After", seconds.to_string()));
        }
        if !self.decision.is_admitted() {
            let refusing = judged.outcomes().iter().filter(|outcome| outcome.refuses());
            let mut violated: Vec<_> = refusing.map(|outcome| text(name(outcome.id()).to_owned())).collect();
            violated.dedup();
            let list = Value { kind: Some(Kind::ListValue(ListValue { values: violated })) };
            metadata.fields.insert("violated_policies".into(), list);
        }
        if self.headers != LimitHeaders::None {
            response.response_headers_to_add = headers;
        }
        response.dynamic_metadata = Some(metadata);
    }
}

/// A status without a limit.
fn status(code: Code) -> DescriptorStatus {
    DescriptorStatus { code: code.into(), ..DescriptorStatus::default() }
}

/// Whole seconds, rounded up: Envoy makes its own `Retry-After` of the seconds.
fn seconds(micros: u64) -> Duration {
    Duration { seconds: i64::try_from(micros.div_ceil(SECOND)).unwrap_or(i64::MAX), nanos: 0 }
}

fn header(name: &str, value: String) -> HeaderValue {
    HeaderValue { key: name.to_owned(), value, raw_value: Vec::new() }
}

fn text(text: String) -> Value {
    Value { kind: Some(Kind::StringValue(text)) }
}
