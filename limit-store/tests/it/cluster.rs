//! A cluster of three nodes.

use cellgate_limit_store::WhenStoreFails::{Deny, Local};
use cellgate_limit_store::{Atomicity, Judge, LimitStore, RedisSettings, StoreFailure, StoreState, Topology};
use cellgate_tests::process::Signal;
use cellgate_tests::valkey::{Valkey, cluster};
use cellgate_tests::wait;

use crate::support::{ask, charge, connected, settings};

async fn clustered(nodes: &[Valkey; 3], atomicity: Atomicity) -> LimitStore {
    let one = settings(nodes[0].address().unwrap());
    connected(RedisSettings { topology: Topology::Cluster(atomicity), ..one }).await
}

/// How many keys of limits each node has.
async fn spread(nodes: &[Valkey; 3]) -> [usize; 3] {
    let mut counts = [0; 3];
    for (count, node) in counts.iter_mut().zip(nodes) {
        let keys = node.command(&["KEYS", "*"]).await.unwrap();
        *count = keys.split_whitespace().filter(|key| !key.ends_with("probe")).count();
    }
    counts
}

#[tokio::test]
async fn with_domain_all_keys_are_on_one_node_and_are_charged_together_or_not() {
    let nodes = cluster().await.unwrap();
    let store = clustered(&nodes, Atomicity::Domain).await;
    let charges: Vec<_> = (0..20).map(|name| charge(&name.to_string(), "2/30d", Deny)).collect();
    assert!(store.charge(&charges).await.is_admitted());
    let mut spread = spread(&nodes).await;
    spread.sort_unstable();
    assert_eq!(spread, [0, 0, 20]);

    let small = charge("small", "1/30d", Deny);
    assert!(store.charge(&[small]).await.is_admitted());
    assert!(!store.charge(&[charges[0], small]).await.is_admitted());
    assert_eq!(ask(&store, charges[0]).await, (true, Judge::Store, Some(0)));
    // Scripts may be forgotten on any node.
    for node in &nodes {
        node.command(&["SCRIPT", "FLUSH"]).await.unwrap();
    }
    assert_eq!(ask(&store, charges[1]).await, (true, Judge::Store, Some(0)));
}

#[tokio::test]
async fn with_key_all_nodes_have_keys_and_a_refused_request_is_refunded() {
    let nodes = cluster().await.unwrap();
    let store = clustered(&nodes, Atomicity::Key).await;
    let charges: Vec<_> = (0..30).map(|name| charge(&name.to_string(), "3/30d", Deny)).collect();
    let admitted = store.charge(&charges).await;
    assert!(admitted.is_admitted() && admitted.judges().iter().all(|judge| *judge == Judge::Store));
    let places: Vec<_> = admitted.decision().outcomes().iter().map(|outcome| outcome.charge().key).collect();
    assert_eq!(places, charges.iter().map(|charge| charge.charge.key).collect::<Vec<_>>());
    assert!(spread(&nodes).await.iter().all(|count| *count > 0));

    let small = charge("small", "1/30d", Deny);
    assert!(store.charge(&[small]).await.is_admitted());
    assert!(!store.charge(&[charges[0], small, charges[1]]).await.is_admitted());
    for charge in &charges[..2] {
        wait::until("the refund", || async {
            let (usage, now) = store.usage(charge.charge.key).await?.unwrap();
            Ok((usage.in_use(now) == 1).then_some(()))
        })
        .await
        .unwrap();
    }
    // A key that is named twice is judged once, for both.
    let twice = store.charge(&[charges[0], charges[1], charges[0]]).await;
    let left: Vec<_> = twice.decision().outcomes().iter().map(|outcome| outcome.remaining()).collect();
    assert_eq!((twice.is_admitted(), left), (true, vec![1, 1, 0]));
}

#[tokio::test]
async fn with_key_a_node_that_is_gone_fails_its_own_keys_only() {
    let mut nodes = cluster().await.unwrap();
    for node in &nodes {
        node.command(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]).await.unwrap();
    }
    let store = clustered(&nodes, Atomicity::Key).await;
    let charges: Vec<_> = (0..30).map(|name| charge(&name.to_string(), "100/30d", Local)).collect();
    assert!(store.charge(&charges).await.is_admitted());
    let gone = spread(&nodes).await[2];
    nodes[2].kill();
    let decision = wait::until("local answers for one node's keys", || async {
        let decision = store.charge(&charges).await;
        assert!(decision.is_admitted());
        let local = decision.judges().iter().filter(|judge| **judge == Judge::Local).count();
        Ok((local == gone).then_some(decision))
    });
    assert!(decision.await.unwrap().failure().is_some());
}

#[tokio::test]
async fn with_key_a_node_that_is_stopped_soon_delays_nobody() {
    let nodes = cluster().await.unwrap();
    for node in &nodes {
        node.command(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]).await.unwrap();
    }
    let one = settings(nodes[0].address().unwrap());
    let deadline = std::time::Duration::from_millis(200);
    let topology = Topology::Cluster(Atomicity::Key);
    let store = connected(RedisSettings { topology, deadline, max_failures: 3, ..one }).await;
    let charges: Vec<_> = (0..30).map(|name| charge(&name.to_string(), "1000/30d", Local)).collect();
    assert!(store.charge(&charges).await.is_admitted());
    let stopped = spread(&nodes).await[1];
    nodes[1].signal(Signal::STOP).unwrap();

    let mut waited = 0;
    wait::until("an open circuit breaker", || async {
        let failure = store.charge(&charges).await.failure().cloned();
        Ok((failure == Some(StoreFailure::Unavailable)).then_some(()))
    })
    .await
    .unwrap();
    for _ in 0..50 {
        let decision = store.charge(&charges).await;
        let local = decision.judges().iter().filter(|judge| **judge == Judge::Local).count();
        assert!(decision.is_admitted() && local == stopped, "{local} of {stopped}");
        waited += u32::from(decision.failure() != Some(&StoreFailure::Unavailable));
    }
    // The client of the cluster may hold the requests of all nodes back while it looks for the one that is silent.
    assert!(waited <= 5, "{waited} of 50 requests waited");
    let mut health = store.health();
    let degraded = StoreState::Degraded { failed: 1, primaries: 3 };
    wait::within("a degraded store", async {
        Ok(health.wait_for(|health| health.state == degraded).await.map(|_| ())?)
    })
    .await
    .unwrap();

    nodes[1].signal(Signal::CONT).unwrap();
    wait::within("all nodes", async {
        Ok(health.wait_for(|health| health.state == StoreState::Available).await.map(|_| ())?)
    })
    .await
    .unwrap();
    wait::until("answers of all nodes", || async {
        let decision = store.charge(&charges).await;
        Ok(decision.judges().iter().all(|judge| *judge == Judge::Store).then_some(()))
    })
    .await
    .unwrap();
}
