//! A call over a connection, from a cache to a ledger and back.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Mutex;

use cellgate_limiting::{
    Answer, Applied, Charge, Enforcement, KeyHasher, LeaseCache, LeaseLedger, LeaseRules, LimitId, Micros, Report,
    SECOND,
};
use cellgate_proto::sync::sync_service_client::SyncServiceClient;
use cellgate_proto::sync::sync_service_server::{SERVICE_NAME, SyncService, SyncServiceServer};
use cellgate_proto::sync::{SyncRequest, SyncResponse};
use cellgate_proto::{MAX_MESSAGE_BYTES, METHOD, SERVICE};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};

/// A ledger with a store that always has 100 units.
struct Service(Mutex<LeaseLedger>);

#[tonic::async_trait]
impl SyncService for Service {
    async fn sync(&self, request: Request<SyncRequest>) -> Result<Response<SyncResponse>, Status> {
        let report =
            Report::try_from(request.get_ref()).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let mut ledger = self.0.lock().unwrap();
        let mut turn = ledger.begin(&report, |_, _| true, Micros(0));
        let remaining = vec![100; turn.probes().len()];
        let charges = ledger.share(&mut turn, &remaining);
        let finished = ledger.finish(&turn, &vec![Some(Micros(0)); charges.len()]);
        let answer = finished.answer.ok_or_else(|| Status::aborted("no session"))?;
        Ok(Response::new(SyncResponse::from(&answer)))
    }
}

fn rules(hasher: KeyHasher) -> LeaseRules {
    LeaseRules {
        epoch: 1,
        configuration: 1,
        hasher,
        term: 10 * SECOND,
        interval: SECOND,
        share_bits: 2,
        max_sessions: 10,
        max_keys: 100,
        is_store_shared: false,
    }
}

#[tokio::test]
async fn a_cache_gets_its_keys_and_its_units_over_a_connection() {
    let hasher = KeyHasher::new([3; 16]);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let service = SyncServiceServer::new(Service(Mutex::new(LeaseLedger::new(rules(hasher)))));
    let service = service.max_decoding_message_size(MAX_MESSAGE_BYTES);
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)));
    let channel = Channel::from_shared(address).unwrap().connect().await.unwrap();
    let mut client = SyncServiceClient::new(channel);

    let mut cache = LeaseCache::new(7, 1);
    let mut sync = async |cache: &mut LeaseCache| {
        let request = SyncRequest::from(&cache.report(Micros(5)));
        let response = client.sync(request).await.unwrap().into_inner();
        cache.apply(&Answer::try_from(&response).unwrap(), Micros(5))
    };
    assert_eq!(sync(&mut cache).await, Applied::Taken);
    let key = cache.hasher().unwrap().key("per-tenant", [b"acme".as_slice()]);
    assert_eq!(key, hasher.key("per-tenant", [b"acme".as_slice()]));
    let limit = "100/s".parse().unwrap();
    let charge = Charge { id: LimitId(0), key, limit, cost: 1, enforcement: Enforcement::Enforce };
    assert!(!cache.spend(&[charge], Micros(6)));
    assert_eq!(sync(&mut cache).await, Applied::Taken);
    assert!(cache.spend(&[charge], Micros(7)) && cache.spend(&[charge], Micros(7)));
    assert!(!cache.spend(&[charge], Micros(7)));

    let none = client.sync(SyncRequest::default()).await.unwrap_err();
    assert_eq!(none.message(), "the message has no session: do both ends have the same version?");
}

#[test]
fn the_names_are_those_of_the_definition() {
    assert_eq!((SERVICE, METHOD), (SERVICE_NAME, "Sync"));
}
