//! The cell of each tenant over time: some tenants stay, some move at every change or at every few changes.

use serde_json::{Map, Value, json};

/// The number of a configuration: 0 at the start, then one more for each change.
pub(crate) type Epoch = u64;

/// A tenant that moves at every change. Its cell shows which configuration a tier uses.
pub(crate) const PENDULUM: &str = "pendulum";

/// Additional exact keys, so that a change has a realistic cost.
const OTHERS: usize = 1000;

/// A tenant and its moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tenant {
    pub(crate) name: &'static str,
    homes: [&'static str; 2],
    /// The number of epochs between moves; 0 for a tenant that never moves.
    period: Epoch,
}

/// The tenants of the requests.
pub(crate) const TENANTS: [Tenant; 8] = [
    Tenant { name: "acme", homes: ["cell-b", "cell-b"], period: 0 },
    Tenant { name: "globex", homes: ["cell-c", "cell-c"], period: 0 },
    Tenant { name: "initech", homes: ["cell-a", "cell-a"], period: 0 },
    Tenant { name: "hooli", homes: ["cell-a", "cell-b"], period: 1 },
    Tenant { name: "umbrella", homes: ["cell-b", "cell-c"], period: 1 },
    Tenant { name: "wonka", homes: ["cell-c", "cell-a"], period: 2 },
    Tenant { name: "stark", homes: ["cell-a", "cell-c"], period: 5 },
    Tenant { name: "tyrell", homes: ["cell-b", "cell-a"], period: 30 },
];

const CELLS: [&str; 3] = ["cell-a", "cell-b", "cell-c"];

impl Tenant {
    /// Its cell in an epoch.
    pub(crate) fn home(&self, epoch: Epoch) -> &'static str {
        let moves = epoch.checked_div(self.period).unwrap_or(0);
        let [first, second] = self.homes;
        if moves.is_multiple_of(2) { first } else { second }
    }
}

/// The cell of [`PENDULUM`] in an epoch.
pub(crate) fn pendulum(epoch: Epoch) -> &'static str {
    if epoch.is_multiple_of(2) { "cell-a" } else { "cell-b" }
}

/// The configuration of an epoch, for both tiers.
pub(crate) fn config(epoch: Epoch, inspect_bytes: u32) -> Value {
    let mut exact: Map<String, Value> =
        (0..OTHERS).zip(CELLS.iter().cycle()).map(|(number, cell)| (format!("tenant-{number}"), json!(cell))).collect();
    exact.extend(TENANTS.iter().map(|tenant| (tenant.name.to_owned(), json!(tenant.home(epoch)))));
    exact.insert(PENDULUM.to_owned(), json!(pendulum(epoch)));
    json!({
        "version": version(epoch),
        "routing_header": "x-cell",
        "cells": CELLS,
        "key": [{"json": "/tenant/id"}, {"form": "tenant_id"}, {"header": "x-tenant-id"}],
        "placement": {"exact": exact},
        "limits": {"inspect_bytes": inspect_bytes},
    })
}

/// The label of an epoch's configuration.
pub(crate) fn version(epoch: Epoch) -> String {
    format!("soak-{epoch}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_match_the_configuration() {
        for epoch in [0, 1, 2, 5, 29, 30, 31] {
            let config = config(epoch, 65_536);
            for tenant in TENANTS {
                assert_eq!(config["placement"]["exact"][tenant.name], tenant.home(epoch), "{epoch}");
            }
            assert_eq!(config["placement"]["exact"][PENDULUM], pendulum(epoch));
        }
    }

    #[test]
    fn some_tenants_stay_and_some_move() {
        let homes = |name: &str, epochs: [Epoch; 4]| {
            let tenant = TENANTS.iter().find(|tenant| tenant.name == name).unwrap();
            epochs.map(|epoch| tenant.home(epoch))
        };
        assert_eq!(homes("acme", [0, 1, 2, 1000]), ["cell-b"; 4]);
        assert_eq!(homes("hooli", [0, 1, 2, 3]), ["cell-a", "cell-b", "cell-a", "cell-b"]);
        assert_eq!(homes("tyrell", [29, 30, 59, 60]), ["cell-b", "cell-a", "cell-a", "cell-b"]);
        assert_ne!(pendulum(7), pendulum(8));
    }
}
