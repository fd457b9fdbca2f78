//! The time of a check: `cargo bench -p cellgate-limit-store`. The last lines are the CPU time of a check in Redis, by process.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use cellgate_limit_store::{Clock, LimitStore, RedisAddress, RedisSettings, StoreCharge, WhenStoreFails};
use cellgate_limiting::{Charge, Enforcement, KeyHasher, LimitId};
use cellgate_tests::valkey::{ServerOptions, Valkey};
use divan::{Bencher, black_box};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

const CHECKS: u32 = 50_000;

/// A clock tick of Linux in `/proc`, in microseconds.
const TICK: u64 = 10_000;

fn main() {
    divan::main();
    if std::env::args().any(|argument| argument == "--bench") {
        cpu_time();
    }
}

/// Charges of limits that no benchmark uses up.
fn charges(count: u16, tenant: u64) -> Vec<StoreCharge> {
    let hasher = KeyHasher::new([7; 16]);
    let Ok(limit) = "1000000000/s".parse() else { return Vec::new() };
    let charge = |id: u16| {
        let key = hasher.key(&format!("limit-{id}"), [tenant.to_le_bytes().as_slice()]);
        Charge { id: LimitId(id), key, limit, cost: 1, enforcement: Enforcement::Enforce }
    };
    (0..count).map(|id| StoreCharge { charge: charge(id), when_store_fails: WhenStoreFails::Local }).collect()
}

/// In this process: the future is ready at once.
#[divan::bench(args = [1, 3], threads = [1, 2], sample_count = 2000)]
fn embedded(bencher: Bencher<'_, '_>, limits: u16) {
    let store = LimitStore::embedded(100_000, Clock::monotonic());
    let charges = charges(limits, 1);
    bencher.bench(|| {
        let charge = pin!(store.charge(black_box(&charges)));
        match charge.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(decision) => decision.is_admitted(),
            Poll::Pending => false,
        }
    });
}

/// One check after another: the latency.
#[divan::bench(args = [1, 3], sample_count = 2000, sample_size = 1)]
fn redis(bencher: Bencher<'_, '_>, limits: u16) {
    let (runtime, server, store) = connected();
    let charges = charges(limits, 1);
    bencher.bench_local(|| runtime.block_on(store.charge(black_box(&charges))).is_admitted());
    drop((store, server));
}

/// 64 checks at a time, for each of which this is the time.
#[divan::bench(args = [1, 3], sample_count = 100)]
fn redis_64_at_a_time(bencher: Bencher<'_, '_>, limits: u16) {
    let (runtime, server, store) = connected();
    bencher.counter(64_u32).bench_local(|| runtime.block_on(many(&store, limits, 64, 1)));
    drop((store, server));
}

/// A store that is connected to a server on this machine.
fn connected() -> (Runtime, Valkey, LimitStore) {
    let opened = Runtime::new().and_then(|runtime| {
        let (server, store) = runtime.block_on(async {
            let server = Valkey::start(ServerOptions::new()).await.map_err(std::io::Error::other)?;
            let address = server.address().map_err(std::io::Error::other)?;
            let address = RedisAddress { host: address.ip().to_string(), port: address.port() };
            let settings = RedisSettings { deadline: std::time::Duration::from_secs(1), ..RedisSettings::new(address) };
            let store = LimitStore::redis(settings, Clock::monotonic()).map_err(std::io::Error::other)?;
            let mut health = store.health();
            health.wait_for(|health| health.state.is_available()).await.map_err(std::io::Error::other)?;
            Ok::<_, std::io::Error>((server, store))
        })?;
        Ok((runtime, server, store))
    });
    opened.unwrap_or_else(|error| {
        eprintln!("{error}");
        std::process::abort()
    })
}

async fn many(store: &LimitStore, limits: u16, tasks: u64, checks: u32) -> u32 {
    let mut set = JoinSet::new();
    for tenant in 0..tasks {
        let (store, charges) = (store.clone(), charges(limits, tenant));
        set.spawn(async move {
            let mut admitted = 0;
            for _ in 0..checks {
                admitted += u32::from(store.charge(&charges).await.is_admitted());
            }
            admitted
        });
    }
    set.join_all().await.iter().sum()
}

fn cpu_time() {
    for limits in [1, 3] {
        let (runtime, server, store) = connected();
        let server_cpu = || {
            let info = runtime.block_on(server.command(&["INFO", "cpu"])).unwrap_or_default();
            let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.parse::<f64>().ok());
            (field("used_cpu_user:").unwrap_or(0.0) + field("used_cpu_sys:").unwrap_or(0.0)) * 1e6
        };
        let before = (own_cpu(), server_cpu());
        let tasks = 32;
        let admitted = runtime.block_on(many(&store, limits, tasks, CHECKS / 32));
        let each = f64::from(admitted.max(1));
        // A process has used less CPU time than 2^53 ticks.
        let own = (own_cpu() - before.0) as f64 / each;
        let redis = (server_cpu() - before.1) / each;
        println!(
            "{limits} limits, {admitted} checks, {tasks} at a time: {own:.1} us here, {redis:.1} us in the server"
        );
        drop((store, server));
    }
}

/// Microseconds that this process has used.
fn own_cpu() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // User and system time are the 12th and the 13th field behind the name, which ends with a parenthesis.
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
    fields.filter_map(|field| field.parse::<u64>().ok()).sum::<u64>() * TICK
}
