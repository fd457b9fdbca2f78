//! A changed configuration file: in force at once if it is good, refused if it is not.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use tokio::time::Instant;

use crate::peer::{Peer, cell, head};
use crate::support::{CONFIG, Service, until};

const RELOADED: &str = r#"cellgate_config_reloads_total{result="ok"}"#;
const REFUSED: &str = r#"cellgate_config_reloads_total{result="refused"}"#;

fn second() -> String {
    CONFIG.replace("version: one", "version: two").replace("acme: cell-b", "acme: cell-a")
}

/// As editors and tools write: beside it, then over it.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, path).unwrap();
}

async fn cell_of_acme(service: &Service) -> String {
    let mut peer = Peer::open(service).await;
    peer.send(head(BodySendMode::None, &[("x-tenant-id", "acme")], true)).await;
    cell(&peer.change().await).to_owned()
}

async fn version(service: &Service) -> String {
    let (_, text) = service.get("/version").await;
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    document["config"]["version"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_good_one_is_in_force_and_requests_keep_theirs() {
    let service = Service::start().await;
    let mut begun = Peer::post(&service, BodySendMode::FullDuplexStreamed).await;
    begun.body(b"{", false).await;
    until("begun", || async { service.metric("cellgate_held_bytes").await > 0 }).await;

    let began = Instant::now();
    replace(&service.config, &second());
    until("in force", || async { version(&service).await == "two" }).await;
    assert!(began.elapsed() < Duration::from_secs(5), "by the watch, not by the slow poll");
    assert_eq!(cell_of_acme(&service).await, "cell-a");
    assert_eq!(service.metric(RELOADED).await, 1);
    assert_eq!(service.metric(r#"cellgate_config_info{version="two"}"#).await, 1);
    assert_eq!(service.metric(r#"cellgate_config_info{version="one"}"#).await, 0);

    begun.body(br#""tenant":{"id":"acme"}}"#, true).await;
    assert_eq!(cell(&begun.change().await), "cell-b", "the configuration it began with");
}

#[tokio::test]
async fn a_bad_one_is_refused_and_the_last_good_one_stays() {
    let service = Service::start().await;
    for (number, bad) in ["cells: [", "version: bad\nunknown: 1\n", "\u{0}"].into_iter().enumerate() {
        replace(&service.config, bad);
        until("refused", || async { service.metric(REFUSED).await > number as u64 }).await;
        assert_eq!(version(&service).await, "one");
        assert_eq!(cell_of_acme(&service).await, "cell-b");
        assert_eq!(service.get("/readyz").await.0, 200);
    }
    replace(&service.config, &second());
    until("in force", || async { version(&service).await == "two" }).await;
}

#[tokio::test]
async fn a_file_that_is_gone_is_a_bad_one() {
    let service = Service::start().await;
    std::fs::remove_file(&service.config).unwrap();
    until("refused", || async { service.metric(REFUSED).await > 0 }).await;
    assert_eq!(cell_of_acme(&service).await, "cell-b");
    // What else happens in the directory says nothing new.
    let other = service.config.with_extension("log");
    for number in 0..50 {
        std::fs::write(&other, number.to_string()).unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    replace(&service.config, &second());
    until("in force", || async { version(&service).await == "two" }).await;
    assert_eq!(service.metric(REFUSED).await, 1);
}

#[tokio::test]
async fn a_config_map_swaps_a_link_beside_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    for (name, text) in [("..one", CONFIG), ("..two", &second())] {
        std::fs::create_dir(path.join(name)).unwrap();
        std::fs::write(path.join(name).join("cellgate.yaml"), text).unwrap();
    }
    symlink("..one", path.join("..data")).unwrap();
    symlink("..data/cellgate.yaml", path.join("cellgate.yaml")).unwrap();
    let service = Service::start_with(|settings| settings.config = path.join("cellgate.yaml")).await;
    assert_eq!(version(&service).await, "one");
    let began = Instant::now();
    symlink("..two", path.join("..data_tmp")).unwrap();
    std::fs::rename(path.join("..data_tmp"), path.join("..data")).unwrap();
    until("in force", || async { version(&service).await == "two" }).await;
    assert!(began.elapsed() < Duration::from_secs(5), "by the watch, not by the slow poll");
}
