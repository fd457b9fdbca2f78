//! A store that is gone: each limit answers as its setting says, and at once.

use cellgate_limit_store::WhenStoreFails::{Allow, Deny, Local};
use cellgate_limit_store::{Judge, StoreFailure, StoreState};
use cellgate_tests::ports::ClosedPort;
use cellgate_tests::valkey::{ServerOptions, Valkey};
use cellgate_tests::wait;

use crate::support::{ask, available, charge, open, settings, unavailable};

#[tokio::test]
async fn without_a_server_limits_allow_deny_or_count_their_share() {
    let closed = ClosedPort::take().unwrap();
    let mut two = settings(closed.address().unwrap());
    two.replicas = 2;
    let store = open(two);
    // Also before the first attempt has failed.
    assert_eq!(store.health().borrow().state, StoreState::Connecting);
    assert_eq!(ask(&store, charge("a", "1/h", Allow)).await, (true, Judge::Allowed, None));
    unavailable(&store).await;
    for _ in 0..3 {
        assert_eq!(ask(&store, charge("a", "1/h", Allow)).await, (true, Judge::Allowed, None));
        assert_eq!(ask(&store, charge("a", "1/h", Deny)).await, (false, Judge::Denied, None));
    }
    for left in [4, 3, 2, 1, 0] {
        assert_eq!(ask(&store, charge("a", "10/h", Local)).await, (true, Judge::Local, Some(left)));
    }
    let refused = store.charge(&[charge("a", "10/h", Local)]).await;
    // A unit of the share comes back in 12 minutes.
    assert_eq!((refused.is_admitted(), refused.retry_after()), (false, Some(720)));
    assert_eq!(refused.failure(), Some(&StoreFailure::Unavailable));
    let stats = store.stats();
    assert_eq!((stats.judged.allowed, stats.judged.denied, stats.judged.local, stats.judged.store), (4, 3, 6, 0));
    assert_eq!((stats.failures.unavailable, stats.opens, stats.closes), (13, 0, 0));
}

#[tokio::test]
async fn a_settlement_of_local_units_stays_local_and_one_with_the_store_is_lost() {
    let mut server = Valkey::start(ServerOptions::new()).await.unwrap();
    let store = crate::support::connected(settings(server.address().unwrap())).await;
    let one = charge("a", "10/h", Local);
    let decision = store.charge(&[one]).await;
    let in_store = decision.charged().next().flatten().unwrap();
    server.kill();
    unavailable(&store).await;
    assert_eq!(ask(&store, one).await, (true, Judge::Local, Some(9)));
    let decision = store.charge(&[one]).await;
    let local = decision.charged().next().flatten().unwrap();
    assert_eq!(store.refund(&local, 1).await, Some(1));
    assert_eq!(store.refund(&in_store, 1).await, None);
    assert_eq!(ask(&store, one).await, (true, Judge::Local, Some(8)));
    assert_eq!(store.stats().lost_refunds, 1);
    assert!(store.carry(&local, 5).await);
    assert!(!store.carry(&in_store, 5).await);
    assert_eq!(ask(&store, one).await, (true, Judge::Local, Some(2)));
    assert_eq!(store.usage(one.charge.key).await, Err(StoreFailure::Unavailable));
}

#[tokio::test]
async fn a_store_that_is_dropped_ends_its_connection() {
    let server = Valkey::start(ServerOptions::new()).await.unwrap();
    let store = open(settings(server.address().unwrap()));
    available(&store).await;
    let clients = || async {
        let list = server.command(&["CLIENT", "LIST"]).await?;
        Ok::<_, anyhow::Error>(list.lines().filter(|line| line.contains("lib-name=cellgate")).count())
    };
    assert_eq!(clients().await.unwrap(), 1);
    drop(store);
    wait::until("no connection", || async { Ok((clients().await? == 0).then_some(())) }).await.unwrap();
}
