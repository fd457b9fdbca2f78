//! Fairness: a tenant far over its limit does not hurt the others.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use cellgate_tests::client::{Http1, Request};
use cellgate_tests::options::Options;
use cellgate_tests::stack::Stack;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::support::{arrived, key_first};

/// Units a second for each tenant.
const RATE: u32 = 20;

/// Units at once.
const BURST: u32 = 20;

/// The noisy tenant sends this many times its limit.
const NOISE: u32 = 50;

/// How long the traffic of one measurement lasts.
const SECONDS: u32 = 4;

/// Tenants beside the noisy one. All are in the noisy one's cell.
const OTHERS: [&str; 3] = ["initech", "other", "more"];

/// Requests a second of each of the others: half of their limit.
const CALM: u32 = RATE / 2;

/// The answers of a client.
#[derive(Default)]
struct Tally {
    statuses: Vec<u16>,
    times: Vec<Duration>,
}

impl Tally {
    fn count(&self, status: u16) -> usize {
        self.statuses.iter().filter(|found| **found == status).count()
    }
}

/// Sends `count` requests of a tenant, one for each period of `tick`, on one connection.
async fn client(address: SocketAddr, tenant: &'static str, count: u32, mut tick: Interval) -> Tally {
    let request = Request::post("/").json(key_first(tenant, 500));
    let mut connection = Http1::connect(address).await.unwrap();
    let mut tally = Tally::default();
    for _ in 0..count {
        tick.tick().await;
        let start = Instant::now();
        let answer = connection.send(&request).await.unwrap();
        tally.times.push(start.elapsed());
        tally.statuses.push(answer.status.as_u16());
        if answer.header("connection") == Some("close") {
            connection = Http1::connect(address).await.unwrap();
        }
    }
    tally
}

/// The traffic of the others. Their tallies together.
async fn others(address: SocketAddr) -> Tally {
    let mut clients = JoinSet::new();
    for tenant in OTHERS {
        let mut tick = interval(Duration::from_secs(1) / CALM);
        // After a slow answer a client must not exceed its limit.
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        clients.spawn(client(address, tenant, CALM * SECONDS, tick));
    }
    together(clients).await
}

/// The traffic of the noisy tenant, on ten connections.
async fn noise(address: SocketAddr) -> Tally {
    const CONNECTIONS: u32 = 10;
    let each = RATE * NOISE / CONNECTIONS;
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        clients.spawn(client(address, "noisy", each * SECONDS, interval(Duration::from_secs(1) / each)));
    }
    together(clients).await
}

async fn together(mut clients: JoinSet<Tally>) -> Tally {
    let mut all = Tally::default();
    while let Some(tally) = clients.join_next().await {
        let tally = tally.unwrap();
        all.statuses.extend(tally.statuses);
        all.times.extend(tally.times);
    }
    all
}

fn p99(tally: &Tally) -> f64 {
    let mut times = tally.times.clone();
    times.sort_unstable();
    let last = times.len() * 99 / 100;
    times[last.min(times.len() - 1)].as_secs_f64() * 1_000.0
}

/// The times are printed and not asserted: they depend on the machine.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_at_fifty_times_its_limit_does_not_hurt_the_others() {
    let limit = format!("{RATE}/s;burst={BURST}");
    let options = Options::default().configure(|config| {
        config["rate_limits"] = json!([{"name": "per-tenant", "key": ["routing_key"], "limit": limit}]);
    });
    let stack = Stack::start(options).await;
    let address = stack.address();
    let cell_of = async |tenant: &'static str| {
        let answer = stack.post_json("/", key_first(tenant, 500)).await;
        answer.served_by().map(str::to_owned)
    };
    let cell = cell_of("noisy").await;
    for tenant in OTHERS {
        assert_eq!(cell_of(tenant).await, cell, "{tenant} is in another cell");
    }
    let alone = others(address).await;

    let start = Instant::now();
    let (beside, noisy) = tokio::join!(others(address), noise(address));
    let took = start.elapsed();

    let admitted = noisy.count(200);
    println!(
        "p99 of the others: {:.1} ms alone, {:.1} ms beside a tenant at {NOISE} times its limit, which had {admitted} of \
         {} requests admitted in {:.1} s",
        p99(&alone),
        p99(&beside),
        noisy.statuses.len(),
        took.as_secs_f64(),
    );
    assert_eq!((alone.count(200), beside.count(200)), (alone.statuses.len(), beside.statuses.len()));
    assert_eq!(admitted + noisy.count(429), noisy.statuses.len());
    // The clock of the bound starts before the first request and stops after the last answer.
    let bound = f64::from(BURST) + f64::from(RATE) * took.as_secs_f64();
    assert!(f64::from(u32::try_from(admitted).unwrap()) <= bound, "{admitted} were admitted, {bound} is the bound");
    let of_others = alone.statuses.len() + beside.statuses.len() + OTHERS.len() + 1;
    assert_eq!(arrived(&stack), u64::try_from(of_others + admitted).unwrap(), "the cell has received what was refused");
    assert!(noisy.count(429) > 0, "the tenant was not over its limit");
}
