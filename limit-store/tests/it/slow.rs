//! A store that is slow, silent or overloaded: no request waits longer than the deadline, and soon none waits at all.

use std::time::Duration;

use cellgate_limit_store::WhenStoreFails::{Allow, Local};
use cellgate_limit_store::{Judge, RedisSettings, StoreFailure};
use cellgate_tests::process::Signal;
use cellgate_tests::tcp_proxy::{TcpProxy, Traffic};
use cellgate_tests::valkey::{ServerOptions, Valkey};
use cellgate_tests::wait;
use tokio::time::Instant;

use crate::support::{ask, available, charge, connected, settings, unavailable};

/// Far more than the deadline, and far less than a server that is stopped takes.
const SOON: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_server_that_is_stopped_delays_few_requests_and_is_used_when_it_goes_on() {
    let server = Valkey::start(ServerOptions::new()).await.unwrap();
    let fast =
        RedisSettings { deadline: Duration::from_millis(300), max_failures: 3, ..settings(server.address().unwrap()) };
    let store = connected(fast).await;
    let one = charge("a", "1000/30d", Local);
    assert_eq!(ask(&store, one).await.1, Judge::Store);

    server.signal(Signal::STOP).unwrap();
    let mut waited = 0;
    let start = Instant::now();
    for _ in 0..200 {
        let decision = store.charge(&[one]).await;
        assert!(decision.is_admitted() && decision.judges() == [Judge::Local]);
        waited += u32::from(decision.failure() == Some(&StoreFailure::Deadline));
    }
    // The heartbeat may be one of the three.
    assert!((2..=3).contains(&waited), "{waited} requests waited");
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    let reason = unavailable(&store).await;
    assert!(reason.contains("did not answer within the deadline") || reason.contains("does not answer"), "{reason}");

    server.signal(Signal::CONT).unwrap();
    available(&store).await;
    wait::until("an answer of the store", || async { Ok((ask(&store, one).await.1 == Judge::Store).then_some(())) })
        .await
        .unwrap();
    let stats = store.stats();
    assert!(stats.opens >= 1 && stats.carried_units >= 200, "{stats:?}");
}

#[tokio::test]
async fn slow_answers_open_the_breaker_and_fast_ones_close_it() {
    let server = Valkey::start(ServerOptions::new()).await.unwrap();
    let proxy = TcpProxy::start(server.address().unwrap()).await.unwrap();
    let deadline = Duration::from_millis(200);
    let store = connected(RedisSettings { deadline, ..settings(proxy.address()) }).await;
    let one = charge("a", "1000/30d", Allow);
    proxy.set_traffic(Traffic::Delay(deadline * 3));
    let mut waited = 0;
    while store.charge(&[one]).await.failure() == Some(&StoreFailure::Deadline) {
        waited += 1;
    }
    // The heartbeat may be one of the five.
    assert!((4..=5).contains(&waited), "{waited} requests waited");
    let reason = unavailable(&store).await;
    assert!(reason.contains("did not answer within the deadline"), "{reason}");
    // A probe that is too slow leaves it open, though the connection works.
    let before = proxy.accepted();
    wait::until("two more probes", || async { Ok((proxy.accepted() >= before + 2).then_some(())) }).await.unwrap();
    assert_eq!(ask(&store, one).await, (true, Judge::Allowed, None));

    proxy.set_traffic(Traffic::Pass);
    available(&store).await;
    assert_eq!(ask(&store, one).await.1, Judge::Store);
}

#[tokio::test]
async fn a_silent_partition_is_noticed_without_requests() {
    let server = Valkey::start(ServerOptions::new()).await.unwrap();
    let proxy = TcpProxy::start(server.address().unwrap()).await.unwrap();
    let deadline = Duration::from_millis(200);
    let store = connected(RedisSettings { deadline, max_failures: 1, ..settings(proxy.address()) }).await;
    proxy.set_traffic(Traffic::Hold);
    unavailable(&store).await;
    assert_eq!(ask(&store, charge("a", "1/h", Allow)).await, (true, Judge::Allowed, None));
    proxy.set_traffic(Traffic::Pass);
    available(&store).await;
}

#[tokio::test]
async fn requests_in_flight_are_bounded() {
    let server = Valkey::start(ServerOptions::new()).await.unwrap();
    let proxy = TcpProxy::start(server.address().unwrap()).await.unwrap();
    let bounded = RedisSettings {
        deadline: Duration::from_secs(1),
        max_failures: 1_000,
        max_in_flight: 10,
        ..settings(proxy.address())
    };
    let store = connected(bounded).await;
    proxy.set_traffic(Traffic::Hold);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let store = store.clone();
        tasks.spawn(async move { store.charge(&[charge("a", "1000/h", Allow)]).await.failure().cloned() });
    }
    let failures = tasks.join_all().await;
    let count = |wanted: StoreFailure| failures.iter().filter(|failure| **failure == Some(wanted.clone())).count();
    assert_eq!((count(StoreFailure::Overloaded), count(StoreFailure::Deadline)), (40, 10));
    assert_eq!((store.stats().failures.overloaded, store.stats().failures.deadline), (40, 10));
}
