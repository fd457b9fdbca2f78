//! Envoy and the service on a Unix socket, by the cluster of `examples/envoy/cluster-unix.yaml`.

use cellgate_tests::options::Options;
use cellgate_tests::process::Signal;
use cellgate_tests::stack::Stack;
use serde_json::Value;

use crate::support::key_last;

const CLUSTER: &str = include_str!("../../../examples/envoy/cluster-unix.yaml");

#[tokio::test(flavor = "multi_thread")]
async fn the_service_beside_envoy_decides_over_a_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ext-proc.sock");
    let text = CLUSTER.replace("/run/cellgate/ext-proc.sock", path.to_str().unwrap());
    let example: Value = serde_saphyr::from_str(&text).unwrap();
    let listen = format!("unix:{}", path.display());
    let options = Options::default().example().service_option("--listen", &listen).adjust(move |bootstrap| {
        let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().unwrap();
        let cluster = clusters.iter_mut().find(|cluster| cluster["name"] == "cellgate").unwrap();
        *cluster = example;
    });
    let stack = Stack::start(options).await;
    let body = key_last("acme", 200_000);
    assert_eq!(stack.post_json("/", body.clone()).await.cell(), "cell-b");
    // A killed process leaves its socket, and the next one replaces it.
    stack.ext_proc().kill();
    assert!(path.exists());
    stack.ext_proc().restart().await.unwrap();
    assert_eq!(stack.post_json("/", body).await.cell(), "cell-b");
    stack.ext_proc().signal(Signal::TERM).unwrap();
    assert_eq!(stack.ext_proc().ended().await.unwrap(), Some(0));
    assert!(!path.exists());
}
