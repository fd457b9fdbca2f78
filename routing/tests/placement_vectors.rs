//! The test vectors of `docs/placement.md`. Other implementations, such as `scripts/placement_reference.py`, must agree with
//! them. `UPDATE=1` writes them from this implementation.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "helpers of tests")]

use std::path::PathBuf;

use cellgate_routing::CellId;
use cellgate_routing::placement::Slots;
use serde_json::{Value, json};
use xxhash_rust::xxh64::xxh64;

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/placement.json")
}

/// Texts of about the lengths at which XXH64 changes its algorithm.
fn hashes() -> Value {
    let long = "0123456789abcdef".repeat(6);
    let lengths = [0, 1, 3, 4, 5, 7, 8, 9, 12, 31, 32, 33, 63, 64, 67, 96];
    let seeds = [0, 7, (1 << 53) - 1];
    let case = |length: usize, seed: u64| {
        let text = &long[..length];
        json!({ "text": text, "seed": seed, "hash": format!("{:016x}", xxh64(text.as_bytes(), seed)) })
    };
    lengths.iter().flat_map(|length| seeds.iter().map(|seed| case(*length, *seed))).collect()
}

fn cases() -> Vec<Value> {
    let keys = ["acme", "globex", "a", "eu-", "eu-west-1", "eu-west-1a", "us", "Åland", "租户", "tenant 42", "0"];
    vec![
        json!({ "cells": ["cell-a", "cell-b", "cell-c"], "keys": keys, "placement": { "slots": { "count": 16384, "seed": 0 } } }),
        json!({ "cells": ["cell-a", "cell-b", "cell-c"], "keys": keys, "placement": {
            "slots": { "count": 1024, "seed": 7, "weights": { "cell-a": 1, "cell-b": 2, "cell-c": 0 } },
        } }),
        json!({ "cells": ["blue", "green"], "keys": keys, "placement": {
            "slots": { "count": 1000, "seed": 9_007_199_254_740_991_u64, "weights": { "blue": 1_000_000, "green": 1 } },
        } }),
        json!({ "cells": ["only"], "keys": keys, "placement": { "slots": { "count": 1, "seed": 1 } } }),
        json!({ "cells": ["a", "b", "c"], "keys": keys, "placement": {
            "overrides": { "acme": "b" },
            "exact": { "acme": "a", "globex": "c" },
            "prefixes": { "eu-": "a", "eu-west-1": "b", "Å": "c" },
            "slots": { "count": 64, "seed": 42 },
        } }),
        json!({ "cells": ["a", "b"], "keys": keys, "placement": { "prefixes": { "租": "b" }, "default": "a" } }),
        json!({ "cells": ["a"], "keys": keys, "placement": { "exact": { "acme": "a" } } }),
    ]
}

/// A case with the results of this implementation.
fn with_results(mut case: Value) -> Value {
    let text = json!({
        "routing_header": "x-cell",
        "cells": case["cells"],
        "key": [{ "json": "/t" }],
        "placement": case["placement"],
    });
    let config = cellgate_config::from_json(&text.to_string(), "vectors").unwrap();
    let slots = config.placement.slots();
    if !slots.owners().is_empty() {
        let table: String = slots.owners().iter().map(|cell| format!("{}\n", config.cell_name(*cell))).collect();
        case["table_xxh64"] = format!("{:016x}", xxh64(table.as_bytes(), 0)).into();
        let some = slots.owners().iter().enumerate().step_by(slots.owners().len().div_ceil(16));
        case["owners"] = some.map(|(slot, cell)| json!([slot, config.cell_name(*cell)])).collect();
    }
    let keys: Value = case["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| match config.placement.place(key.as_str().unwrap()) {
            Some((cell, reason)) => json!([key, config.cell_name(cell), reason.label()]),
            None => json!([key, null, null]),
        })
        .collect();
    case["keys"] = keys;
    case
}

/// The cost of a draw, as specified. The function that placement uses is private.
fn cost(draw: u64) -> u64 {
    let draw = u128::from(draw | 1);
    let exponent = draw.ilog2();
    let (mut mantissa, mut fraction) = (draw << (63 - exponent), 0);
    for _ in 0..32 {
        let square = mantissa * mantissa;
        let bit = square >> 127;
        fraction = fraction << 1 | bit as u64;
        mantissa = square >> (63 + bit);
    }
    (u64::from(64 - exponent) << 32) - fraction
}

fn vectors() -> Value {
    let draws = [0, 1, 2, 3, 1 << 32, 0x9e37_79b1_85eb_ca87, 1 << 63, (1 << 63) - 1, u64::MAX - 1, u64::MAX];
    let costs: Value =
        draws.iter().map(|draw| json!({ "draw": format!("{draw:016x}"), "cost": cost(*draw) })).collect();
    let placements: Value = cases().into_iter().map(with_results).collect();
    json!({ "xxh64": hashes(), "cost": costs, "placements": placements })
}

#[test]
fn the_vectors_are_current() {
    let vectors = vectors();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path(), format!("{vectors:#}\n")).unwrap();
    }
    let committed: Value = serde_json::from_str(&std::fs::read_to_string(path()).unwrap()).unwrap();
    assert!(committed == vectors, "routing/tests/vectors/placement.json is not current; UPDATE=1 writes it");
}

/// The specification gives the same table without the lower bound, which avoids most logarithms.
#[test]
fn the_table_is_as_specified() {
    let names: Vec<String> = (0..40).map(|number| format!("cell-{number}")).collect();
    let weights: Vec<u32> = (0..40).map(|number| [1, 5, 1_000_000, 0, 37][number % 5]).collect();
    for seed in [0, 1, 99] {
        let cells = || (0..).map(CellId).zip(names.iter().zip(&weights)).map(|(id, (name, w))| (id, name.as_str(), *w));
        let slots = Slots::new(512, seed, cells());
        for (slot, owner) in slots.owners().iter().enumerate() {
            let mut best: Option<(u128, u128, &str, CellId)> = None;
            for (id, name, weight) in cells().filter(|(.., weight)| *weight > 0) {
                let ticket = [&(slot as u32).to_be_bytes(), name.as_bytes()].concat();
                let (price, weight) = (u128::from(cost(xxh64(&ticket, seed))), u128::from(weight));
                let wins =
                    best.is_none_or(|(least, heavy, winner, _)| (price * heavy, name) < (least * weight, winner));
                if wins {
                    best = Some((price, weight, name, id));
                }
            }
            assert_eq!(*owner, best.unwrap().3, "slot {slot}, seed {seed}");
        }
    }
}
