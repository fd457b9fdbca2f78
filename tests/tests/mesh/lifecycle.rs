//! The lifecycle of a release under load: install, upgrade, rollback, test and uninstall.

use anyhow::{Context, Result};
use cellgate_tests::client::Request;
use cellgate_tests::mesh::kube::object;
use cellgate_tests::mesh::load::{Expected, Load};
use cellgate_tests::mesh::proxy::http_filters;
use cellgate_tests::mesh::release::{Release, Setup};
use cellgate_tests::wait;
use serde_json::{Value, json};

use crate::Shared;
use crate::support::{key_last, objects_of, pieces};

/// The number of responses to wait for before the next change.
const ENOUGH: u64 = 100;

/// One request that the filter decides and one that the service decides.
fn kinds() -> [Expected; 2] {
    let large = key_last("globex", 128 * 1024);
    let deferred = Request::post("/deferred").header("content-type", "application/json").pieces(pieces(&large));
    [
        Expected { request: Request::post("/").json(r#"{"tenant":{"id":"acme"}}"#), cell: "cell-b" },
        Expected { request: deferred, cell: "cell-c" },
    ]
}

/// The cell of a tenant that an upgrade moves, in each tier.
async fn cell_of_umbrella(release: &Release) -> [String; 2] {
    let small = release.post_json("/umbrella", r#"{"tenant":{"id":"umbrella"}}"#).await;
    let large = release.post_json("/umbrella", key_last("umbrella", 128 * 1024)).await;
    [small.cell().to_owned(), large.cell().to_owned()]
}

pub(crate) async fn no_request_fails_during_upgrade_and_rollback(mesh: Shared) -> Result<()> {
    let mut release = Setup::new(&mesh).options(&["--wait", "--timeout=60s"]).install().await?;
    assert_eq!(cell_of_umbrella(&release).await, ["cell-a"; 2]);
    let load = Load::start(release.gateway(), &kinds());
    load.more(ENOUGH).await?;

    // A new configuration updates the filters and replaces the service's pods one by one.
    let before: Vec<String> = release.node().pods().iter().map(|pod| pod.name().to_owned()).collect();
    release.upgrade(json!({"config": {"placement": {"exact": {"umbrella": "cell-c"}}}})).await?;
    assert_eq!(cell_of_umbrella(&release).await, ["cell-c"; 2]);
    assert!(release.node().pods().iter().all(|pod| !before.contains(&pod.name().to_owned())));
    load.more(ENOUGH).await?;

    release.helm().rollback(1, &["--wait", "--timeout=60s"]).await?;
    release.settled().await?;
    assert_eq!(cell_of_umbrella(&release).await, ["cell-a"; 2]);
    load.more(ENOUGH).await?;

    load.finish().await.must_be_right()?;
    assert_eq!(release.node().exit_codes(), [Some(0); 4], "each replaced pod has drained and exited");
    release.gateway().proxy().must_accept().await
}

pub(crate) async fn an_uninstalled_release_leaves_nothing(mesh: Shared) -> Result<()> {
    let everything = json!({
        "monitoring": {"serviceMonitor": {"enabled": true}, "prometheusRule": {"enabled": true}},
        "extProc": {"autoscaling": {"type": "hpa"}},
    });
    let release = Setup::new(&mesh).with(everything).install().await?;
    let installed = objects_of(&mesh, release.name()).await?;
    for kind in ["Deployment", "EnvoyFilter", "VirtualService", "DestinationRule", "ConfigMap", "PodDisruptionBudget"] {
        assert!(installed.iter().any(|object| object.starts_with(kind)), "no {kind} in {installed:#?}");
    }
    release.helm().uninstall(&[]).await?;
    assert_eq!(objects_of(&mesh, release.name()).await?, Vec::<String>::new());
    release.node().settled().await?;
    assert!(release.node().pods().is_empty());

    // The gateway has no filter and no routes, as before.
    without_the_filter(&release).await?;
    let answer = release.post_json("/", r#"{"tenant":{"id":"acme"}}"#).await;
    assert_eq!((answer.status.as_u16(), answer.served_by()), (404, None));
    Ok(())
}

/// Waits until the gateway's chain has no filter of the release.
async fn without_the_filter(release: &Release) -> Result<()> {
    let name = release.filter_name();
    let gone = |dump: &Value| !http_filters(dump).iter().any(|filter| filter.starts_with(&name));
    release.gateway().proxy().configured("a chain without the filter", gone).await
}

pub(crate) async fn a_rejected_configuration_stops_the_rollout_at_the_first_pod(mesh: Shared) -> Result<()> {
    let release = Setup::new(&mesh).install().await?;
    let before: Vec<String> = release.node().pods().iter().map(|pod| pod.name().to_owned()).collect();
    let load = Load::start(release.gateway(), &kinds()[1..]);
    load.more(ENOUGH).await?;

    // A size that cellgate rejects at start.
    let mut values = release.values().clone();
    values["extProc"]["decisionTimeout"] = json!("0s");
    let refused = release.helm().upgrade(&values, &["--wait", "--timeout=60s", "--rollback-on-failure"]).await;
    assert!(refused.is_err(), "{refused:?}");
    release.settled().await?;
    let after: Vec<String> = release.node().pods().iter().map(|pod| pod.name().to_owned()).collect();
    assert_eq!(after, before, "the old pods must keep running");
    load.more(ENOUGH).await?;
    load.finish().await.must_be_right()
}

pub(crate) async fn a_killed_replica_is_replaced_while_the_other_serves(mesh: Shared) -> Result<()> {
    let release = Setup::new(&mesh).install().await?;
    let [decided, deferred] = kinds();
    let load = Load::start(release.gateway(), &[decided]);
    load.more(ENOUGH).await?;
    let pods = release.node().pods();
    let killed = pods.first().context("no pod")?;
    killed.process().kill();
    // Requests with a stream to the killed replica fail, and so do new ones until the gateway is updated.
    release.settled().await?;
    let address = format!("::{}:", killed.address());
    let admin = release.gateway().proxy().admin();
    let forgotten = || async { Ok((!admin.get("/clusters").await?.text().contains(&address)).then_some(())) };
    wait::until("the gateway to remove the killed replica", forgotten).await?;
    let answer = release.send(&deferred.request).await;
    assert_eq!(answer.cell(), deferred.cell);
    assert_eq!(release.node().pods().len(), 2);
    assert!(release.node().pods().iter().all(|pod| pod.name() != killed.name()));
    load.more(ENOUGH).await?;
    // Requests that the filter decides are not affected.
    load.finish().await.must_be_right()
}

pub(crate) async fn helm_test_passes_with_the_filter_and_fails_without(mesh: Shared) -> Result<()> {
    let release = Setup::new(&mesh).install().await?;
    release.test().await?;
    for cell in ["cell-a", "cell-b", "cell-c"] {
        assert_eq!(release.cell(cell).arrived(), 0, "the gateway itself answers the test's requests");
    }

    mesh.kube()
        .delete(&object(
            "networking.istio.io/v1alpha3",
            "EnvoyFilter",
            release.gateway_namespace(),
            &release.filter_name(),
        ))
        .await?;
    without_the_filter(&release).await?;
    let failed = release.test().await.unwrap_err();
    assert!(failed.to_string().starts_with("exit code 1: "), "{failed:#}");
    Ok(())
}
