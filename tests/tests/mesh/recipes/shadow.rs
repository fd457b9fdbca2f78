//! istio/recipes/shadow

use anyhow::Result;
use cellgate_tests::client::Request;
use cellgate_tests::mesh::kube::object;
use cellgate_tests::mesh::load::{Expected, Load};
use cellgate_tests::mesh::release::{GATEWAY, merge};
use cellgate_tests::{sha256, wait};
use serde_json::json;

use super::{ENOUGH, file, installation};
use crate::Shared;
use crate::support::{key_last, of};

pub(crate) async fn shadow(mesh: Shared) -> Result<()> {
    let release = installation(&mesh).prepare().await?;
    // The routes from before Cellgate.
    let mut own = object("networking.istio.io/v1", "VirtualService", release.name(), "own");
    own["spec"] = json!({
        "hosts": ["cellgate.test"],
        "gateways": [format!("{}/{GATEWAY}", release.gateway_namespace())],
        "http": [{"name": "own", "route": [{"destination": {"host": release.cell_host("cell-a"), "port": {"number": 8080}}}]}],
    });
    mesh.kube().apply(&own).await?;
    let values = release.directory().join("recipe.yaml");
    std::fs::write(&values, file("shadow", "values.yaml", &[])?)?;
    release.helm().install(release.values(), &["--values", &values.to_string_lossy()]).await?;
    release.settled().await?;
    release.gateway().has_route("own", |_| true).await?;

    // A decided request, a rejected one and a deferred one: all pass unchanged.
    let large = key_last("acme", 300 * 1024);
    for (path, body, decision) in [
        ("/decided", r#"{"tenant":{"id":"acme"}}"#, "shadow;cell=cell-b;reason=override"),
        ("/refused", r#"{"tenant":]"#, "shadow;reject=400;reason=body_malformed"),
        ("/large", &large, "shadow;cell=cell-b;reason=override"),
    ] {
        let answer = release.send(&Request::post(path).header("x-cell", "cell-z").json(body.to_owned())).await;
        assert_eq!(answer.cell(), "cell-a", "{path}");
        assert_eq!(
            (answer.received("x-cell"), answer.sha256()),
            (vec!["cell-z".to_owned()], sha256(body.as_bytes())),
            "{path}"
        );
        let line = release.gateway().proxy().access_line(path).await?;
        assert!(line.decision().starts_with(decision), "{path}: {line:?}");
    }
    for (counter, value) in [("decisions.cell.override", 2), ("decisions.reject.body_malformed", 1)] {
        let name = format!("wasmcustom.cellgate.{counter}");
        release.gateway().proxy().admin().wait_for_stat(&name, |count| count == value).await;
    }

    // Without shadow mode.
    let load = Load::start(release.gateway(), &[Expected { request: of("globex"), cell: "cell-a" }]);
    load.more(ENOUGH).await?;
    let mut live = release.values().clone();
    let known = format!("VirtualService/{}/own", release.name());
    merge(&mut live, json!({"neighbours": {"accept": [known]}}));
    release.helm().upgrade(&live, &[]).await?;
    release.node().settled().await?;
    wait::until("the cells' routes", || async {
        Ok((release.send(&of("acme")).await.cell() == "cell-b").then_some(()))
    })
    .await?;
    load.more(ENOUGH).await?;
    mesh.kube().delete(&own).await?;
    release.settled().await?;
    load.more(ENOUGH).await?;
    load.finish().await.must_be_right()
}
