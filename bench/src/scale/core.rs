//! The cost of the decision core alone: native code, one thread, in CPU time of this process.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use cellgate_bench_documents::{KeyAt, Kind, document};
use cellgate_routing::{Decider, HeadResult, Tier};
use serde_json::{Value, json};

use super::curve::{Curve, Scope};
use cellgate_tests::measure::procfs::cpu_time;

/// The least CPU time of one measurement.
const LEAST: Duration = Duration::from_millis(60);

/// Every curve that does not need Envoy.
///
/// # Errors
/// When a configuration is rejected, which would be a bug in this module.
pub(super) fn curves() -> Result<Vec<Curve>> {
    let mut curves = tenants()?;
    curves.extend(cells()?);
    curves.extend(prefixes()?);
    curves.push(sources()?);
    curves.push(bodies()?);
    Ok(curves)
}

fn tenants() -> Result<Vec<Curve>> {
    let new = |cost: &str| Curve::new("exact keys", cost, Scope::Core);
    let (mut size, mut build, mut heap) = (new("configuration, MB"), new("read and build, ms"), new("tables, MB"));
    let (mut known, mut unknown) = (new("look-up of a key that is there, ns"), new("look-up of one that is not, ns"));
    for count in [100, 1_000, 10_000, 100_000, 1_000_000_u32] {
        let text = exact_keys(count, 0);
        let x = f64::from(count);
        size.points.push((x, text.len() as f64 / 1e6));
        build.points.push((x, once(|| compile(&text).map(drop))? * 1e3));
        let decider = compile(&text)?;
        let placement = &decider.config().placement;
        heap.points.push((x, placement.heap_bytes() as f64 / 1e6));
        // The keys are far from each other, like those of real traffic. Neighbours would be in the cache.
        let keys: Vec<_> = (0..1024_u32).map(|turn| key(turn.wrapping_mul(2_654_435_761) % count)).collect();
        known.points.push((x, each(&keys, |key| placement.place(key))? * 1e9));
        let others: Vec<_> = keys.iter().map(|key| format!("{key}-other")).collect();
        unknown.points.push((x, each(&others, |key| placement.place(key))? * 1e9));
    }
    Ok(vec![size, build, heap, known, unknown])
}

fn cells() -> Result<Vec<Curve>> {
    let new = |cost: &str| Curve::new("cells", cost, Scope::Core);
    let (mut build, mut look_up) = (new("read and build, 4096 slots, ms"), new("look-up by slot, ns"));
    for count in [2_u32, 10, 100, 1000] {
        let names: Vec<_> = (0..count).map(|number| format!("cell-{number}")).collect();
        let text =
            config(&json!(names), &json!([{"json": "/tenant/id"}]), &json!({"slots": {"count": 4096}})).to_string();
        build.points.push((f64::from(count), once(|| compile(&text).map(drop))? * 1e3));
        let decider = compile(&text)?;
        let keys: Vec<_> = (0..1024).map(key).collect();
        look_up.points.push((f64::from(count), each(&keys, |key| decider.config().placement.place(key))? * 1e9));
    }
    Ok(vec![build, look_up])
}

/// Prefixes of one length and of the largest number of lengths. Each length costs one look-up.
fn prefixes() -> Result<Vec<Curve>> {
    let mut curves = Vec::new();
    for lengths in [1_u32, 16] {
        let cost = format!("look-up, prefixes of {lengths} {}, ns", if lengths == 1 { "length" } else { "lengths" });
        let mut curve = Curve::new("prefixes", cost, Scope::Core);
        for count in [10_u32, 100, 1000, 10_000] {
            let prefix = |number: u32| format!("{number:07}{}", "-".repeat((number % lengths) as usize));
            let table: Value =
                (0..count).map(|number| (prefix(number), json!("cell-a"))).collect::<serde_json::Map<_, _>>().into();
            let text =
                config(&json!(["cell-a"]), &json!([{"json": "/tenant/id"}]), &json!({"prefixes": table})).to_string();
            let decider = compile(&text)?;
            let keys: Vec<_> = (0..1024).map(|turn| format!("{}----------------", prefix(turn * 7 % count))).collect();
            curve.points.push((f64::from(count), each(&keys, |key| decider.config().placement.place(key))? * 1e9));
        }
        curves.push(curve);
    }
    Ok(curves)
}

/// JSON sources of which only the last is in the body.
fn sources() -> Result<Curve> {
    let mut curve = Curve::new("JSON sources", "decision, 4 KB of objects, µs", Scope::Core);
    let body = document(Kind::Objects, 4096, KeyAt::Last, "acme");
    for count in [1_u32, 2, 4, 8, 16, 32] {
        let mut key: Vec<Value> = (1..count).map(|number| json!({"json": format!("/source-{number}/id")})).collect();
        key.push(json!({"json": "/tenant/id"}));
        let text = config(&json!(["cell-a"]), &json!(key), &json!({"exact": {"acme": "cell-a"}})).to_string();
        let decider = compile(&text)?;
        curve.points.push((f64::from(count), decision(&decider, &body)? * 1e6));
    }
    Ok(curve)
}

fn bodies() -> Result<Curve> {
    let mut curve = Curve::new("bytes of the body", "decision, objects, key last, µs", Scope::Core);
    let text =
        config(&json!(["cell-a"]), &json!([{"json": "/tenant/id"}]), &json!({"exact": {"acme": "cell-a"}})).to_string();
    let decider = compile(&text)?;
    for bytes in [256_u32, 4096, 65_536, 1_000_000, 10_000_000] {
        let body = document(Kind::Objects, bytes as usize, KeyAt::Last, "acme");
        curve.points.push((f64::from(bytes), decision(&decider, &body)? * 1e6));
    }
    Ok(curve)
}

/// A configuration with `count` exact keys that no request uses. A different `turn` gives a different configuration.
pub(super) fn exact_keys(count: u32, turn: u32) -> String {
    let mut table = String::with_capacity(count as usize * 44);
    for number in 0..count {
        let comma = if number == 0 { "" } else { "," };
        let cell = ["cell-a", "cell-b", "cell-c"].get(((number + turn) % 3) as usize).unwrap_or(&"cell-a");
        // Writing to a string cannot fail.
        let _ = write!(table, r#"{comma}"{}":"{cell}""#, key(number));
    }
    format!(
        r#"{{"version":"keys-{count}-{turn}","routing_header":"x-cell","cells":["cell-a","cell-b","cell-c"],"key":[{{"json":"/tenant/id"}}],"limits":{{"inspect_bytes":1048576}},"placement":{{"exact":{{{table}}},"overrides":{{"acme":"cell-b","globex":"cell-c","initech":"cell-a"}}}}}}"#
    )
}

/// The key with a number. It is as long as a shortened UUID.
fn key(number: u32) -> String {
    format!("tenant-{:08x}-{number:07}", number.wrapping_mul(2_654_435_761))
}

fn config(cells: &Value, key: &Value, placement: &Value) -> Value {
    json!({"routing_header": "x-cell", "cells": cells, "key": key, "placement": placement, "limits": {"inspect_bytes": "16MiB"}})
}

fn compile(text: &str) -> Result<Decider> {
    Ok(Decider::new(cellgate_config::from_json(text, "scale")?, Tier::Service))
}

/// CPU seconds of one run.
fn once(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let before = cpu_time(std::process::id())?;
    work()?;
    Ok((cpu_time(std::process::id())?.saturating_sub(before)).as_secs_f64())
}

/// CPU seconds per input, from as many rounds as [`LEAST`] requires.
fn each<T, Out>(inputs: &[T], mut work: impl FnMut(&T) -> Out) -> Result<f64> {
    let (before, mut rounds) = (cpu_time(std::process::id())?, 0_u64);
    loop {
        for input in inputs {
            black_box(work(black_box(input)));
        }
        rounds += 1;
        let used = cpu_time(std::process::id())?.saturating_sub(before);
        if used >= LEAST {
            return Ok(used.as_secs_f64() / (rounds * inputs.len() as u64) as f64);
        }
    }
}

/// CPU seconds of one complete decision: head, body in one chunk, placement.
fn decision(decider: &Decider, body: &str) -> Result<f64> {
    let length = body.len().to_string();
    let head: [(&str, &str); 4] = [
        (":method", "POST"),
        (":path", "/api/orders"),
        ("content-type", "application/json"),
        ("content-length", &length),
    ];
    let decide = |body: &&str| -> Result<cellgate_routing::Decision> {
        let HeadResult::NeedsBody(mut reading) = decider.open(head.as_slice(), false) else {
            bail!("the head decided the request")
        };
        let _ = reading.push(body.as_bytes());
        Ok(reading.finish())
    };
    let decided = decide(&body)?;
    anyhow::ensure!(matches!(decided.outcome, cellgate_routing::Outcome::Cell(_)), "{decided:?}");
    each(&[body], decide).context("deciding")
}
