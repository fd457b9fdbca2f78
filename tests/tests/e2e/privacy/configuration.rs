//! Configurations with keys of tenants and of clients: loaded, changed and refused.

use cellgate_tests::options::{Chain, Options};
use cellgate_tests::secrets::MarkedSecrets;
use serde_json::json;

use super::cases::{cases, config};
use super::rig::Rig;
use crate::claims::authentication;
use crate::jwt::Issuer;
use crate::support::wait_for_metric;

/// A refusal names what is wrong, and nothing else of the file. docs/logs.md says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_or_refused_configuration_writes_only_what_is_wrong_in_it() {
    let (secrets, issuer) = (MarkedSecrets::default(), Issuer::new());
    let cases = cases(&secrets, &issuer);
    let options = Options::default().config(config(&secrets)).adjust(authentication(&issuer, "payload"));
    let mut rig = Rig::start(secrets, Chain::TwoTier, options.buffer_limit(32 * 1024)).await;
    rig.level("trace").await;

    let mut changed = config(&rig.secrets);
    changed["version"] = json!("changed");
    rig.stack.apply(&changed).await.unwrap();
    wait_for_metric(&rig.stack, r#"cellgate_config_info{version="changed"}"#, 1.0).await;

    // Each with one mistake, which is no secret.
    let mut refused = 0.0;
    for (field, mistake) in [("depths", json!(1)), ("cells", json!([])), ("limits", json!({"depth": 0}))] {
        let mut wrong = config(&rig.secrets);
        wrong[field] = mistake;
        assert!(rig.stack.apply(&wrong).await.is_err(), "{field}");
        refused += 1.0;
        wait_for_metric(&rig.stack, r#"cellgate_config_reloads_total{result="refused"}"#, refused).await;
    }
    // Not YAML, from its middle on.
    let broken = config(&rig.secrets).to_string().replace("\"policy\"", "\"policy");
    rig.stack.ext_proc().write_config(&broken).unwrap();
    wait_for_metric(&rig.stack, r#"cellgate_config_reloads_total{result="refused"}"#, refused + 1.0).await;

    // The mistake is the value of a secret name: the log names it, and no page does.
    let mut wrong = config(&rig.secrets);
    let wrong_limit = rig.secrets.of("an API key with a wrong limit");
    wrong["rate_limits"][2]["overrides"][wrong_limit] = json!("many");
    assert!(rig.stack.apply(&wrong).await.is_err());
    wait_for_metric(&rig.stack, r#"cellgate_config_reloads_total{result="refused"}"#, refused + 2.0).await;

    // Requests go on with the last good one.
    let few: Vec<_> = cases.into_iter().filter(|case| ["json", "large"].contains(&case.name)).collect();
    rig.send_all(&few, |_, _, _| false).await;
    let named =
        [("Envoy's log", "an API key with a wrong limit"), ("the service's log", "an API key with a wrong limit")];
    rig.finish().await.assert_private(&named, &[]);
}
