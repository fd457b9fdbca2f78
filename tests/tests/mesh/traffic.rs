//! Requests on their way to the cells: retries, timeouts, failures of a cell, changes of the routes.

use std::time::Duration;

use anyhow::{Context, Result};
use cellgate_tests::client::{Http1, Request, Response};
use cellgate_tests::mesh::load::{Expected, Load};
use cellgate_tests::mesh::release::{Release, Setup};
use cellgate_tests::{sha256, wait};
use http::StatusCode;
use serde_json::{Value, json};

use crate::Shared;
use crate::support::{key_last, of, pieces};

/// The number of responses to wait for before the next change.
const ENOUGH: u64 = 40;

pub(crate) async fn a_retry_stays_in_its_cell_with_the_body(mesh: Shared) -> Result<()> {
    // A deferred request is retried too, if it fits into Envoy's buffer.
    let values = json!({
        "cells": {"cell-b": {"retries": {"attempts": 2, "retryOn": "connect-failure,503"}}},
        "config": {"limits": {"inspect_bytes": "16KiB"}},
        "filter": {"bufferBytes": "64KiB"},
    });
    let release = Setup::new(&mesh).with(values).install().await?;
    let (small, large) = (key_last("acme", 10 * 1024), key_last("acme", 40 * 1024));

    fail_twice(&release);
    let answer = release.send(&Request::post("/decided").json(small.clone())).await;
    must_have_tried_thrice(&release, "/decided", &answer, &small).await?;

    fail_twice(&release);
    let mut connection = Http1::connect(release.gateway().address()).await?;
    let head = Request::post("/deferred")
        .header("content-length", large.len().to_string())
        .header("content-type", "application/json");
    connection.write(head.http1_head()).await?;
    let (start, rest) = large.split_at(large.len() / 2);
    connection.write(start).await?;
    wait::until("the service to get the request", || async {
        Ok((release.ext_proc_streams().await == 1).then_some(()))
    })
    .await?;
    connection.write(rest).await?;
    must_have_tried_thrice(&release, "/deferred", &connection.response("POST").await?, &large).await?;
    assert_eq!(release.ext_proc_streams().await, 1, "a retry must not be decided again");

    // The client gets the response to the last attempt.
    release.cell("cell-b").fail_next(3, StatusCode::SERVICE_UNAVAILABLE);
    let answer = release.post_json("/", small).await;
    assert_eq!((answer.status.as_u16(), answer.cell()), (503, "cell-b"));
    assert_eq!(release.cell("cell-b").arrived(), 9);
    assert_eq!(release.cell("cell-a").arrived() + release.cell("cell-c").arrived(), 0, "a retry reached another cell");
    Ok(())
}

fn fail_twice(release: &Release) {
    release.cell("cell-b").fail_next(2, StatusCode::SERVICE_UNAVAILABLE);
}

async fn must_have_tried_thrice(release: &Release, path: &str, answer: &Response, body: &str) -> Result<()> {
    assert_eq!((answer.status.as_u16(), answer.cell()), (200, "cell-b"), "{path}");
    let seen = release.cell("cell-b").seen();
    let tries: Vec<_> = seen.iter().filter(|seen| seen.path == path).collect();
    assert_eq!(tries.len(), 3, "{path}");
    assert!(tries.iter().all(|seen| seen.sha256 == sha256(body.as_bytes())), "{path}: {tries:#?}");
    assert_eq!(release.gateway().proxy().access_line(path).await?.number("attempts"), 3, "{path}");
    Ok(())
}

pub(crate) async fn nothing_else_is_retried(mesh: Shared) -> Result<()> {
    let retries = json!({"attempts": 2, "retryOn": "connect-failure,503"});
    let release = Setup::new(&mesh).with(json!({"cells": {"cell-b": {"retries": retries}}})).install().await?;
    // By default not even a 503 is retried, because the backend may have begun to write.
    let mut failures: Vec<(&str, &str, u16)> = vec![("globex", "cell-c", 503)];
    failures.extend([500, 502, 504, 429].map(|status| ("acme", "cell-b", status)));
    for (tenant, cell, status) in failures {
        let before = release.cell(cell).arrived();
        release.cell(cell).fail_next(1, StatusCode::from_u16(status)?);
        let answer = release.send(&of(tenant)).await;
        assert_eq!((answer.status.as_u16(), answer.cell()), (status, cell));
        assert_eq!(release.cell(cell).arrived(), before + 1, "{status} by {cell}");
    }
    Ok(())
}

pub(crate) async fn a_slow_cell_times_out(mesh: Shared) -> Result<()> {
    let impatient = json!({"timeout": "300ms", "retries": {"attempts": 0}});
    let release = Setup::new(&mesh).with(json!({"cells": {"cell-b": impatient}})).install().await?;
    for cell in ["cell-b", "cell-c"] {
        release.cell(cell).delay(Duration::from_secs(1));
    }
    let late = release.send(&Request::post("/late").json(r#"{"tenant":{"id":"acme"}}"#)).await;
    assert_eq!((late.status.as_u16(), late.served_by()), (504, None));
    assert_eq!(release.gateway().proxy().access_line("/late").await?.text("flags"), "UT");
    // The other cells have their own timeout.
    assert_eq!(release.send(&of("globex")).await.cell(), "cell-c");
    Ok(())
}

pub(crate) async fn a_crashed_cell_does_not_affect_the_others(mesh: Shared) -> Result<()> {
    let release = Setup::new(&mesh).install().await?;
    let others =
        [("initech", "cell-a"), ("globex", "cell-c")].map(|(tenant, cell)| [expect(tenant, cell), late(tenant, cell)]);
    let others = Load::start(release.gateway(), others.as_flattened());
    let own = Load::start(release.gateway(), &[expect("acme", "cell-b")]);
    own.more(ENOUGH).await?;
    others.more(ENOUGH).await?;
    release.cell("cell-b").kill();
    own.more(ENOUGH).await?;
    others.more(4 * ENOUGH).await?;

    others.finish().await.must_be_right()?;
    let own = own.finish().await;
    let failed: u64 = own.wrong.values().sum();
    assert!(failed > ENOUGH / 2 && failed < own.sent, "{own:#?}");
    assert!(own.wrong.keys().all(|what| what.starts_with("503 Service Unavailable by None")), "{own:#?}");
    Ok(())
}

pub(crate) async fn no_request_fails_while_routes_change(mesh: Shared) -> Result<()> {
    let mut release = Setup::new(&mesh).install().await?;
    let steady = Load::start(release.gateway(), &[expect("acme", "cell-b"), late("acme", "cell-b")]);
    let moved = Load::start(release.gateway(), &[expect("globex", "cell-c")]);
    moved.more(ENOUGH).await?;

    // With helm: another timeout.
    release.upgrade(json!({"traffic": {"timeout": "7s", "retries": {"perTryTimeout": "3s"}}})).await?;
    release.gateway().has_route(&release.cell_route("cell-b"), |route| route["route"]["timeout"] == "7s").await?;
    steady.more(ENOUGH).await?;

    // By hand: half of one cell's requests go to another cell.
    let mut routes = virtual_service(&release).await?;
    let http = routes["spec"]["http"].as_array_mut().context("no routes")?;
    let route =
        http.iter_mut().find(|route| route["name"] == release.cell_route("cell-c")).context("no route for cell-c")?;
    let to =
        |cell: &str| json!({"destination": {"host": release.cell_host(cell), "port": {"number": 8080}}, "weight": 50});
    route["route"] = json!([to("cell-a"), to("cell-c")]);
    release.mesh().kube().kubectl(&["apply", "--filename=-"], &routes.to_string()).await?;
    release
        .gateway()
        .has_route(&release.cell_route("cell-c"), |route| route["route"]["weighted_clusters"].is_object())
        .await?;
    release.cell("cell-a").wait_for_arrivals(ENOUGH / 2).await;
    steady.more(ENOUGH).await?;

    steady.finish().await.must_be_right()?;
    let moved = moved.finish().await;
    assert!(moved.wrong.keys().all(|what| what.starts_with("200 OK by Some(\"cell-a\")")), "{moved:#?}");
    release.gateway().proxy().must_accept().await
}

/// A small request, which the filter decides.
fn expect(tenant: &str, cell: &'static str) -> Expected {
    Expected { request: of(tenant), cell }
}

/// A large request, which the service decides.
fn late(tenant: &str, cell: &'static str) -> Expected {
    let large = key_last(tenant, 80 * 1024);
    Expected { request: Request::post("/").header("content-type", "application/json").pieces(pieces(&large)), cell }
}

async fn virtual_service(release: &Release) -> Result<Value> {
    let path = format!("/apis/networking.istio.io/v1/namespaces/{0}/virtualservices/{0}", release.name());
    let mut found = release.mesh().kube().get(&path).await?.context("no VirtualService")?;
    // Fields of the API server, which `kubectl apply` does not accept.
    found["metadata"]
        .as_object_mut()
        .context("no metadata")?
        .retain(|field, _| field == "name" || field == "namespace");
    Ok(found)
}
