//! The demonstration: sends requests through a real Envoy with the filter, the ext-proc service and three cells, and
//! prints one table of the decisions, and one of a rate limit. `make demo` builds its parts and runs it. With `OBSERVE=1` it
//! shows traces and metrics instead (`make demo-observe`).
//!
//! Exit codes: 0, every request had the expected result; 1, one had not, or a part did not start; 128 plus the signal's
//! number, a signal stopped it. Every part stops with it.

mod limits;
mod observe;
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
use limits::Limits;
use scenario::{Expected, Protocol, Scenario};
use table::{Row, Table};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> ExitCode {
    let result = tokio::select! {
        result = run() => result.map(|as_expected| if as_expected { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        // Dropping `run()` stops every program that it started.
        code = shutdown_signal() => code,
    };
    result.unwrap_or_else(|error| {
        eprintln!("demo: {error:#}");
        ExitCode::FAILURE
    })
}

/// Waits for SIGINT, SIGTERM or SIGHUP. Returns the exit code that a shell reports for the signal.
async fn shutdown_signal() -> Result<ExitCode> {
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
    let is_set = |name| std::env::var(name).is_ok_and(|value: String| value == "1");
    let keep = is_set("KEEP");
    if is_set("OBSERVE") {
        return observe::run(keep).await;
    }
    let started = Instant::now();
    eprintln!("demo: starting Envoy, the service and three cells …");
    let options = Options::default().example().config(scenario::config()).buffer_limit(scenario::BUFFER_LIMIT);
    let stack = Stack::try_start(options).await?;
    eprintln!("demo: ready after {} ms", started.elapsed().as_millis());

    let mut table = Table::default();
    for scenario in scenario::before_the_edit() {
        table.push(run_scenario(&stack, scenario).await?);
    }
    let edited = Instant::now();
    stack.apply(&scenario::edited_config()).await?;
    wait::until("the edited configuration in the service", || async {
        let version = stack.ext_proc().get("/version").await?.text();
        Ok(version.contains("demo-2").then_some(()))
    })
    .await?;
    eprintln!("demo: moved tenant acme to cell-c; filter and service use it after {} ms", edited.elapsed().as_millis());
    for scenario in scenario::after_the_edit() {
        table.push(run_scenario(&stack, scenario).await?);
    }

    let summary = summary(&stack).await?;
    let limits = Limits::run(&stack).await?;

    println!("result: the cell that received the request, or the status of Envoy's own response.");
    println!("body: whether the cell received the bytes that the client sent, by SHA-256.\n");
    println!("{table}");
    println!("{summary}\n");
    println!("{limits}");
    if !keep {
        println!("To send requests of your own, run `make demo KEEP=1`, then: {}", curl("ADDRESS"));
    }
    let unexpected = if limits.as_expected() { "" } else { "; the tenants were NOT limited as expected" };
    println!("demo: {} of {} requests had the expected result{unexpected}", table.as_expected(), table.len());
    if keep {
        wait_for_requests(&stack).await;
    }
    Ok(table.as_expected() == table.len() && limits.as_expected())
}

/// Sends one request and compares its result with the expected one.
async fn run_scenario(stack: &Stack, scenario: Scenario) -> Result<Row> {
    let request = scenario.request();
    let start = Instant::now();
    let response = match scenario.protocol {
        Protocol::Http1 => stack.connect().await.send(&request).await?,
        Protocol::Http2 => stack.connect_h2().await.send(&request).await?,
    };
    let took = start.elapsed();
    let line = stack.envoy().access_line(scenario.path).await;
    let (tier, reason) = decided_by(line.decision(), line.text("service"));
    let body = compare_body(&scenario, &response);
    let outcome = match response.served_by() {
        Some(cell) => cell.to_owned(),
        None => response.status.as_u16().to_string(),
    };
    let Expected { outcome: wanted, tier: wanted_tier, reason: wanted_reason } = scenario.expected;
    let stripped = response.served_by().is_none() || response.received("x-cell") == [outcome.as_str()];
    let readable = response.header("access-control-allow-origin") == scenario.origin();
    let decided = outcome == wanted && tier == wanted_tier && reason == wanted_reason;
    let as_expected = decided && body != BodyCheck::Changed && stripped && readable;
    Ok(Row {
        name: scenario.name,
        key_in: scenario.key_in,
        tier,
        reason,
        outcome,
        body: body.label(),
        took,
        as_expected,
    })
}

/// Whether the cell received the body that the client sent, by SHA-256.
#[derive(Clone, Copy, PartialEq, Eq)]
enum BodyCheck {
    Unchanged,
    Changed,
    /// No cell received the request.
    NotForwarded,
}

impl BodyCheck {
    fn label(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Changed => "CHANGED",
            Self::NotForwarded => "-",
        }
    }
}

fn compare_body(scenario: &Scenario, response: &Response) -> BodyCheck {
    match response.served_by() {
        None => BodyCheck::NotForwarded,
        Some(_) if response.sha256() == sha256(&scenario.body_bytes()) => BodyCheck::Unchanged,
        Some(_) => BodyCheck::Changed,
    }
}

/// The tier and the reason, from the filter's decision (`cell=cell-a;reason=slot`) and the service's metadata.
fn decided_by(filter: &str, service: &str) -> (&'static str, String) {
    let deferred = filter.starts_with("defer=");
    let reason = filter.rsplit_once("reason=").map_or("", |(_, reason)| reason);
    if deferred { ("service", service.to_owned()) } else { ("filter", reason.to_owned()) }
}

async fn summary(stack: &Stack) -> Result<String> {
    let streams = stack.admin().stat("cluster.ext-proc.upstream_rq_total").await?;
    Ok(format!(
        "Envoy opened {streams} ext-proc streams: one for each request that the service decided. \
         The filter decided the others inside Envoy."
    ))
}

/// Prints where everything is and never returns: a signal ends the demonstration.
async fn wait_for_requests(stack: &Stack) {
    println!("\nEverything runs until you press Ctrl-C. Send a request:\n\n  {}\n", curl(&stack.address().to_string()));
    println!("  configuration     {} (the service reloads it)", stack.directory().join("cellgate.yaml").display());
    println!("  Envoy admin       http://{}", stack.admin().address());
    let log = stack.envoy().example_log();
    println!("  Envoy access log  {}", log.display());
    println!("  one request       cellgate explain REQUEST-ID {}", log.display());
    println!("  service metrics   http://{}/metrics", stack.ext_proc().addresses().admin);
    std::future::pending().await
}

fn curl(address: &str) -> String {
    format!("curl -si http://{address}/ -H 'content-type: application/json' -d '{{\"tenant\":{{\"id\":\"acme\"}}}}'")
}

/// Milliseconds with one decimal.
fn milliseconds(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
}
