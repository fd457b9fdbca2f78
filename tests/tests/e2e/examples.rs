//! Envoy accepts the example in `examples/envoy/`, and the filter there has the service's configuration.

use std::process::Command;

use cellgate_tests::artifacts;

const CHAIN: &str = include_str!("../../../examples/envoy/two-tier.yaml");
const CONFIG: &str = "examples/envoy/cellgate.yaml";

#[test]
fn envoy_accepts_the_example_chain() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("two-tier.yaml");
    let module = artifacts::wasm().unwrap();
    std::fs::write(&file, CHAIN.replace("target/cellgate.wasm", module.to_str().unwrap())).unwrap();
    let validation = Command::new(artifacts::envoy().unwrap())
        .args(["--mode", "validate", "--config-path"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(validation.status.success(), "{}", String::from_utf8_lossy(&validation.stderr));
}

#[test]
fn filter_and_service_of_the_example_have_the_same_configuration() {
    let rendered = Command::new(artifacts::cellgate().unwrap())
        .current_dir(artifacts::checkout())
        .args(["render", CONFIG])
        .output()
        .unwrap();
    let rendered = String::from_utf8(rendered.stdout).unwrap();
    assert!(rendered.contains("cell-c"), "{rendered}");
    assert!(CHAIN.contains(rendered.trim()), "render {CONFIG} again:\n{rendered}");
}
