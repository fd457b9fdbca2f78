//! Servers that lose their scripts, their data, or their role.

use cellgate_limit_store::{Judge, RedisSettings, WhenStoreFails::Deny};
use cellgate_tests::tcp_proxy::TcpProxy;
use cellgate_tests::valkey::{ServerOptions, Valkey};
use cellgate_tests::wait;

use crate::support::{ask, available, charge, connected, settings, unavailable};

#[tokio::test]
async fn flushed_scripts_are_sent_again_and_no_request_notices() {
    let server = Valkey::start(ServerOptions::new()).await.unwrap();
    let store = connected(settings(server.address().unwrap())).await;
    for left in [9, 8, 7] {
        server.command(&["SCRIPT", "FLUSH"]).await.unwrap();
        assert_eq!(ask(&store, charge("a", "10/h", Deny)).await, (true, Judge::Store, Some(left)));
    }
    assert_eq!((store.stats().opens, store.stats().judged.store), (0, 3));
}

#[tokio::test]
async fn a_server_that_restarts_is_used_again() {
    let mut server = Valkey::start(ServerOptions::new()).await.unwrap();
    let store = connected(settings(server.address().unwrap())).await;
    assert_eq!(ask(&store, charge("a", "10/h", Deny)).await, (true, Judge::Store, Some(9)));
    server.kill();
    // No request is needed to notice.
    let reason = unavailable(&store).await;
    assert!(reason.contains("closed the connection") || reason.contains("refuses connections"), "{reason}");
    let decision = store.charge(&[charge("a", "10/h", Deny)]).await;
    assert!(decision.is_denied() && decision.store_time().is_none());

    server.restart().await.unwrap();
    available(&store).await;
    // What it had is lost: it keeps nothing on disk.
    assert_eq!(ask(&store, charge("a", "10/h", Deny)).await, (true, Judge::Store, Some(9)));
    let stats = store.stats();
    assert_eq!((stats.opens, stats.closes, stats.judged.denied, stats.failures.unavailable), (1, 2, 1, 1));
}

/// The client reaches the servers by one name: the proxy is that name.
#[tokio::test]
async fn a_replica_that_takes_over_has_what_was_used() {
    let mut primary = Valkey::start(ServerOptions::new()).await.unwrap();
    let replica = Valkey::start(ServerOptions::new()).await.unwrap();
    let port = primary.address().unwrap().port().to_string();
    replica.command(&["REPLICAOF", "127.0.0.1", &port]).await.unwrap();
    let name = TcpProxy::start(primary.address().unwrap()).await.unwrap();
    let store = connected(settings(name.address())).await;
    for left in [9, 8, 7] {
        assert_eq!(ask(&store, charge("a", "10/30d", Deny)).await, (true, Judge::Store, Some(left)));
    }
    let key = format!("{{cellgate:limit:}}{}", charge("a", "10/h", Deny).charge.key);
    let usage = primary.command(&["GET", &key]).await.unwrap();
    wait::until("replication", || async { Ok((replica.command(&["GET", &key]).await? == usage).then_some(())) })
        .await
        .unwrap();

    primary.kill();
    name.lead_to(replica.address().unwrap());
    // As long as it is a replica, it takes no writes.
    let reason = wait::until("a replica that refuses", || async {
        Ok(Some(unavailable(&store).await).filter(|reason| reason.contains("READONLY") || reason.contains("replica")))
    });
    let reason = reason.await.unwrap();
    assert!(ask(&store, charge("a", "10/30d", Deny)).await == (false, Judge::Denied, None), "{reason}");
    replica.command(&["REPLICAOF", "NO", "ONE"]).await.unwrap();
    available(&store).await;
    assert_eq!(ask(&store, charge("a", "10/30d", Deny)).await, (true, Judge::Store, Some(6)));
}

/// The old primary lives on as a replica: its connection does not end.
#[tokio::test]
async fn a_primary_that_becomes_a_replica_is_left_at_once() {
    let old = Valkey::start(ServerOptions::new()).await.unwrap();
    let new = Valkey::start(ServerOptions::new()).await.unwrap();
    let name = TcpProxy::start(old.address().unwrap()).await.unwrap();
    // Not by the number of its failures.
    let store = connected(RedisSettings { max_failures: 1_000_000, ..settings(name.address()) }).await;
    assert!(ask(&store, charge("a", "10/h", Deny)).await.0);
    let port = new.address().unwrap().port().to_string();
    old.command(&["REPLICAOF", "127.0.0.1", &port]).await.unwrap();
    assert_eq!(ask(&store, charge("a", "10/h", Deny)).await, (false, Judge::Denied, None));
    unavailable(&store).await;
    name.lead_to(new.address().unwrap());
    available(&store).await;
    assert_eq!(ask(&store, charge("a", "10/h", Deny)).await.1, Judge::Store);
}
