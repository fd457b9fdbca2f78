//! Any order of calls, with a real store: nothing creates units.

use cellgate_limit_store::{Clock, LimitStore};
use cellgate_limiting::{
    Charge, Enforcement, LeaseCache, Limit, LimitId, LimitKey, Micros, StoreCharge, WhenStoreFails,
};
use proptest::prelude::*;

use super::*;
use crate::budget::Budget;
use crate::metrics::Metrics;

/// No allowance refills while a case runs.
const LIMIT: &str = "1/9d;burst=40";

const CONFIG: &str = "
routing_header: x-cell
cells: [a]
key: [{ header: x-tenant-id }]
placement: { default: a }
sync: { cluster: service }
rate_limits: [{ name: leased, key: [routing_key], limit: 1/9d;burst=40, lease: true }]
";

/// Something that happens. The first number is the cache.
#[derive(Clone, Copy, Debug)]
enum Event {
    Spend(usize, u64),
    /// A call whose answer is lost or not.
    Sync(usize, bool),
    /// A call whose client is gone after so many charges.
    Cancel(usize, usize),
    Close(usize),
    /// A request that the service decides.
    Request(u64),
    /// Seconds.
    Wait(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let cache = 0..2_usize;
    prop_oneof![
        4 => (cache.clone(), 1..4_u64).prop_map(|(cache, cost)| Event::Spend(cache, cost)),
        4 => (cache.clone(), any::<bool>()).prop_map(|(cache, is_lost)| Event::Sync(cache, is_lost)),
        1 => (cache.clone(), 0..2_usize).prop_map(|(cache, charges)| Event::Cancel(cache, charges)),
        1 => cache.prop_map(Event::Close),
        2 => (1..4_u64).prop_map(Event::Request),
        2 => (1..8_u64).prop_map(Event::Wait),
    ]
}

/// A service with a store in memory, and two caches.
struct World {
    state: SyncState,
    metrics: Metrics,
    limits: LimitStore,
    caches: Vec<LeaseCache>,
    clock: Clock,
    key: LimitKey,
    /// Units that requests have spent.
    spent: u64,
    /// Of these, units that the service has charged for its own requests.
    direct: u64,
    _directory: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cellgate.yaml");
        std::fs::write(&path, CONFIG).unwrap();
        let metrics = Metrics::new().unwrap();
        let store = Arc::new(Store::open(&path, metrics.clone()).unwrap());
        let settings = crate::limiter::LimitStoreSettings::Embedded { max_keys: 100 };
        let limiter =
            Limiter::new(settings, [7; 16], metrics.rate_limits().clone(), metrics.settlements().clone(), false)
                .unwrap();
        let decider = store.decider();
        let leases = Leases::new(&LeaseOrigin {
            epoch: 9,
            hasher: *limiter.hasher(),
            is_store_shared: false,
            settings: LeaseSettings { term: Duration::from_secs(10), interval: Duration::from_secs(1) },
            config: decider.config(),
        });
        metrics.leases().observe(leases.clone());
        let caches = (1..=2).map(|vm| LeaseCache::new(vm, decider.config().rate_limits_fingerprint)).collect();
        let limits = limiter.store().clone();
        let key = limiter.hasher().key("leased", [b"acme".as_slice()]);
        let state = SyncState { store, limiter, leases, metrics: metrics.leases().clone(), tracing: None };
        let clock = Clock::monotonic();
        Self { state, metrics, limits, caches, clock, key, spent: 0, direct: 0, _directory: directory }
    }

    fn now(&self) -> Micros {
        self.clock.now().after(1)
    }

    fn charge(&self, cost: u64) -> Charge {
        let limit: Limit = LIMIT.parse().unwrap();
        Charge { id: LimitId(0), key: self.key, limit, cost, enforcement: Enforcement::Enforce }
    }

    /// The charge as the store has it.
    fn stored(&self, charge: Charge) -> StoreCharge {
        StoreCharge { charge: self.state.limiter.stored("leased", charge), when_store_fails: WhenStoreFails::Deny }
    }

    async fn call(&self, report: Report) -> Option<cellgate_limiting::Answer> {
        let (_, answer) = self.state.exchange(Ok(report), Instant::now() + DEADLINE).await;
        answer.ok().map(|answer| cellgate_limiting::Answer::try_from(&answer).unwrap())
    }

    async fn happen(&mut self, event: Event) {
        let now = self.now();
        match event {
            Event::Spend(cache, cost) => {
                let charge = self.charge(cost);
                if self.caches[cache].spend(&[charge], now) {
                    self.spent += cost;
                }
            }
            Event::Sync(cache, is_lost) => {
                let report = self.caches[cache].report(now);
                let answer = self.call(report).await;
                if let Some(answer) = answer.filter(|_| !is_lost) {
                    self.caches[cache].apply(&answer, now);
                }
            }
            Event::Cancel(cache, charges) => {
                let report = self.caches[cache].report(now);
                self.cancel(&report, charges).await;
            }
            Event::Close(cache) => {
                let report = self.caches[cache].close(now);
                self.call(report).await;
            }
            Event::Request(cost) => {
                let charge = self.stored(self.charge(cost));
                if self.limits.charge(&[charge]).await.is_admitted() {
                    self.spent += cost;
                    self.direct += cost;
                }
            }
            Event::Wait(seconds) => tokio::time::advance(Duration::from_secs(seconds)).await,
        }
    }

    /// A call that ends after some of its charges.
    async fn cancel(&self, report: &Report, charges: usize) {
        let mut turn = self.state.leases.begin(report, &self.state.store, &self.state.metrics);
        let remaining = vec![40; turn.probes().len()];
        for (place, charge) in turn.share(&remaining).into_iter().enumerate().take(charges) {
            if let Some(charged) = self.limits.charge(&[self.stored(charge)]).await.charged().next().flatten() {
                turn.charged(place, &charge, charged.at());
            }
        }
    }

    /// A metric of all its labels.
    fn metric(&self, name: &str) -> u64 {
        let text = String::from_utf8(self.metrics.render(&Budget::new(0)).unwrap()).unwrap();
        let values = text.lines().filter_map(|line| line.strip_prefix(name)?.rsplit(' ').next()?.parse::<u64>().ok());
        values.sum()
    }

    async fn check(&self) {
        let usage = self.limits.usage(self.stored(self.charge(0)).charge.key).await.unwrap();
        let in_use = usage.map_or(0, |(usage, now)| usage.in_use(now));
        let held: u64 = self.caches.iter().map(|cache| cache.stats().units).sum();
        let (granted, refunded) =
            (self.metric("cellgate_lease_granted_units_total"), self.metric("cellgate_lease_refunded_units_total"));
        let outstanding = self.metric("cellgate_lease_outstanding_units");
        assert!(in_use >= self.spent + held, "{in_use} units are charged, {} spent and {held} held", self.spent);
        // Each refund is rounded down by less than a unit.
        let charged = self.direct + granted - refunded;
        assert!((charged..=charged + refunded).contains(&in_use), "{in_use} units are charged, {charged} were granted");
        assert!(outstanding <= 20, "{outstanding} units are out, of a burst of 40");
        assert!(self.spent <= 40, "{} units were spent of a burst that does not refill", self.spent);
    }
}

proptest! {
    #[test]
    fn what_is_charged_covers_what_is_spent_and_held(events in prop::collection::vec(event(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            for event in events {
                world.happen(event).await;
                world.check().await;
            }
        });
    }
}
