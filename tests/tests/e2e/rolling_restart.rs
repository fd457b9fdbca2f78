//! Two replicas of the service are restarted one after the other under load, and no request fails. Envoy's cluster is that
//! of `examples/envoy/cluster-replicas.yaml`.

use std::net::SocketAddr;

use cellgate_tests::ext_proc::ExtProc;
use cellgate_tests::options::{BodyMode, Chain, Options, sample_config};
use cellgate_tests::process::Signal;
use cellgate_tests::stack::Stack;
use cellgate_tests::{sha256, wait};
use http::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::load::{Load, Sent};
use crate::support::{connection_manager, key_last};
use crate::upload::{Framing, Upload};

const CLUSTER: &str = include_str!("../../../examples/envoy/cluster-replicas.yaml");

/// The options of the service: what the example says, and time for uploads that this test holds back.
const SERVICE: [&str; 4] = ["--drain-delay", "5s", "--decision-timeout", "60s"];

/// The size of an upload that is held back. Half of it is above the filter's limit, so the filter defers it.
const HELD: usize = 200_000;

/// How many uploads are held back during each restart. The cluster spreads them over both replicas.
const HELD_UPLOADS: usize = 12;

/// The retries of the cells' routes.
const RETRIES: u32 = 2;

struct Replicas {
    stack: Stack,
    second: ExtProc,
    _directory: TempDir,
}

impl Replicas {
    async fn start(options: Options) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let second = ExtProc::start(&sample_config(), directory.path(), &SERVICE.map(str::to_owned)).await.unwrap();
        let address = second.addresses().grpc;
        let options = SERVICE.chunks(2).fold(options, |options, pair| options.service_option(pair[0], pair[1]));
        let stack = Stack::start(options.adjust(move |bootstrap| use_replicas(bootstrap, address))).await;
        let replicas = Self { stack, second, _directory: directory };
        replicas.healthy(2).await;
        replicas
    }

    fn both(&self) -> [&ExtProc; 2] {
        [self.stack.ext_proc(), &self.second]
    }

    /// Waits until Envoy takes this many for healthy.
    async fn healthy(&self, count: u64) {
        self.stack.admin().wait_for_stat("cluster.ext-proc.membership_healthy", |healthy| healthy == count).await;
    }

    /// Restarts one as the example says, while uploads are held back. Returns how many of them were open in it once it took
    /// no more connections.
    async fn restart(&self, replica: &ExtProc, load: &Load) -> u64 {
        let mut uploads = Vec::new();
        for framing in Framing::ALL.into_iter().cycle().take(HELD_UPLOADS) {
            let mut upload = Upload::open(&self.stack, framing, "/held", HELD).await;
            upload.send(&held().as_bytes()[..HELD / 2]).await;
            uploads.push((framing, upload));
        }
        let opened = || async {
            let [first, second] = self.both();
            let open = open_streams(first).await? + open_streams(second).await?;
            Ok((open >= HELD_UPLOADS as u64).then_some(()))
        };
        wait::until("the uploads' streams", opened).await.unwrap();

        replica.signal(Signal::TERM).unwrap();
        self.healthy(1).await;
        // Its load has gone to the other one, and the held uploads are left.
        let left = wait::until("the port to close", || async {
            let is_closed = TcpStream::connect(replica.addresses().grpc).await.is_err();
            Ok(if is_closed { Some(open_streams(replica).await?) } else { None })
        });
        let left = left.await.unwrap();
        load.more(20).await;
        // Meanwhile the cell fails too. Its route retries.
        self.stack.cell("cell-b").fail_next(RETRIES, StatusCode::SERVICE_UNAVAILABLE);
        for (framing, mut upload) in uploads {
            upload.send(&held().as_bytes()[HELD / 2..]).await;
            let answer = upload.finish().await.unwrap_or_else(|error| panic!("{framing:?}: {error:#}"));
            assert_eq!((answer.cell(), answer.sha256()), ("cell-b", sha256(held().as_bytes())), "{framing:?}");
        }
        assert_eq!(replica.ended().await.unwrap(), Some(0));
        assert!(replica.log().contains(r#""event":"drained""#), "it did not wait for its streams");

        replica.restart().await.unwrap();
        self.healthy(2).await;
        let decides = || async { Ok((replica.metric("cellgate_decision_seconds_count").await? > 0.0).then_some(())) };
        wait::until("the new process to take requests", decides).await.unwrap();
        left
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_behind_the_filter_restart_one_after_the_other_without_a_failed_request() {
    restart_both(Options::default().example()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_get_whole_bodies_restart_one_after_the_other_without_a_failed_request() {
    restart_both(Options::default().chain(Chain::Service(BodyMode::Buffered)).buffer_limit(4 << 20)).await;
}

async fn restart_both(options: Options) {
    let replicas = Replicas::start(options).await;
    let kinds = [
        Sent { body: key_last("acme", 40_000), pieces: 1, cell: "cell-b" },
        Sent { body: key_last("acme", 40_000), pieces: 20, cell: "cell-b" },
        // Too large for a retry, so not for the cell that fails.
        Sent { body: key_last("globex", 3_000_000), pieces: 1, cell: "cell-c" },
        Sent { body: key_last("globex", 3_000_000), pieces: 50, cell: "cell-c" },
    ];
    let load = Load::start(replicas.stack.address(), &kinds);
    load.more(40).await;
    for replica in replicas.both() {
        let before = load.answered();
        let left = replicas.restart(replica, &load).await;
        load.more(40).await;
        println!("{left} streams open after the port closed, {} requests during the restart", load.answered() - before);
        assert!((1..=HELD_UPLOADS as u64).contains(&left), "{left} streams finished in the drain");
    }
    let answered = load.answered();
    let failures = load.failures().await;
    assert!(failures.is_empty(), "{} of {answered} requests failed: {failures:#?}", failures.len());
}

fn held() -> String {
    key_last("acme", HELD)
}

async fn open_streams(replica: &ExtProc) -> anyhow::Result<u64> {
    let open = replica.metric("cellgate_streams_open").await?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
    Ok(open as u64)
}

/// Puts the example's cluster with both replicas in place of the service's, and lets the cells' routes retry.
fn use_replicas(bootstrap: &mut Value, second: SocketAddr) {
    let example: Value = serde_saphyr::from_str(CLUSTER).unwrap();
    let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().unwrap();
    let cluster = clusters.iter_mut().find(|cluster| cluster["name"] == "cellgate" || cluster["name"] == "ext-proc");
    let cluster = cluster.unwrap();
    let name = cluster["name"].clone();
    let first = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0].clone();
    *cluster = example;
    cluster["name"] = name.clone();
    // The name in the statistics of both chains.
    cluster["alt_stat_name"] = json!("ext-proc");
    cluster["load_assignment"]["cluster_name"] = name;
    let endpoints = &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"];
    endpoints[0] = first.clone();
    endpoints[1] = first;
    endpoints[1]["endpoint"]["address"]["socket_address"]["port_value"] = json!(second.port());
    for route in connection_manager(bootstrap)["route_config"]["virtual_hosts"][0]["routes"].as_array_mut().unwrap() {
        if route["route"]["cluster"].as_str().is_some_and(|cluster| cluster.starts_with("cell-")) {
            route["route"]["retry_policy"] = json!({"retry_on": "5xx", "num_retries": RETRIES});
        }
    }
}
