//! The service's end of calls: the shipped ledger and the embedded store.

use std::collections::BTreeMap;

use cellgate_limiting::{
    Answer, ChargePoint, EmbeddedStore, KeyHasher, LeaseLedger, LeaseRules, LimitKey, Micros, Report,
};
use cellgate_proto::sync::{SyncRequest, SyncResponse};
use prost::Message;

pub(super) struct Service {
    ledger: LeaseLedger,
    store: EmbeddedStore,
    now: Micros,
    /// Units that were charged and not refunded, by key.
    charged: BTreeMap<LimitKey, u64>,
    interval: u64,
}

impl Service {
    pub(super) fn new(limits: &str) -> Self {
        let rules = LeaseRules {
            epoch: 9,
            configuration: 0,
            hasher: KeyHasher::new([7; 16]),
            term: 10_000_000,
            interval: 1_000_000,
            share_bits: 2,
            max_sessions: 10,
            max_keys: 1_000,
            is_store_shared: false,
        };
        let mut ledger = LeaseLedger::new(rules);
        let config = cellgate_config::from_json(&super::config(limits), "service").unwrap();
        ledger.set_configuration(config.rate_limits_fingerprint);
        let (store, now) = (EmbeddedStore::new(1_000), Micros::default());
        Self { ledger, store, now, charged: BTreeMap::new(), interval: 1_000_000 }
    }

    pub(super) fn set_interval(&mut self, micros: u64) {
        self.interval = micros;
    }

    /// The response to a call, at a time in nanoseconds.
    pub(super) fn answer(&mut self, call: &[u8], now: u64) -> Option<Vec<u8>> {
        self.now = Micros(now / 1_000);
        let report = Report::try_from(&SyncRequest::decode(call).unwrap()).unwrap();
        let mut turn = self.ledger.begin(&report, |_, _| true, self.now);
        for refund in turn.refunds() {
            self.store.refund(&refund.charge(), refund.units.into(), ChargePoint::at(refund.charged), self.now);
            *self.charged.entry(refund.key).or_default() -= u64::from(refund.units);
        }
        let probe = |charge| self.store.charge(&[charge], self.now).unwrap().outcomes()[0].remaining();
        let remaining: Vec<_> = turn.probes().into_iter().map(probe).collect();
        let mut made = Vec::new();
        for charge in self.ledger.share(&mut turn, &remaining) {
            let is_admitted = self.store.charge(&[charge], self.now).unwrap().is_admitted();
            *self.charged.entry(charge.key).or_default() += if is_admitted { charge.cost } else { 0 };
            made.push(is_admitted.then_some(self.now));
        }
        let answer = self.ledger.finish(&turn, &made).answer?;
        let answer = Answer { interval: self.interval, ..answer };
        Some(SyncResponse::from(&answer).encode_to_vec())
    }

    pub(super) fn outstanding(&mut self) -> u64 {
        self.ledger.stats(self.now).outstanding.values().sum()
    }

    /// Units that were charged and have not come back.
    pub(super) fn charged(&self) -> u64 {
        self.charged.values().sum()
    }

    /// Units in use in the store.
    pub(super) fn in_use(&self) -> u64 {
        self.charged.keys().filter_map(|key| self.store.usage(*key)).map(|usage| usage.in_use(self.now)).sum()
    }
}
