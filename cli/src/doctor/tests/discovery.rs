//! The filter's configuration by discovery, delivered and missing.

use serde_json::{Value, json};

use super::{Dump, Finding, Level, MANAGER, changed, dump, examine, has, istiod, only_error, worst};

#[test]
fn a_discovered_filter_is_found_or_reported_missing() {
    let mut dump = dump();
    let entry = dump.pointer_mut(&format!("{MANAGER}/http_filters/0")).unwrap();
    let config = entry["typed_config"].take();
    *entry = json!({"name": "cellgate", "config_discovery": {
        "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"],
    }});
    let findings = examine(&Dump::read(&dump).unwrap(), None);
    assert!(only_error(&findings).1.contains("the configuration of `cellgate` has not arrived"));

    let filter = json!({"version_info": "7", "ecds_filter": {"name": "cellgate", "typed_config": config}});
    let extensions = json!({"@type": "x.EcdsConfigDump", "ecds_filters": [filter]});
    dump["configs"].as_array_mut().unwrap().push(extensions);
    let findings = examine(&Dump::read(&dump).unwrap(), None);
    assert_eq!(worst(&findings), Vec::<&Finding>::new());
    has(&findings, Level::Ok, "version 7 of its configuration");

    let entry = dump["configs"].as_array_mut().unwrap().last_mut().unwrap();
    entry["ecds_filters"][0]["error_state"] = json!({"details": "no such cell"});
    let findings = examine(&Dump::read(&dump).unwrap(), None);
    assert!(only_error(&findings).1.contains("refuses its new extension cellgate"));
}

/// The name of a release may be any name.
#[test]
fn a_discovered_filter_of_any_name_is_found() {
    const ENTRY: &str = "/http_filters/0";
    let wasm = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
    let discovered = json!({"name": "edge", "config_discovery": {"type_urls": [wasm]}});
    let findings = changed(ENTRY, |entry| *entry = discovered.clone());
    assert!(only_error(&findings).1.contains("the configuration of `edge` has not arrived"));

    let mut dump = dump();
    *dump.pointer_mut(&format!("{MANAGER}{ENTRY}")).unwrap() = discovered;
    let denial = json!({"ecds_filter": {"name": "edge", "typed_config": {"@type": "x.rbac.v3.RBAC", "rules": {}}}});
    dump["configs"].as_array_mut().unwrap().push(json!({"@type": "x.EcdsConfigDump", "ecds_filters": [denial]}));
    let findings = examine(&Dump::read(&dump).unwrap(), None);
    assert!(only_error(&findings).1.contains("the module could not be fetched"));
}

#[test]
fn a_filter_that_istiod_does_not_have_is_reported_missing() {
    let extensions = |dump: &mut Value, change: &dyn Fn(&mut Vec<Value>)| {
        let configs = dump["configs"].as_array_mut().unwrap();
        let extensions = configs.iter_mut().find(|config| config["ecdsFilters"].is_array()).unwrap();
        change(extensions["ecdsFilters"].as_array_mut().unwrap());
    };
    let findings = istiod(|dump| extensions(dump, &|filters| filters.clear()));
    assert!(only_error(&findings).1.contains("the configuration of `edge-ingress` has not arrived"));
    // Somebody else's filter is not taken for it.
    let findings = istiod(|dump| {
        extensions(dump, &|filters| filters[0]["ecdsFilter"]["config"] = json!({"name": "other"}));
    });
    assert!(only_error(&findings).1.contains("the configuration of `edge-ingress` has not arrived"));
}
