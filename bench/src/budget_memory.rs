//! `make bench-memory`: the memory of the service and of Envoy, while more uploads come at once than the byte budget holds.
//!
//! Each scenario has a new Envoy and a new service. All bodies have the routing key at their end, so that each must be held
//! whole. The growth of a process is its high-water mark (`VmHWM`) less what was resident before the first upload.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use cellgate_bench_documents::{KeyAt, Kind, document};
use cellgate_tests::measure::procfs::{peak_resident, resident};
use cellgate_tests::options::{BodyMode, Chain, Options};
use cellgate_tests::stack::Stack;
use cellgate_tests::{sha256, wait};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use self::upload::{Upload, UploadAnswer};

mod upload;

/// The byte budget.
const BUDGET: u64 = 64 << 20;

/// The growth of the service above the byte budget, at most, in MB of 10^6 bytes.
const GOAL: u64 = 64;

/// The number of uploads at once.
const UPLOADS: usize = 64;

/// The size of a body, in bytes.
const SIZE: usize = 10_000_000;

/// Clients that stall do so for longer than this. All others must take less, also on a busy machine. Once the budget is
/// full, clients that stall end one after the other.
const DECISION_TIMEOUT: Duration = Duration::from_secs(6);

/// One client of so many stalls.
const STALLS: usize = 4;

/// One set of uploads.
struct Scenario {
    name: &'static str,
    body: Bytes,
    /// The Content-Encoding.
    encoding: Option<&'static str>,
    /// Whether one client of [`STALLS`] stops half way.
    stalls: bool,
}

/// The result of a scenario. Memory is in MB of 10^6 bytes.
struct ScenarioOutcome {
    arrived: usize,
    refused: usize,
    service: u64,
    envoy: u64,
    waits: f64,
    seconds: f64,
}

/// Runs every scenario and prints a table. The last line has the largest growth above the budget.
///
/// # Errors
/// When a part does not start, an upload that should arrive does not, or it arrives changed.
pub(crate) async fn run() -> Result<ExitCode> {
    println!(
        "{UPLOADS} uploads at once, key last, FULL_DUPLEX_STREAMED, --max-held-bytes {} MiB; MB of 10^6 bytes\n",
        BUDGET >> 20
    );
    println!(
        "| scenario | bytes of a body | arrived | refused | waits | service grew, MB | Envoy grew, MB | seconds |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    let mut above = 0;
    for scenario in scenarios()? {
        let outcome = measure(&scenario).await.with_context(|| scenario.name)?;
        let ScenarioOutcome { arrived, refused, service, envoy, waits, seconds } = outcome;
        let (name, size) = (scenario.name, scenario.body.len());
        println!("| {name} | {size} | {arrived} | {refused} | {waits} | {service} | {envoy} | {seconds:.1} |");
        above = above.max(service.saturating_sub(BUDGET / 1_000_000));
    }
    println!("\npeak growth above budget: {above} MB of {GOAL} MB");
    Ok(if above <= GOAL { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn scenarios() -> Result<Vec<Scenario>> {
    let plain = Bytes::from(document(Kind::Objects, SIZE, KeyAt::Last, "acme"));
    // Six random bits in each byte: gzip takes a quarter off.
    let incompressible = format!(r#"{{"x":"{}","tenant":{{"id":"acme"}}}}"#, random_text(SIZE / 3 * 4));
    Ok(vec![
        Scenario { name: "identity", body: plain.clone(), encoding: None, stalls: false },
        Scenario { name: "gzip of 10 MB", body: upload::gzip(&plain)?, encoding: Some("gzip"), stalls: false },
        Scenario {
            name: "gzip, 10 MB encoded",
            body: upload::gzip(incompressible.as_bytes())?,
            encoding: Some("gzip"),
            stalls: false,
        },
        Scenario { name: "identity, every fourth client stalls", body: plain, encoding: None, stalls: true },
    ])
}

async fn measure(scenario: &Scenario) -> Result<ScenarioOutcome> {
    let options = Options::default()
        .chain(Chain::Service(BodyMode::Streamed))
        .configure(|config| {
            if let Some(config) = config.as_object_mut() {
                config.insert("content_encodings".to_owned(), json!(["gzip"]));
                config.insert("limits".to_owned(), json!({"decode_ms": 60_000}));
            }
        })
        // A waiting upload is idle for Envoy.
        .stream_idle_timeout(Duration::from_secs(300))
        .service_option("--max-held-bytes", &BUDGET.to_string())
        // No limit may refuse an upload, however slow the machine is.
        .service_option("--budget-timeout", "300s")
        .service_option(
            "--decision-timeout",
            &format!("{}s", if scenario.stalls { DECISION_TIMEOUT.as_secs() } else { 60 }),
        );
    let stack = Stack::try_start(options).await?;
    let (service, envoy) = (stack.ext_proc().pid(), stack.envoy().process().pid());
    let before = (resident(service)?, resident(envoy)?);
    let began = Instant::now();
    let hash: Arc<str> = sha256(&scenario.body).into();
    let mut uploads = JoinSet::new();
    for number in 0..UPLOADS {
        let stalls = scenario.stalls && number % STALLS == 1;
        let upload = Upload { body: scenario.body.clone(), encoding: scenario.encoding, stalls };
        let (address, hash) = (stack.address(), Arc::clone(&hash));
        uploads.spawn(async move {
            let answer = upload.send(address).await?;
            if !stalls {
                check(&answer, &hash)?;
                return Ok(true);
            }
            ensure!(answer.status == 408, "a client that stalls got {}: {}", answer.status, answer.text);
            anyhow::Ok(false)
        });
    }
    let (mut arrived, mut refused) = (0, 0);
    while let Some(uploaded) = uploads.join_next().await {
        if uploaded?? {
            arrived += 1;
        } else {
            refused += 1;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    wait::until("the service to release all body bytes", || async {
        Ok((stack.ext_proc().metric("cellgate_held_bytes").await? == 0.0).then_some(()))
    })
    .await?;
    Ok(ScenarioOutcome {
        arrived,
        refused,
        service: megabytes(peak_resident(service)?.saturating_sub(before.0)),
        envoy: megabytes(peak_resident(envoy)?.saturating_sub(before.1)),
        waits: stack.ext_proc().metric("cellgate_budget_wait_seconds_count").await?,
        seconds,
    })
}

/// The cell has received exactly the bytes of the body.
fn check(answer: &UploadAnswer, hash: &str) -> Result<()> {
    ensure!(answer.status == 200, "an upload got {}: {}", answer.status, answer.text);
    let seen: Value = serde_json::from_str(&answer.text).with_context(|| answer.text.clone())?;
    ensure!(seen.get("cell").and_then(Value::as_str) == Some("cell-b"), "the wrong cell: {seen}");
    ensure!(seen.get("sha256").and_then(Value::as_str) == Some(hash), "the cell received a changed body");
    Ok(())
}

/// Rounds up.
fn megabytes(kibibytes: u64) -> u64 {
    (kibibytes * 1024).div_ceil(1_000_000)
}

/// Letters and digits of base64url, the same in each run.
fn random_text(length: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut state = 7_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        LETTERS.get((state >> 58) as usize).copied().map_or('A', char::from)
    };
    (0..length).map(|_| next()).collect()
}
