//! A client of RateLimitService on one connection, as each worker of Envoy has one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cellgate_tests::wait;
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::RateLimitDescriptor;
use envoy_types::pb::envoy::extensions::common::ratelimit::v3::rate_limit_descriptor::Entry;
use envoy_types::pb::envoy::service::ratelimit::v3::RateLimitRequest;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_response::Code;
use envoy_types::pb::envoy::service::ratelimit::v3::rate_limit_service_client::RateLimitServiceClient;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tonic::transport::{Channel, Endpoint};

/// The calls that are under way at a time when the cost is measured.
pub(super) const AT_ONCE: usize = 8;

/// The keys that calls name in turn.
const USERS: usize = 64;

const DOMAIN: &str = "bench";
const KEY: &str = "user";

/// A connection to a service.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    client: RateLimitServiceClient<Channel>,
    calls: Arc<[RateLimitRequest]>,
}

impl Caller {
    /// Connects to a service.
    ///
    /// # Errors
    /// When it does not accept the connection.
    pub(super) async fn connect(address: SocketAddr) -> Result<Self> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
        let channel = wait::within("a connection to the service", async { Ok(endpoint.connect().await?) }).await?;
        Ok(Self { client: RateLimitServiceClient::new(channel), calls: (0..USERS).map(call).collect() })
    }

    /// Makes `count` calls, [`AT_ONCE`] at a time: each of them follows the answer of another one.
    ///
    /// # Errors
    /// At the first call that is not admitted.
    pub(super) async fn run(&self, count: usize) -> Result<()> {
        let next = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..AT_ONCE {
            let (mut caller, next) = (self.clone(), Arc::clone(&next));
            tasks.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return anyhow::Ok(());
                    }
                    caller.call(number).await?;
                }
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(())
    }

    /// Begins a call each `pace` for the duration `time`, whether or not earlier calls have been answered: a service that
    /// hangs does not get fewer. Returns how long each of them took.
    ///
    /// # Errors
    /// When a call is not admitted.
    pub(super) async fn paced(&self, pace: Duration, time: Duration) -> Result<Vec<Duration>> {
        let mut ticks = interval(pace);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut tasks = JoinSet::new();
        let count = usize::try_from(time.as_nanos().checked_div(pace.as_nanos()).unwrap_or_default())?;
        for number in 0..count {
            ticks.tick().await;
            let mut caller = self.clone();
            tasks.spawn(async move {
                let start = Instant::now();
                caller.call(number).await?;
                anyhow::Ok(start.elapsed())
            });
        }
        let mut times = Vec::with_capacity(count);
        while let Some(ended) = tasks.join_next().await {
            times.push(ended??);
        }
        Ok(times)
    }

    async fn call(&mut self, number: usize) -> Result<()> {
        let call = number.checked_rem(self.calls.len()).and_then(|index| self.calls.get(index));
        let call = call.context("no calls")?.clone();
        let answer = wait::within("the answer to a call", async {
            self.client.should_rate_limit(call).await.context("a call failed")
        });
        let answer = answer.await?.into_inner();
        ensure!(answer.overall_code == i32::from(Code::Ok), "a call was not admitted: {answer:?}");
        Ok(())
    }
}

/// The configuration of a service for these calls. No call uses up the limit.
pub(super) fn config() -> Value {
    let mut config = cellgate_tests::options::sample_config();
    if let Some(fields) = config.as_object_mut() {
        let limit =
            json!({"name": "per-user", "domain": DOMAIN, "descriptor": [{"key": KEY}], "limit": super::UNREACHED});
        fields.insert("descriptor_limits".to_owned(), json!([limit]));
    }
    config
}

fn call(user: usize) -> RateLimitRequest {
    let entry = Entry { key: KEY.to_owned(), value: format!("user-{user}") };
    let descriptor = RateLimitDescriptor { entries: vec![entry], ..RateLimitDescriptor::default() };
    RateLimitRequest { domain: DOMAIN.to_owned(), descriptors: vec![descriptor], hits_addend: 0 }
}
