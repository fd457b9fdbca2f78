//! A cluster runs each script at most once, also if its answer is lost, and follows slots that move.

use cellgate_limit_store::WhenStoreFails::{Deny, Local};
use cellgate_limit_store::{Atomicity, Judge, LimitStore, RedisSettings, Topology};
use cellgate_tests::tcp_proxy::{TcpProxy, Traffic};
use cellgate_tests::valkey::{ServerOptions, Valkey, cluster};
use cellgate_tests::wait;

use crate::support::{ask, available, charge, connected, costs, key, settings};

async fn in_use(store: &LimitStore, name: &str) -> u64 {
    store.usage(key("limit", name)).await.unwrap().map_or(0, |(usage, now)| usage.in_use(now))
}

/// The names of the keys of limits on a node.
async fn names(node: &Valkey) -> Vec<String> {
    let names = node.command(&["KEYS", "*"]).await.unwrap();
    names.split_whitespace().filter(|name| !name.ends_with("probe")).map(ToOwned::to_owned).collect()
}

/// The client of the cluster sent a script again after its connection was lost, so a refund was made twice.
#[tokio::test]
async fn a_refund_whose_connection_is_cut_is_made_once() {
    // The port that the node announces is the proxy's.
    let proxy = TcpProxy::start("127.0.0.1:9".parse().unwrap()).await.unwrap();
    let port = proxy.address().port().to_string();
    let bus = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let options = ServerOptions::new()
        .option("cluster-enabled", ["yes"])
        .option("cluster-port", [bus.as_str()])
        .option("cluster-announce-ip", ["127.0.0.1"])
        .option("cluster-announce-port", [port.as_str()]);
    let node = Valkey::start(options).await.unwrap();
    proxy.lead_to(node.address().unwrap());
    node.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await.unwrap();
    wait::until("the cluster", || async {
        Ok(node.command(&["CLUSTER", "INFO"]).await?.contains("cluster_state:ok").then_some(()))
    })
    .await
    .unwrap();
    let topology = Topology::Cluster(Atomicity::Domain);
    let store = connected(RedisSettings { topology, ..settings(proxy.address()) }).await;
    let request = costs(charge("acme", "100/30d", Local), 10);
    let decision = store.charge(&[request]).await;
    let first = decision.charged().next().unwrap().unwrap();
    assert!(store.charge(&[request]).await.is_admitted() && store.charge(&[request]).await.is_admitted());
    assert_eq!(in_use(&store, "acme").await, 30);
    let name = names(&node).await.remove(0);
    let value = || async { node.command(&["GET", &name]).await };
    let charged = value().await.unwrap();

    // The server knows the script from now on.
    store.refund(&first, 0).await;
    // Answers are held, so that the refund is made and its answer lost.
    proxy.set_traffic(Traffic::Hold);
    let refunding = tokio::spawn({
        let store = store.clone();
        async move { store.refund(&first, 10).await }
    });
    wait::until("the refund in the server", || async { Ok((value().await? != charged).then_some(())) }).await.unwrap();
    proxy.set_traffic(Traffic::Pass);
    proxy.cut();
    refunding.await.unwrap();
    available(&store).await;
    assert_eq!(in_use(&store, "acme").await, 20, "30 charged, 10 refunded");
}

#[tokio::test]
async fn a_slot_that_moves_is_followed() {
    let nodes = cluster().await.unwrap();
    let one = settings(nodes[0].address().unwrap());
    let store = connected(RedisSettings { topology: Topology::Cluster(Atomicity::Domain), ..one }).await;
    let (old, new) = (charge("old", "3/30d", Deny), charge("new", "3/30d", Deny));
    assert_eq!(ask(&store, old).await, (true, Judge::Store, Some(2)));
    let mut place = 0;
    while names(&nodes[place]).await.is_empty() {
        place += 1;
    }
    let (source, target) = (&nodes[place], &nodes[(place + 1) % 3]);
    let name = names(source).await.remove(0);
    let slot = source.command(&["CLUSTER", "KEYSLOT", &name]).await.unwrap();
    let (from, to) =
        (source.command(&["CLUSTER", "MYID"]).await.unwrap(), target.command(&["CLUSTER", "MYID"]).await.unwrap());
    target.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from]).await.unwrap();
    source.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to]).await.unwrap();
    // ASK
    assert_eq!(ask(&store, new).await, (true, Judge::Store, Some(2)));
    assert_eq!(names(target).await.len(), 1);
    assert_eq!(ask(&store, old).await, (true, Judge::Store, Some(1)));

    let port = target.address().unwrap().port().to_string();
    // The key of the probe has the slot too.
    let names = source.command(&["CLUSTER", "GETKEYSINSLOT", &slot, "10"]).await.unwrap();
    assert!(names.contains(&name), "{names}");
    for name in names.split_whitespace() {
        source.command(&["MIGRATE", "127.0.0.1", &port, name, "0", "5000"]).await.unwrap();
    }
    target.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &to]).await.unwrap();
    source.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &to]).await.unwrap();
    // MOVED
    assert_eq!(ask(&store, old).await, (true, Judge::Store, Some(0)));
    assert_eq!(ask(&store, new).await, (true, Judge::Store, Some(1)));
}
