//! Shared by all tests: settings, charges, waits.

use std::net::SocketAddr;
use std::time::Duration;

use cellgate_limit_store::{
    Clock, Judge, LimitStore, RedisAddress, RedisSettings, StoreCharge, StoreHealth, StoreState, WhenStoreFails,
};
use cellgate_limiting::{Charge, Enforcement, KeyHasher, LimitId, LimitKey};
use cellgate_tests::wait;

/// Settings for a server. The deadline is long: only tests of the deadline want to meet it on a busy machine.
pub(crate) fn settings(server: SocketAddr) -> RedisSettings {
    let address = RedisAddress { host: server.ip().to_string(), port: server.port() };
    RedisSettings { deadline: Duration::from_secs(5), ..RedisSettings::new(address) }
}

pub(crate) fn open(settings: RedisSettings) -> LimitStore {
    LimitStore::redis(settings, Clock::monotonic()).unwrap()
}

/// A store that is connected.
pub(crate) async fn connected(settings: RedisSettings) -> LimitStore {
    let store = open(settings);
    available(&store).await;
    store
}

/// Waits until the store answers.
pub(crate) async fn available(store: &LimitStore) {
    health(store, "an available store", |health| health.state.is_available()).await;
}

/// Waits until the store is unavailable, and returns the reason.
pub(crate) async fn unavailable(store: &LimitStore) -> String {
    let is_unavailable = |health: &StoreHealth| matches!(health.state, StoreState::Unavailable { .. });
    match health(store, "an unavailable store", is_unavailable).await.state {
        StoreState::Unavailable { reason } => reason,
        state => panic!("{state}"),
    }
}

async fn health(store: &LimitStore, what: &str, is_wanted: impl FnMut(&StoreHealth) -> bool) -> StoreHealth {
    let mut health = store.health();
    let wanted = async { Ok(health.wait_for(is_wanted).await.map(|health| health.clone())?) };
    match wait::within(what, wanted).await {
        Ok(health) => health,
        Err(error) => panic!("{error}: {}", store.health().borrow().state),
    }
}

/// A key of a limit.
pub(crate) fn key(limit: &str, value: &str) -> LimitKey {
    KeyHasher::new([7; 16]).key(limit, [value.as_bytes()])
}

/// A charge of one unit, of a key of its own for each name.
pub(crate) fn charge(name: &str, limit: &str, when_store_fails: WhenStoreFails) -> StoreCharge {
    let charge = Charge {
        id: LimitId(0),
        key: key("limit", name),
        limit: limit.parse().unwrap(),
        cost: 1,
        enforcement: Enforcement::Enforce,
    };
    StoreCharge { charge, when_store_fails }
}

pub(crate) fn costs(charge: StoreCharge, cost: u64) -> StoreCharge {
    StoreCharge { charge: Charge { cost, ..charge.charge }, ..charge }
}

pub(crate) fn shadow(charge: StoreCharge) -> StoreCharge {
    StoreCharge { charge: Charge { enforcement: Enforcement::Shadow, ..charge.charge }, ..charge }
}

/// Whether one charge is admitted, who says so, and what is left.
pub(crate) async fn ask(store: &LimitStore, charge: StoreCharge) -> (bool, Judge, Option<u32>) {
    let decision = store.charge(&[charge]).await;
    let left = decision.decision().outcomes().first().map(|outcome| outcome.remaining());
    (decision.is_admitted(), decision.judges()[0], left)
}
