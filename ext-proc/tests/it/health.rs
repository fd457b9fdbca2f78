//! gRPC health tells the truth.

use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::peer::Peer;
use crate::support::{PATIENCE, Service};

const NAMES: [&str; 4] = [
    "",
    "envoy.service.ext_proc.v3.ExternalProcessor",
    "envoy.service.ratelimit.v3.RateLimitService",
    "cellgate.sync.v1.SyncService",
];

async fn client(service: &Service) -> HealthClient<Channel> {
    let endpoint = Channel::from_shared(format!("http://{}", service.grpc)).unwrap();
    HealthClient::new(endpoint.connect().await.unwrap())
}

pub(crate) async fn check(service: &Service, name: &str) -> i32 {
    let mut client = client(service).await;
    client.check(HealthCheckRequest { service: name.to_owned() }).await.unwrap().into_inner().status
}

#[tokio::test]
async fn serving_under_both_names() {
    let service = Service::start().await;
    for name in NAMES {
        assert_eq!(check(&service, name).await, ServingStatus::Serving as i32, "{name}");
    }
}

#[tokio::test]
async fn not_serving_while_it_waits_for_the_load_balancers() {
    let service = Service::start_with(|settings| settings.drain_delay = PATIENCE).await;
    service.stop();
    crate::support::until("not ready", || async { service.get("/readyz").await.0 == 503 }).await;
    assert_eq!(service.get("/readyz").await.1, "not ready: draining\n");
    for name in NAMES {
        let not_serving = || async { check(&service, name).await == ServingStatus::NotServing as i32 };
        crate::support::until("not serving", not_serving).await;
    }
    // Who has not noticed yet is still served.
    let mut late = Peer::post(&service, BodySendMode::Buffered).await;
    late.change().await;
}

#[tokio::test]
async fn watchers_hear_of_the_drain_and_do_not_delay_it() {
    let service = Service::start().await;
    let mut client = client(&service).await;
    let request = HealthCheckRequest { service: NAMES[1].to_owned() };
    let mut watch = client.watch(request).await.unwrap().into_inner();
    let mut heard = async || tokio::time::timeout(PATIENCE, watch.message()).await.unwrap().unwrap();
    assert_eq!(heard().await.unwrap().status, ServingStatus::Serving as i32);
    service.stop();
    assert_eq!(heard().await.unwrap().status, ServingStatus::NotServing as i32);
    assert!(heard().await.is_none());
    tokio::time::timeout(Duration::from_secs(10), service.ended()).await.unwrap().unwrap();
}
