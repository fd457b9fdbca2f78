//! `cellgate doctor` in a mesh: it has the same findings with Envoy's configuration dump and with istiod's.

use anyhow::{Context, Result, ensure};
use cellgate_tests::mesh::kube::{object, path_of};
use cellgate_tests::mesh::release::{GATEWAY, Release, Setup};
use cellgate_tests::{artifacts, wait};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::Shared;

/// The source of the configuration dump.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked {
    Envoy,
    Istiod,
}

pub(crate) const BOTH: [Asked; 2] = [Asked::Envoy, Asked::Istiod];

/// The doctor's report.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) code: Option<i32>,
    pub(crate) findings: Vec<Value>,
}

impl Report {
    pub(crate) async fn of(release: &Release, asked: Asked) -> Result<Self> {
        let source = match asked {
            Asked::Envoy => {
                vec!["--admin".to_owned(), format!("http://{}", release.gateway().proxy().admin().address())]
            }
            Asked::Istiod => {
                let istiod = format!("http://{}", release.mesh().istiod().http());
                let proxy = format!("{GATEWAY}.{}", release.gateway_namespace());
                vec!["--istiod".to_owned(), istiod, "--proxy".to_owned(), proxy]
            }
        };
        let mut command = Command::new(artifacts::cellgate()?);
        let output = command.args(["doctor", "--output", "json"]).args(source).output().await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(said.is_empty(), "{asked:?}: {said}");
        let report: Value = serde_json::from_slice(&output.stdout)?;
        let findings = report["findings"].as_array().context("no findings")?.clone();
        Ok(Self { code: output.status.code(), findings })
    }

    /// The findings with a level.
    fn of_level(&self, level: &str) -> Vec<&Value> {
        self.findings.iter().filter(|finding| finding["level"] == level).collect()
    }

    /// The finding with this level whose place and text contain these parts.
    pub(crate) fn find(&self, level: &str, place: &str, part: &str) -> Option<&Value> {
        let has = |finding: &&&Value| {
            finding["places"].to_string().contains(place)
                && finding["what"].as_str().is_some_and(|what| what.contains(part))
        };
        self.of_level(level).iter().find(has).copied()
    }
}

/// Waits until the doctor's only error contains `part`, because a change takes a moment to reach the gateway. The
/// suggested fix must contain `fix`.
async fn only_error(release: &Release, part: &str, fix: &str) -> Result<()> {
    for asked in BOTH {
        let report = wait::until(&format!("{part:?} by {asked:?}"), || async {
            let report = Report::of(release, asked).await?;
            Ok(report.find("error", "", part).is_some().then_some(report))
        })
        .await?;
        let errors = report.of_level("error");
        assert_eq!((report.code, errors.len()), (Some(1), 1), "{asked:?}: {errors:#?}");
        let advice = errors[0]["fix"].as_str().unwrap_or_default();
        assert!(advice.contains(fix), "{asked:?}: {advice}");
    }
    Ok(())
}

/// Waits until the doctor finds no error.
async fn no_error(release: &Release) -> Result<()> {
    for asked in BOTH {
        wait::until(&format!("no error by {asked:?}"), || async {
            Ok((Report::of(release, asked).await?.code == Some(0)).then_some(()))
        })
        .await?;
    }
    Ok(())
}

fn encrypted(mesh: &Shared, is_encrypted: bool) -> Setup {
    Setup::new(mesh).with(json!({"mtls": {"enabled": is_encrypted}, "extProc": {"replicas": 1}}))
}

pub(crate) async fn a_good_release_has_no_error(mesh: Shared) -> Result<()> {
    for is_encrypted in [false, true] {
        let release = encrypted(&mesh, is_encrypted).install().await?;
        release.post_json("/", r#"{"tenant":{"id":"acme"}}"#).await;
        for asked in BOTH {
            let report = Report::of(&release, asked).await?;
            assert_eq!((report.code, report.of_level("error")), (Some(0), Vec::new()), "{asked:?}");
            let service = format!("outbound|50051||{0}-ext-proc.{0}.svc.cluster.local", release.name());
            for (place, part) in [
                ("", format!("`{}` is the first HTTP filter", release.filter_name())),
                ("", "header x-cell, cells cell-a, cell-b, cell-c".to_owned()),
                ("", "Envoy's limits are 65536 (HTTP/1.1) and 65536 (HTTP/2)".to_owned()),
                ("", format!("`buffer`: BUFFERED, by cluster {service}")),
                ("", format!("`stream`: FULL_DUPLEX_STREAMED, by cluster {service}")),
                ("cellgate.test", format!("cell-b goes to {}, 2 retries", release.cluster("cell-b"))),
                ("cellgate.test", "requests without a decision are answered 421".to_owned()),
                (&release.cluster("cell-b"), "with a retry budget".to_owned()),
            ] {
                assert!(report.find("ok", place, &part).is_some(), "{asked:?} {part}: {report:#?}");
            }
            let (level, words) =
                if is_encrypted { ("ok", "mTLS with spiffe://") } else { ("warning", "plain text, without mTLS") };
            for cluster in [&release.cluster("cell-b"), &service] {
                assert!(report.find(level, cluster, words).is_some(), "{asked:?} {cluster}: {report:#?}");
            }
        }
    }
    Ok(())
}

pub(crate) async fn faults_that_stop_routing_are_found(mesh: Shared) -> Result<()> {
    let release = encrypted(&mesh, false).install().await?;
    let kube = mesh.kube();

    // Another EnvoyFilter, which applies after the chart's, lowers the listener's limit.
    let mut lower = object("networking.istio.io/v1alpha3", "EnvoyFilter", release.gateway_namespace(), "lower");
    lower["spec"] = json!({
        "priority": 20,
        "configPatches": [{
            "applyTo": "LISTENER",
            "match": {"context": "GATEWAY"},
            "patch": {"operation": "MERGE", "value": {"per_connection_buffer_limit_bytes": 1024}},
        }],
    });
    kube.apply(&lower).await?;
    let part = "per_connection_buffer_limit_bytes is 1024, below inspect_bytes 65536";
    only_error(&release, part, "raise it to 65536").await?;
    kube.delete(&lower).await?;
    no_error(&release).await?;

    // The route of one cell is missing.
    let path = format!("/apis/networking.istio.io/v1/namespaces/{}/virtualservices", release.name());
    let services = kube.list(&path).await?;
    let service = services.first().context("no VirtualService")?;
    let routes = service["spec"]["http"].as_array().context("no routes")?;
    let others: Vec<&Value> = routes.iter().filter(|route| !route["match"].to_string().contains("cell-b")).collect();
    assert_eq!(others.len() + 1, routes.len());
    kube.merge(&path_of(service)?, &json!({"spec": {"http": others}})).await?;
    only_error(&release, "no route matches x-cell: cell-b", "chart: cells").await?;
    kube.merge(&path_of(service)?, &json!({"spec": {"http": routes}})).await?;
    no_error(&release).await?;

    // Routes without the filter.
    let filter =
        object("networking.istio.io/v1alpha3", "EnvoyFilter", release.gateway_namespace(), &release.filter_name());
    kube.delete(&filter).await?;
    only_error(&release, "the filter is in none of the chains", "look at the EnvoyFilter").await
}

pub(crate) async fn a_plain_text_cell_is_found(mesh: Shared) -> Result<()> {
    let release = encrypted(&mesh, true).install().await?;
    let path = format!("/apis/networking.istio.io/v1/namespaces/{}-cell-b/destinationrules", release.name());
    let rules = mesh.kube().list(&path).await?;
    let rule = rules.first().context("no DestinationRule")?;
    let disabled = json!({"spec": {"trafficPolicy": {"tls": {"mode": "DISABLE"}}}});
    mesh.kube().merge(&path_of(rule)?, &disabled).await?;
    let cell = release.cluster("cell-b");
    for asked in BOTH {
        let report = wait::until(&format!("plain text to the cell by {asked:?}"), || async {
            let report = Report::of(&release, asked).await?;
            Ok(report.find("warning", &cell, "plain text").is_some().then_some(report))
        })
        .await?;
        // Requests still succeed because no policy requires mTLS, so it is not an error.
        assert_eq!((report.code, report.of_level("error")), (Some(0), Vec::new()), "{asked:?}");
        let advice = report.find("warning", &cell, "plain text").map(|finding| finding["fix"].to_string());
        assert!(advice.is_some_and(|advice| advice.contains("ISTIO_MUTUAL")), "{asked:?}: {report:#?}");
        let other = release.cluster("cell-c");
        assert!(report.find("ok", &other, "mTLS with spiffe://").is_some(), "{asked:?}: {report:#?}");
    }
    Ok(())
}
