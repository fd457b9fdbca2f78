//! What other teams have put beside the cells: each finding word for word.

use serde_json::{Value, json};

use super::{ISTIOD, MANAGER, changed, istiod};
use crate::doctor::{Dump, Finding, Level, examine};

/// The texts of a level's findings that have a part, with their remedies.
fn said(findings: &[Finding], level: Level, part: &str) -> Vec<String> {
    let wanted = findings.iter().filter(|finding| finding.level == level && finding.what.contains(part));
    wanted.map(|finding| format!("{} / {}", finding.what, finding.fix.as_deref().unwrap_or("-"))).collect()
}

#[test]
fn another_processor_is_judged_by_envoys_version() {
    let other = json!({"name": "inference", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
        "processing_mode": {"request_body_mode": "FULL_DUPLEX_STREAMED"},
    }});
    let what = "`inference` is another processor in the mode FULL_DUPLEX_STREAMED";
    let fix = "update Envoy to 1.39 (Istio 1.31), or defer by `buffer` (chart: extProc.bodyMode)";
    for (minor, level, expected) in [
        (38, Level::Error, format!("{what}: in Envoy 1.38 some bodies arrive empty, with 200 / {fix}")),
        (39, Level::Ok, format!("{what} / -")),
    ] {
        let mut dump: Value = super::dump();
        dump["configs"].as_array_mut().unwrap().push(json!({
            "@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump",
            "bootstrap": {"node": {"user_agent_build_version": {"version": {"major_number": 1, "minor_number": minor}}}},
        }));
        let filters = dump.pointer_mut(&format!("{MANAGER}/http_filters")).unwrap();
        filters.as_array_mut().unwrap().insert(2, other.clone());
        let findings = examine(&Dump::read(&dump).unwrap(), None);
        assert_eq!(said(&findings, level, "inference"), [expected]);
    }
    let unknown = istiod(|dump| {
        let text = dump.to_string().replacen(
            r#""httpFilters":["#,
            r#""httpFilters":[{"name":"inference","typedConfig":{"@type":"x.ExternalProcessor","processingMode":{"requestBodyMode":"FULL_DUPLEX_STREAMED"}}},"#,
            1,
        );
        *dump = serde_json::from_str(&text).unwrap();
    });
    assert_eq!(said(&unknown, Level::Unknown, "inference").len(), 1, "{unknown:#?}");
    assert!(ISTIOD.contains("httpFilters"));
}

#[test]
fn deferring_by_one_message_is_no_fault() {
    let stream = "/http_filters/1/typed_config/xds_matcher/matcher_list/matchers/1/on_match/action/typed_config/typed_config/typed_config";
    let findings = changed(stream, |processor| {
        processor["processing_mode"]["request_body_mode"] = json!("BUFFERED");
        processor["message_timeout"] = json!("11s");
    });
    assert_eq!(said(&findings, Level::Error, ""), Vec::<String>::new());
    assert_eq!(said(&findings, Level::Ok, "as one message").len(), 1);
}

#[test]
fn a_service_that_takes_fewer_requests_than_it_could_is_named() {
    let fix = "set both to 10000, as many as one connection of the service takes (chart: extProc.maxRequests)";
    let with = |limits: Value| {
        istiod(|dump| {
            for entry in dump.pointer_mut("/configs/0/dynamicActiveClusters").unwrap().as_array_mut().unwrap() {
                if entry["cluster"]["name"].as_str().unwrap().contains("ext-proc") {
                    entry["cluster"]["circuitBreakers"] = limits.clone();
                }
            }
        })
    };
    let expected = format!(
        "at most 1024 deferred requests at a time, and 1024 waiting for a connection: more are refused / {fix}"
    );
    assert_eq!(said(&with(json!({})), Level::Warning, "deferred requests"), [expected]);
    let raised = with(json!({"thresholds": [{"maxRequests": 10000, "maxPendingRequests": 10000}]}));
    assert_eq!(said(&raised, Level::Ok, "deferred requests"), ["at most 10000 deferred requests at a time / -"]);
}

#[test]
fn a_key_that_envoy_refuses_is_named() {
    let findings = changed("/http_filters/0/typed_config/config/configuration/value", |value| {
        *value = json!(value.as_str().unwrap().replace("x-tenant-id", "x_tenant"));
    });
    let expected = "the key's header x_tenant has an underscore: Envoy answers 400 to every request that has it / rename it, \
                    or leave headers_with_underscores_action out";
    assert_eq!(said(&findings, Level::Error, ""), [expected]);
}
