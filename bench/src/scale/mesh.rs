//! The CPU time of a request in Envoy and in the service, while one property varies.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cellgate_bench_documents::{KeyAt, Kind, document};
use cellgate_tests::ext_proc::ExtProc;
use cellgate_tests::options::{BodyMode, Chain, Options};
use cellgate_tests::stack::Stack;
use cellgate_tests::{sha256, wait};
use serde_json::{Value, json};

use super::core::exact_keys;
use super::curve::{Curve, Scope};
use crate::content::Content;
use crate::exchange::{Delivery, Exchange, Expectation, Protocol};
use crate::load::Client;
use cellgate_tests::measure::procfs::{cpu_time, resident};

/// The least CPU time of one measurement.
const LEAST: Duration = Duration::from_millis(300);

/// The number of connections, except in the curve that varies it.
const CONNECTIONS: usize = 8;

/// Envoy's buffer limit, and the filter's `inspect_bytes`.
const BUFFER: u32 = 1024 * 1024;

/// Every curve that needs Envoy.
///
/// # Errors
/// When a part does not start or a request has a wrong result.
pub(super) async fn curves() -> Result<Vec<Curve>> {
    let mut curves = bodies().await?;
    curves.push(connections().await?);
    curves.extend(cells().await?);
    curves.extend(tenants().await?);
    curves.push(workers().await?);
    curves.push(replicas().await?);
    Ok(curves)
}

async fn bodies() -> Result<Vec<Curve>> {
    let mut curves = Vec::new();
    for (chain, cost) in [
        (Chain::Plain, "Envoy alone, µs"),
        (Chain::TwoTier, "Envoy with the filter, µs"),
        (Chain::Service(BodyMode::Streamed), "Envoy with the service, FULL_DUPLEX_STREAMED, µs of both"),
    ] {
        let rig = Rig::start(chain, Options::default().buffer_limit(BUFFER)).await?;
        let mut curve = Curve::new("bytes of the body", cost, Scope::Envoy);
        let mut service = Curve::new("bytes of the body", "of which the service, µs", Scope::Envoy);
        for bytes in [256_usize, 4096, 65_536, 1_000_000, 10_000_000] {
            let spent = rig
                .spend(&exchange(bytes, "cell-b", chain == Chain::Plain), CONNECTIONS.min(16_000_000 / bytes))
                .await?;
            curve.points.push((bytes as f64, (spent.envoy + spent.service) * 1e6));
            service.points.push((bytes as f64, spent.service * 1e6));
        }
        curves.push(curve);
        if matches!(chain, Chain::Service(_)) {
            curves.push(service);
        }
    }
    Ok(curves)
}

async fn connections() -> Result<Curve> {
    let rig = Rig::start(Chain::TwoTier, Options::default().buffer_limit(BUFFER)).await?;
    let mut curve = Curve::new("connections", "4 KB with the filter, µs", Scope::Envoy);
    for count in [1_usize, 4, 16, 64, 256] {
        let spent = rig.spend(&exchange(4096, "cell-b", false), count).await?;
        curve.points.push((count as f64, spent.envoy * 1e6));
    }
    Ok(curve)
}

/// Envoy matches routes one by one, so a route for each cell costs more with more cells. One `cluster_header` route
/// does not.
async fn cells() -> Result<Vec<Curve>> {
    let mut by_route = Curve::new("cells", "256 B with the filter, a route for each cell, µs", Scope::Envoy);
    let mut by_header = Curve::new("cells", "256 B with the filter, one route by `cluster_header`, µs", Scope::Envoy);
    for count in [2_usize, 10, 100, 1000] {
        for (curve, one_route) in [(&mut by_route, false), (&mut by_header, true)] {
            let names: Vec<_> = (0..count).map(|number| format!("cell-{number}")).collect();
            let last = names.last().context("no cells")?.clone();
            let config = json!({
                "routing_header": "x-cell", "cells": names, "key": [{"json": "/tenant/id"}],
                "placement": {"exact": {"acme": last}},
            });
            let mut options = Options::default().buffer_limit(BUFFER).config(config);
            if one_route {
                options = options.adjust(route_by_cluster_header);
            }
            let rig = Rig::start(Chain::TwoTier, options).await?;
            curve.points.push((count as f64, rig.spend(&exchange(256, &last, false), CONNECTIONS).await?.envoy * 1e6));
        }
    }
    Ok(vec![by_route, by_header])
}

/// The cost of a configuration change in each tier, and the memory after it.
async fn tenants() -> Result<Vec<Curve>> {
    let mut curves = Vec::new();
    for tier in ["Envoy", "the service"] {
        let new = |cost: &str| Curve::new("exact keys", cost.replace("TIER", tier), Scope::Envoy);
        let mut three =
            [new("a change, CPU of TIER, ms"), new("a change, until TIER has it, ms"), new("memory of TIER, MB")];
        for count in [100_u32, 1_000, 10_000, 100_000, 1_000_000] {
            let change = if tier == "Envoy" { change_filter(count).await } else { change_service(count).await };
            match change {
                Ok(change) => {
                    for (curve, figure) in three.iter_mut().zip([change.cpu, change.time, change.memory]) {
                        curve.points.push((f64::from(count), figure));
                    }
                }
                // The largest configuration that a tier accepts is a result, not an error.
                Err(error) => eprintln!("scale: {count} exact keys in {tier}: {}", first_line(&error)),
            }
        }
        curves.extend(three);
    }
    Ok(curves)
}

/// The cost of a configuration change: CPU time and wall time in milliseconds, memory after it in MB.
struct ChangeCost {
    cpu: f64,
    time: f64,
    memory: f64,
}

async fn change_filter(count: u32) -> Result<ChangeCost> {
    let rig =
        Rig::start(Chain::Filter, Options::default().config(serde_json::from_str(&exact_keys(count, 0))?)).await?;
    let (envoy, next) = (rig.stack.envoy(), exact_keys(count, 1));
    let pid = envoy.process().pid();
    let (before, start) = (cpu_time(pid)?, Instant::now());
    envoy.update_filter_text(&next).await?;
    let time = start.elapsed().as_secs_f64() * 1e3;
    Ok(ChangeCost { cpu: used_since(pid, before)?, time, memory: resident(pid)? as f64 / 1e3 })
}

async fn change_service(count: u32) -> Result<ChangeCost> {
    let directory = tempfile::Builder::new().prefix("cellgate-scale-").tempdir()?;
    let first: Value = serde_json::from_str(&exact_keys(count, 0))?;
    let service = ExtProc::start(&first, directory.path(), &[]).await?;
    drop(first);
    let next = exact_keys(count, 1);
    let (before, start) = (cpu_time(service.pid())?, Instant::now());
    service.write_config(&next)?;
    let series = format!("cellgate_config_info{{version=\"keys-{count}-1\"}}");
    wait::until(&series, || async { Ok((service.metric(&series).await? == 1.0).then_some(())) }).await?;
    let time = start.elapsed().as_secs_f64() * 1e3;
    Ok(ChangeCost { cpu: used_since(service.pid(), before)?, time, memory: resident(service.pid())? as f64 / 1e3 })
}

fn used_since(pid: u32, before: Duration) -> Result<f64> {
    Ok(cpu_time(pid)?.saturating_sub(before).as_secs_f64() * 1e3)
}

async fn workers() -> Result<Curve> {
    let mut curve = Curve::new("Envoy's workers", "4 KB with the filter, µs", Scope::Envoy);
    for count in [1_u32, 2] {
        let rig = Rig::start(Chain::TwoTier, Options::default().buffer_limit(BUFFER).concurrency(count)).await?;
        curve.points.push((f64::from(count), rig.spend(&exchange(4096, "cell-b", false), 16).await?.envoy * 1e6));
    }
    Ok(curve)
}

/// A second service behind the same Envoy.
async fn replicas() -> Result<Curve> {
    let mut curve =
        Curve::new("replicas of the service", "4 KB, FULL_DUPLEX_STREAMED, µs of all services", Scope::Envoy);
    for count in [1_u32, 2] {
        let directory = tempfile::Builder::new().prefix("cellgate-scale-").tempdir()?;
        let config = cellgate_tests::options::sample_config();
        let second = if count == 2 { Some(ExtProc::start(&config, directory.path(), &[]).await?) } else { None };
        let address = second.as_ref().map(|service| service.addresses().grpc);
        let options = Options::default().adjust(move |bootstrap| add_endpoint(bootstrap, address));
        let mut rig = Rig::start(Chain::Service(BodyMode::Streamed), options).await?;
        rig.services.extend(second.as_ref().map(ExtProc::pid));
        curve.points.push((f64::from(count), rig.spend(&exchange(4096, "cell-b", false), 16).await?.service * 1e6));
        if let Some(second) = &second {
            let asked =
                second.metric("cellgate_decisions_total{outcome=\"cell\",reason=\"exact\",tier=\"service\"}").await?;
            ensure!(asked > 0.0, "the second replica received no request");
        }
    }
    Ok(curve)
}

/// A running stack and the processes whose CPU time counts.
struct Rig {
    stack: Stack,
    services: Vec<u32>,
}

/// CPU seconds per request.
struct Spent {
    envoy: f64,
    service: f64,
}

impl Rig {
    async fn start(chain: Chain, options: Options) -> Result<Self> {
        let stack = Stack::try_start(options.chain(chain).adjust(without_access_log)).await?;
        let services = match chain {
            Chain::TwoTier | Chain::Service(_) => vec![stack.ext_proc().pid()],
            Chain::Filter | Chain::Plain => Vec::new(),
        };
        Ok(Self { stack, services })
    }

    /// The cost of one request, from as many requests as [`LEAST`] requires, after a few uncounted ones.
    async fn spend(&self, exchange: &Exchange, connections: usize) -> Result<Spent> {
        let address: SocketAddr = self.stack.address();
        let mut client = Client::connect(address, Protocol::Http1, connections.max(1)).await?;
        let exchanges: Arc<[Exchange]> = [exchange.clone()].into();
        client.run(&exchanges, connections.max(1) * 4).await?;
        let (before, mut count, mut batch) = (self.used()?, 0, connections.max(8));
        loop {
            client.run(&exchanges, batch).await?;
            count += batch;
            let now = self.used()?;
            let (envoy, service) = (now.0.saturating_sub(before.0), now.1.saturating_sub(before.1));
            if envoy + service >= LEAST {
                let per_request = |time: Duration| time.as_secs_f64() / count as f64;
                return Ok(Spent { envoy: per_request(envoy), service: per_request(service) });
            }
            batch = batch.saturating_mul(2).min(2000);
        }
    }

    fn used(&self) -> Result<(Duration, Duration)> {
        let envoy = cpu_time(self.stack.envoy().process().pid())?;
        let services = self.services.iter().map(|pid| cpu_time(*pid)).sum::<Result<Duration>>()?;
        Ok((envoy, services))
    }
}

fn exchange(bytes: usize, cell: &str, named: bool) -> Exchange {
    let body = document(Kind::Objects, bytes, KeyAt::Last, "acme");
    let content = Content::Json(Kind::Objects);
    Exchange {
        path: content.path(),
        media_type: content.media_type(),
        coding: None,
        expectation: Expectation { cell: cell.to_owned(), body_bytes: bytes as u64, sha256: sha256(body.as_bytes()) },
        body: body.into(),
        delivery: Delivery::Whole,
        routing: named.then(|| ("x-cell", cell.to_owned())),
    }
}

fn manager(bootstrap: &mut Value) -> Option<&mut serde_json::Map<String, Value>> {
    let path = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
    bootstrap.pointer_mut(path)?.as_object_mut()
}

fn without_access_log(bootstrap: &mut Value) {
    if let Some(manager) = manager(bootstrap) {
        manager.remove("access_log");
    }
}

fn route_by_cluster_header(bootstrap: &mut Value) {
    let routes = manager(bootstrap)
        .and_then(|manager| manager.get_mut("route_config")?.pointer_mut("/virtual_hosts/0/routes")?.as_array_mut());
    if let Some(routes) = routes
        && let Some(undecided) = routes.pop()
    {
        *routes = vec![
            json!({
                "match": {"prefix": "/", "headers": [{"name": "x-cell", "present_match": true}]},
                "route": {"cluster_header": "x-cell", "timeout": "60s"},
            }),
            undecided,
        ];
    }
}

fn add_endpoint(bootstrap: &mut Value, address: Option<SocketAddr>) {
    let Some(address) = address else { return };
    let clusters = bootstrap.pointer_mut("/static_resources/clusters").and_then(Value::as_array_mut);
    let found = clusters.and_then(|clusters| clusters.iter_mut().find(|cluster| cluster["name"] == "ext-proc"));
    let endpoints = found.and_then(|cluster| cluster.pointer_mut("/load_assignment/endpoints/0/lb_endpoints"));
    if let Some(endpoints) = endpoints.and_then(Value::as_array_mut) {
        let socket = json!({"address": "127.0.0.1", "port_value": address.port()});
        endpoints.push(json!({"endpoint": {"address": {"socket_address": socket}}}));
    }
}

fn first_line(error: &anyhow::Error) -> String {
    format!("{error:#}").lines().next().unwrap_or_default().to_owned()
}
