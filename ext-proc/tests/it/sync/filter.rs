//! The filter's end of leases, over a real connection.

use bytes::{Buf, BufMut, Bytes};
use cellgate_limiting::{Answer, Applied, Charge, LeaseCache, LimitId, Micros, SessionId};
use cellgate_proto::sync::sync_service_client::SyncServiceClient;
use cellgate_proto::sync::{KeyReport, LeaseGrants, LeaseReport, Session, SyncRequest, SyncResponse};
use cellgate_routing::Config;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::Instant;
use tonic::Status;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};

use crate::support::{CONFIG, Service};

/// A filter that has a connection of its own.
pub(super) struct Filter {
    cache: LeaseCache,
    config: Config,
    client: SyncServiceClient<Channel>,
    started: Instant,
}

impl Filter {
    /// A filter with these rate limits.
    pub(super) async fn connect(service: &Service, limits: &str) -> Self {
        static VMS: AtomicU64 = AtomicU64::new(1 << 32);
        let config = config(limits);
        let cache = LeaseCache::new(VMS.fetch_add(1, Ordering::Relaxed), config.rate_limits_fingerprint);
        Self { cache, config, client: client(service).await, started: Instant::now() }
    }

    /// Makes charges by other rate limits, and reports the same fingerprint.
    pub(super) fn believing(self, limits: &str) -> Self {
        Self { config: config(limits), ..self }
    }

    pub(super) async fn reconnect(&mut self, service: &Service) {
        self.client = client(service).await;
    }

    /// Spends units of a tenant under the first limit, or under another one: `exact/acme`.
    pub(super) fn spend(&mut self, tenant: &str, cost: u64) -> bool {
        let (name, tenant) = tenant.split_once('/').unwrap_or(("leased", tenant));
        let place = self.config.rate_limits.iter().position(|limit| *limit.name == *name).unwrap();
        let rule = &self.config.rate_limits[place];
        let key = rule.key_of([Some(tenant)].into_iter(), &self.cache.hasher().unwrap());
        let limit = rule.plans.limit(tenant, None, None).unwrap();
        let id = LimitId(u16::try_from(place).unwrap());
        let charge = Charge { id, key, limit, cost, enforcement: rule.enforcement };
        self.cache.spend(&[charge], self.now())
    }

    /// The units that it holds.
    pub(super) fn units(&self) -> u64 {
        self.cache.stats().units
    }

    /// Makes the next report.
    pub(super) fn report(&mut self) -> SyncRequest {
        let now = self.now();
        SyncRequest::from(&self.cache.report(now))
    }

    /// Sends a report. Its answer is not taken.
    pub(super) async fn call(&mut self, report: &SyncRequest) -> Result<SyncResponse, Status> {
        self.client.sync(report.clone()).await.map(tonic::Response::into_inner)
    }

    /// Sends a report on a connection that others use too.
    pub(super) async fn clone_call(&self, report: &SyncRequest) -> Result<SyncResponse, Status> {
        self.client.clone().sync(report.clone()).await.map(tonic::Response::into_inner)
    }

    /// Takes an answer.
    pub(super) fn apply(&mut self, response: &SyncResponse) -> Applied {
        let now = self.now();
        self.cache.apply(&Answer::try_from(response).unwrap(), now)
    }

    /// Reports, and takes the answer.
    pub(super) async fn sync(&mut self) -> Applied {
        let report = self.report();
        let response = self.call(&report).await.unwrap();
        self.apply(&response)
    }

    /// Gives up everything with the last report.
    pub(super) async fn close(&mut self) {
        let now = self.now();
        let report = SyncRequest::from(&self.cache.close(now));
        self.call(&report).await.unwrap();
    }

    /// The first report of another session.
    pub(super) fn first_report(&self, vm: u64) -> SyncRequest {
        let session = Session::from(SessionId { vm, generation: 0 });
        let configuration = self.config.rate_limits_fingerprint;
        SyncRequest { session: Some(session), number: 1, configuration, ..SyncRequest::default() }
    }

    pub(super) fn now(&self) -> Micros {
        Micros(1 + u64::try_from(self.started.elapsed().as_micros()).unwrap())
    }
}

fn config(limits: &str) -> Config {
    cellgate_config::from_yaml(&format!("{CONFIG}{limits}"), "test.yaml").unwrap()
}

pub(super) async fn client(service: &Service) -> SyncServiceClient<Channel> {
    SyncServiceClient::new(channel(service).await)
}

/// A report that gives up so many units of each granted key.
pub(super) fn gives_up(grants: &LeaseGrants, returned: u32) -> LeaseReport {
    let report = |grant: &cellgate_proto::sync::Grant| KeyReport {
        key_high: grant.key_high,
        key_low: grant.key_low,
        limit_id: grant.limit_id,
        limit: grant.limit,
        returned,
        ..KeyReport::default()
    };
    LeaseReport { keys: grants.grants.iter().map(report).collect() }
}

/// Sends bytes that need not be a report.
pub(super) async fn raw(service: &Service, message: &[u8]) -> Result<Bytes, Status> {
    let mut grpc = Grpc::new(channel(service).await);
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static("/cellgate.sync.v1.SyncService/Sync");
    let message = tonic::Request::new(Bytes::copy_from_slice(message));
    grpc.unary(message, path, RawCodec).await.map(tonic::Response::into_inner)
}

async fn channel(service: &Service) -> Channel {
    Endpoint::from_shared(format!("http://{}", service.grpc)).unwrap().connect().await.unwrap()
}

/// Sends and receives bytes as they are.
#[derive(Clone, Copy)]
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
