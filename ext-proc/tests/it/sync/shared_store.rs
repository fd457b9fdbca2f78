//! Leases on a real Valkey: two services share it, and it can hang.

use std::time::Duration;

use cellgate_ext_proc::LimitStoreSettings;
use cellgate_limit_store::{RedisAddress, RedisSettings};
use cellgate_limiting::Applied;
use cellgate_tests::process::Signal;
use cellgate_tests::valkey::{ServerOptions, Valkey};
use tokio::time::Instant;

use super::filter::Filter;
use super::{LEASED, in_use};
use crate::limits::LimitedService;
use crate::support::until;

/// A service on a store that it shares. It waits longer for the store than an answer may take, so that the breaker stays
/// closed.
async fn start(server: &Valkey) -> LimitedService {
    let address = server.address().unwrap();
    let address = RedisAddress { host: address.ip().to_string(), port: address.port() };
    let store = RedisSettings { deadline: Duration::from_secs(5), ..RedisSettings::new(address) };
    let limited = LimitedService::start_with(LEASED, |settings| {
        settings.limit_secret = Some([7; 16]);
        settings.limit_store = LimitStoreSettings::Redis(Box::new(store));
    })
    .await;
    until("the store is there", || async { limited.service.metric("cellgate_rate_limit_store_available").await == 1 })
        .await;
    limited
}

#[tokio::test]
async fn a_session_of_another_service_keeps_what_it_holds() {
    let server = Valkey::start(ServerOptions::new()).await.unwrap();
    let (first, second) = (start(&server).await, start(&server).await);
    let mut filter = Filter::connect(&first.service, LEASED).await;
    filter.sync().await;
    filter.spend("acme", 3);
    assert_eq!((filter.sync().await, filter.units()), (Applied::Taken, 6));
    assert!(filter.spend("acme", 4));
    filter.reconnect(&second.service).await;
    assert_eq!((filter.sync().await, filter.units()), (Applied::Kept, 2));
    assert_eq!(second.service.metric(r#"cellgate_syncs_total{result="elsewhere"}"#).await, 1);
    // Another filter of the second service shares the allowance.
    let mut other = Filter::connect(&second.service, LEASED).await;
    other.sync().await;
    other.spend("acme", 3);
    other.sync().await;
    assert_eq!((in_use(&first, "acme").await, in_use(&second, "acme").await), (12, 12));
    filter.reconnect(&first.service).await;
    filter.close().await;
    other.close().await;
    // Each part that came back is rounded down by less than a unit.
    assert!((4..=5).contains(&in_use(&second, "acme").await));
}

#[tokio::test]
async fn a_store_that_hangs_delays_an_answer_by_half_a_second_and_grants_nothing() {
    let server = Valkey::start(ServerOptions::new()).await.unwrap();
    let limited = start(&server).await;
    let mut filter = Filter::connect(&limited.service, LEASED).await;
    filter.sync().await;
    filter.spend("acme", 3);
    server.signal(Signal::STOP).unwrap();
    let begun = Instant::now();
    assert_eq!((filter.sync().await, filter.units()), (Applied::Taken, 0));
    let took = begun.elapsed();
    assert!((Duration::from_millis(500)..Duration::from_millis(2_000)).contains(&took), "{took:?}");

    // A client that is gone leaves no session busy: a report that comes again is answered.
    filter.spend("acme", 3);
    let report = filter.report();
    let gone = tokio::time::timeout(Duration::from_millis(100), filter.call(&report)).await;
    assert!(gone.is_err(), "{gone:?}");
    let answered = || async { filter.clone_call(&report).await.is_ok() };
    until("an answer to the report that was left", answered).await;

    server.signal(Signal::CONT).unwrap();
    until("the store answers", || async {
        limited.ask("GET", "/limits/leased?value=acme", crate::limits::TOKEN).await.0 == 200
    })
    .await;
    filter.spend("acme", 3);
    assert_eq!((filter.sync().await, filter.units()), (Applied::Taken, 6));
    assert_eq!(in_use(&limited, "acme").await, 6);
}

#[tokio::test]
async fn units_that_a_hanging_store_may_have_charged_or_not_refunded_are_lost() {
    let server = Valkey::start(ServerOptions::new()).await.unwrap();
    let limited = start(&server).await;
    let mut filter = Filter::connect(&limited.service, LEASED).await;
    filter.sync().await;
    filter.spend("acme", 3);
    filter.sync().await;
    server.signal(Signal::STOP).unwrap();
    filter.close().await;
    let lost = r#"cellgate_lease_lost_units_total{cause="call"}"#;
    assert_eq!(limited.service.metric(lost).await, 6);
    assert_eq!(limited.service.metric(r#"cellgate_lease_outstanding_units{limit="leased"}"#).await, 0);
    server.signal(Signal::CONT).unwrap();
}
