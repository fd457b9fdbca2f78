//! A store that comes back: what was used meanwhile counts.

use std::time::Duration;

use cellgate_limit_store::WhenStoreFails::Local;
use cellgate_limit_store::{Judge, StoreFailure};
use cellgate_tests::tcp_proxy::{TcpProxy, Traffic};
use cellgate_tests::valkey::{ServerOptions, Valkey};
use cellgate_tests::wait;

use crate::support::{ask, available, charge, connected, costs, settings, unavailable};

/// A store behind a proxy that can part them.
async fn parted() -> (Valkey, TcpProxy, cellgate_limit_store::LimitStore) {
    let server = Valkey::start(ServerOptions::new()).await.unwrap();
    let proxy = TcpProxy::start(server.address().unwrap()).await.unwrap();
    let mut two = settings(proxy.address());
    two.replicas = 2;
    let store = connected(two).await;
    (server, proxy, store)
}

#[tokio::test]
async fn units_used_locally_are_charged_to_the_store_once() {
    let (_server, proxy, store) = parted().await;
    let one = charge("a", "10/30d", Local);
    assert_eq!(ask(&store, costs(one, 3)).await, (true, Judge::Store, Some(7)));

    proxy.set_traffic(Traffic::Hold);
    proxy.cut();
    unavailable(&store).await;
    for left in [4, 3, 2, 1] {
        assert_eq!(ask(&store, one).await, (true, Judge::Local, Some(left)));
    }
    proxy.set_traffic(Traffic::Pass);
    available(&store).await;
    // 3 before, 4 meanwhile, 1 now. Other keys carry nothing.
    assert_eq!(ask(&store, charge("b", "10/30d", Local)).await, (true, Judge::Store, Some(9)));
    assert_eq!(ask(&store, one).await, (true, Judge::Store, Some(2)));
    assert_eq!(ask(&store, one).await, (true, Judge::Store, Some(1)));
    assert_eq!(store.stats().carried_units, 4);
}

#[tokio::test]
async fn a_request_that_is_refused_charges_what_was_used_locally_all_the_same() {
    let (_server, proxy, store) = parted().await;
    let one = charge("a", "10/30d", Local);
    assert_eq!(ask(&store, costs(one, 8)).await, (true, Judge::Store, Some(2)));
    proxy.set_traffic(Traffic::Hold);
    proxy.cut();
    unavailable(&store).await;
    assert_eq!(ask(&store, costs(one, 5)).await, (true, Judge::Local, Some(0)));
    proxy.set_traffic(Traffic::Pass);
    available(&store).await;
    // 13 of 10: at most the burst is in use, and nothing is left for a unit.
    assert_eq!(ask(&store, one).await, (false, Judge::Store, Some(0)));
    let (usage, now) = store.usage(one.charge.key).await.unwrap().unwrap();
    assert_eq!((usage.in_use(now), store.stats().carried_units), (10, 5));
    assert_eq!(ask(&store, one).await, (false, Judge::Store, Some(0)));
    assert_eq!(store.stats().carried_units, 5);
}

#[tokio::test]
async fn units_that_do_not_arrive_are_in_use_locally_again() {
    let (_server, proxy, store) = parted().await;
    drop(store);
    let mut two = settings(proxy.address());
    two.replicas = 2;
    two.deadline = Duration::from_millis(500);
    two.max_failures = 100;
    let store = connected(two).await;
    let one = charge("a", "10/30d", Local);
    // The answer is lost twice: the second time, it would have carried the unit of the first.
    proxy.set_traffic(Traffic::Hold);
    for left in [4, 3] {
        let decision = store.charge(&[one]).await;
        assert_eq!(decision.failure(), Some(&StoreFailure::Deadline));
        assert_eq!(decision.decision().outcomes()[0].remaining(), left);
    }
    assert_eq!(store.stats().carried_units, 0);
    proxy.set_traffic(Traffic::Pass);
    // The server has charged 1, then 1 and 1 carried. Now it is 2 carried and 1: more than was used, and never less.
    wait::until("an answer of the store", || async {
        let (is_admitted, judge, left) = ask(&store, one).await;
        Ok((judge == Judge::Store).then_some((is_admitted, left)))
    })
    .await
    .map(|answer| assert_eq!(answer, (true, Some(4))))
    .unwrap();
    assert_eq!(store.stats().carried_units, 2);
}
