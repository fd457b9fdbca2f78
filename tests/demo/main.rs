//! The demonstration: a real Envoy with the filter, the ext-proc service and three cells; real requests; one table of
//! what went where. `make demo` builds what it needs and runs it.
//!
//! Exit code 0: every request ended as expected. 1: one did not, or a part did not start. 128 and more: a signal ended
//! it, and it ended every part before.

mod scenario;
mod table;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use cellgate_tests::client::Response;
use cellgate_tests::options::Options;
use cellgate_tests::sha256;
use cellgate_tests::stack::Stack;
use cellgate_tests::wait;
use scenario::{Expected, Protocol, Scenario};
use table::{Row, Table};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    let result = tokio::select! {
        result = run() => result.map(|as_expected| if as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        // Whatever runs is dropped with the branch that is given up.
        told = told_to_end() => told,
    };
    result.unwrap_or_else(|error| {
        eprintln!("demo: {error:#}");
        ExitCode::FAILURE
    })
}

/// Waits for a signal that asks for the end: Ctrl-C, a `kill`, or the end of the terminal. Gives the exit code that a
/// shell would.
async fn told_to_end() -> Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let kind = tokio::select! {
        _ = interrupt.recv() => SignalKind::interrupt(),
        _ = terminate.recv() => SignalKind::terminate(),
        _ = hang_up.recv() => SignalKind::hangup(),
    };
    Ok(ExitCode::from(128 + u8::try_from(kind.as_raw_value())?))
}

async fn run() -> Result<bool> {
    let started = Instant::now();
    eprintln!("demo: starting Envoy, the service and three cells …");
    let options = Options::default().example().config(scenario::config()).buffer_limit(scenario::BUFFER_LIMIT);
    let stack = Stack::try_start(options).await?;
    eprintln!("demo: ready after {} ms", started.elapsed().as_millis());

    let mut table = Table::default();
    for scenario in scenario::before_the_edit() {
        table.push(play(&stack, scenario).await?);
    }
    let edited = Instant::now();
    stack.apply(&scenario::edited_config()).await?;
    wait::until("the edited configuration in the service", || async {
        let version = stack.ext_proc().get("/version").await?.text();
        Ok(version.contains("demo-2").then_some(()))
    })
    .await?;
    eprintln!("demo: the configuration was edited; in force in both tiers after {} ms", edited.elapsed().as_millis());
    for scenario in scenario::after_the_edit() {
        table.push(play(&stack, scenario).await?);
    }

    print!("{table}");
    println!("{}", summary(&stack).await?);
    let keep = std::env::var("KEEP").is_ok_and(|keep| keep == "1");
    if !keep {
        println!("`make demo KEEP=1` leaves it running; then: {}", curl("ADDRESS"));
    }
    println!("demo: {} of {} requests as expected", table.as_expected(), table.len());
    if keep {
        stay_up(&stack).await;
    }
    Ok(table.as_expected() == table.len())
}

/// Sends one request and compares what came of it with what should have.
async fn play(stack: &Stack, scenario: Scenario) -> Result<Row> {
    let request = scenario.request();
    let start = Instant::now();
    let response = match scenario.protocol {
        Protocol::Http1 => stack.connect().await.send(&request).await?,
        Protocol::Http2 => stack.connect_h2().await.send(&request).await?,
    };
    let took = start.elapsed();
    let line = stack.envoy().access_line(scenario.path).await;
    let (tier, reason) = decided_by(line.decision(), line.text("service"));
    let hash = body_hash(&scenario, &response);
    let outcome = match response.served_by() {
        Some(cell) => cell.to_owned(),
        None => response.status.as_u16().to_string(),
    };
    let Expected { outcome: wanted, tier: wanted_tier, reason: wanted_reason } = scenario.expected;
    let stripped = response.served_by().is_none() || response.received("x-cell") == [outcome.as_str()];
    let readable = response.header("access-control-allow-origin") == scenario.origin();
    let decided = outcome == wanted && tier == wanted_tier && reason == wanted_reason;
    let as_expected = decided && hash != Hash::Different && stripped && readable;
    Ok(Row {
        what: scenario.what,
        key_in: scenario.key_in,
        tier,
        reason,
        outcome,
        hash: hash.label(),
        took,
        as_expected,
    })
}

/// Whether the cell's SHA-256 of the body is the client's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hash {
    Same,
    Different,
    /// No cell answered.
    None,
}

impl Hash {
    fn label(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Different => "DIFFERENT",
            Self::None => "-",
        }
    }
}

fn body_hash(scenario: &Scenario, response: &Response) -> Hash {
    match response.served_by() {
        None => Hash::None,
        Some(_) if response.sha256() == sha256(&scenario.body_bytes()) => Hash::Same,
        Some(_) => Hash::Different,
    }
}

/// The tier and the reason, from the filter's state (`cell=cell-a;reason=slot`) and the service's metadata.
fn decided_by(filter: &str, service: &str) -> (&'static str, String) {
    let deferred = filter.starts_with("defer=");
    let reason = filter.rsplit_once("reason=").map_or("", |(_, reason)| reason);
    if deferred { ("service", service.to_owned()) } else { ("filter", reason.to_owned()) }
}

async fn summary(stack: &Stack) -> Result<String> {
    let streams = stack.admin().stat("cluster.ext-proc.upstream_rq_total").await?;
    Ok(format!(
        "Envoy opened {streams} ext-proc streams: one for each request that the service decided, none for the others."
    ))
}

/// Until the user ends it.
async fn stay_up(stack: &Stack) {
    println!("\nEverything stays up until you press Ctrl-C. Poke it:\n\n  {}\n", curl(&stack.address().to_string()));
    println!("  configuration   {} (the service follows it)", stack.directory().join("cellgate.yaml").display());
    println!("  Envoy's admin   http://{}", stack.admin().address());
    println!("  Envoy's log     {}", stack.directory().join("access.log").display());
    println!("  the service     http://{}/metrics", stack.ext_proc().addresses().admin);
    std::future::pending().await
}

fn curl(address: &str) -> String {
    format!("curl -si http://{address}/ -H 'content-type: application/json' -d '{{\"tenant\":{{\"id\":\"acme\"}}}}'")
}

/// Milliseconds with one decimal.
fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}
