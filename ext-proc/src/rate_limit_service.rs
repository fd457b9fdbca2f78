//! `envoy.service.ratelimit.v3.RateLimitService`: the limits of descriptors for Envoy's own ratelimit filter
//! (docs/decisions/0028).
//!
//! A call is one request: all its descriptors are charged or none. A call that is malformed ends with `INVALID_ARGUMENT`,
//! and one over [`MAX_CALL_BYTES`] with `OUT_OF_RANGE`. Envoy treats both as a failure of the service.

mod codec;
mod message;
mod response;
mod unit;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use cellgate_limiting::{KeyHasher, MAX_CHARGES, StoreCharge};
use cellgate_routing::Decider;
use envoy_types::pb::envoy::service::ratelimit::v3::RateLimitResponse;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_service_server::SERVICE_NAME;
use hyper::{Request, Response};
use opentelemetry::KeyValue;
use tonic::Status;
use tonic::body::Body;
use tonic::server::{Grpc, UnaryService};

use crate::config_file::Store;
use crate::limiter::Limiter;
use crate::traces::call_trace::{CallTrace, Work};
use crate::traces::{TracedMethod, Tracing};
use codec::RateLimitCodec;
use message::{Descriptor, RateLimitCall};
use response::CallAnswer;

/// The path of the one method.
pub(crate) const PATH: &str = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

/// The name of the service.
pub(crate) const NAME: &str = SERVICE_NAME;

/// The largest call, in bytes. By default, Envoy limits all headers of a request to 60 KiB, and each descriptor of a call can
/// have all of them. A client could make a smaller bound fail, and Envoy lets the request pass then.
const MAX_CALL_BYTES: usize = MAX_CHARGES * 64 * 1024;

/// Which calls are answered with the fields `RateLimit`, `RateLimit-Policy` and `Retry-After` for the response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitHeaders {
    /// No call.
    None,
    /// Refused calls.
    #[default]
    Refused,
    /// All calls. Only refused ones have `Retry-After`.
    All,
}

/// The service. Clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct RateLimitService(Arc<ServiceState>);

#[derive(Debug)]
struct ServiceState {
    store: Arc<Store>,
    limiter: Limiter,
    headers: LimitHeaders,
    tracing: Option<Tracing>,
}

impl RateLimitService {
    /// A service with the limits of the configuration in `store`.
    pub(crate) fn new(store: Arc<Store>, limiter: Limiter, headers: LimitHeaders, tracing: Option<Tracing>) -> Self {
        Self(Arc::new(ServiceState { store, limiter, headers, tracing }))
    }

    /// Handles a call of [`PATH`].
    pub(crate) async fn should_rate_limit(self, request: Request<Body>) -> Response<Body> {
        let mut grpc = Grpc::new(RateLimitCodec).max_decoding_message_size(MAX_CALL_BYTES);
        grpc.unary(LimitCall(self.0), request).await
    }
}

/// One call of the method.
struct LimitCall(Arc<ServiceState>);

impl UnaryService<RateLimitCall> for LimitCall {
    type Response = RateLimitResponse;
    type Future = Pin<Box<dyn Future<Output = Result<tonic::Response<RateLimitResponse>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<RateLimitCall>) -> Self::Future {
        let state = Arc::clone(&self.0);
        let metadata = request.metadata().as_ref();
        let mut trace = CallTrace::begin(state.tracing.as_ref(), TracedMethod::ShouldRateLimit, metadata);
        Box::pin(async move {
            let answer = state.answer(request.into_inner(), &mut trace).await;
            trace.end_with(&answer);
            answer.map(tonic::Response::new)
        })
    }
}

impl ServiceState {
    async fn answer(&self, call: RateLimitCall, trace: &mut CallTrace) -> Result<RateLimitResponse, Status> {
        let (outcome, answer) = self.judge(call, trace).await;
        self.limiter.metrics().called(outcome);
        trace.set(|| vec![KeyValue::new("cellgate.outcome", outcome)]);
        answer
    }

    /// The answer, and its label for metrics.
    async fn judge(
        &self,
        call: RateLimitCall,
        trace: &mut CallTrace,
    ) -> (&'static str, Result<RateLimitResponse, Status>) {
        let malformed = |message: String| ("invalid", Err(Status::invalid_argument(message)));
        if call.domain.is_empty() {
            return malformed("the call has no domain: set `domain` in Envoy's filter".into());
        }
        let descriptors = call.descriptors.len();
        if descriptors == 0 || descriptors > MAX_CHARGES {
            return malformed(format!(
                "a call has from 1 to {MAX_CHARGES} descriptors, and this one has {descriptors}"
            ));
        }
        let decider = self.store.decider();
        let charges = Charges::of(&call, &decider, self.limiter.hasher());
        // A call that waits for the store takes little memory.
        drop(call);
        if charges.list.is_empty() {
            return ("uncounted", Ok(response::uncounted(descriptors)));
        }
        let begun = trace.now();
        let decision = self.limiter.decide(&charges.list, decider.config()).await;
        trace.worked(Work::Limit, begun);
        let answer = CallAnswer { decision: &decision, config: decider.config(), headers: self.headers };
        (answer.label(), Ok(answer.response(descriptors, &charges)))
    }
}

/// The charges of a call.
#[derive(Debug)]
struct Charges {
    /// In the order of their descriptors.
    list: Vec<StoreCharge>,
    /// A bit for each descriptor that has a charge, the first one in the lowest bit.
    counted: u32,
}

impl Charges {
    fn of(call: &RateLimitCall, decider: &Decider, hasher: &KeyHasher) -> Self {
        let mut charges = Self { list: Vec::with_capacity(call.descriptors.len()), counted: 0 };
        for (place, descriptor) in call.descriptors.iter().enumerate() {
            if let Some(charge) = charge(call, descriptor, decider, hasher) {
                charges.list.push(charge);
                charges.counted |= 1 << place;
            }
        }
        charges
    }
}

fn charge(call: &RateLimitCall, descriptor: &Descriptor, decider: &Decider, hasher: &KeyHasher) -> Option<StoreCharge> {
    let entries = descriptor.entries.iter();
    let (index, limit) =
        decider.descriptor_limit(&call.domain, entries.clone().map(|entry| (&*entry.key, &*entry.value)))?;
    limit.charge(index, entries.map(|entry| &*entry.value), descriptor.claim(call.hits_addend), hasher)
}
