//! The CPU time of a call of RateLimitService, beside that of a call that does nothing.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cellgate_tests::ext_proc::ExtProc;
use cellgate_tests::measure::procfs::cpu_time;
use cellgate_tests::process::Process;
use cellgate_tests::valkey::{ServerOptions, Valkey};

use super::caller::{self, AT_ONCE, Caller};
use super::findings::{Findings, digits, spread};
use super::rounds::{self, BATCH, Rounds};
use super::service::{self, BY_STORE, PATIENT};
use crate::affinity::Split;
use crate::measure::{order, requests_for};
use crate::stats::Spread;

/// The calls before the measurement.
const WARM_UP: usize = 4_000;

/// What other parts compare their costs with.
pub(super) struct CallCosts {
    /// The CPU time of a call that does nothing, in microseconds.
    pub(super) noop: Spread,
}

/// A service, and what its calls have cost.
struct Callee {
    name: &'static str,
    program: CalleeProgram,
    store: Option<u32>,
    caller: Caller,
    /// The calls so far.
    made: usize,
    /// The calls of the next batch.
    calls: usize,
    costs: Vec<CallCost>,
}

enum CalleeProgram {
    Noop(Process),
    Cellgate(ExtProc),
}

/// Microseconds of CPU time for each call of a batch.
#[derive(Clone, Copy)]
struct CallCost {
    service: f64,
    store: f64,
}

/// Measures the three services.
///
/// # Errors
/// When one does not start, or a call is not admitted by the store.
pub(super) async fn measure(findings: &mut Findings) -> Result<CallCosts> {
    eprintln!("calls of RateLimitService: starting a no-op service, cellgate, and cellgate with Valkey");
    let (directories, store) =
        ([service::directory()?, service::directory()?], Valkey::start(ServerOptions::new()).await?);
    let [first, second] = &directories;
    let (noop, address) = service::noop(first.path()).await?;
    let config = caller::config();
    let embedded = service::cellgate(&config, first.path(), &[]).await?;
    let options = service::store_options(&store, Some(PATIENT), second.path())?;
    let shared = service::cellgate(&config, second.path(), &options).await?;
    let (embedded_address, shared_address) = (embedded.addresses().grpc, shared.addresses().grpc);
    let mut callees = [
        Callee::new("no-op", CalleeProgram::Noop(noop), None, Caller::connect(address).await?),
        Callee::new("embedded", CalleeProgram::Cellgate(embedded), None, Caller::connect(embedded_address).await?),
        Callee::new(
            "Valkey",
            CalleeProgram::Cellgate(shared),
            Some(store.pid()?),
            Caller::connect(shared_address).await?,
        ),
    ];
    let split = Split::new()?;
    if let Some(split) = &split {
        for pid in callees.iter().flat_map(Callee::pids) {
            split.measure(pid)?;
        }
    }
    for callee in &mut callees {
        eprintln!("warm-up of {}: {WARM_UP} calls", callee.name);
        callee.run(WARM_UP).await?;
        callee.batch().await?;
        callee.costs.clear();
    }
    let mut rounds = Rounds::new();
    loop {
        let [noop, embedded, shared] = &callees;
        let over = |callee: &Callee| ratios(callee, noop);
        let call = rounds::at_most("a call of RateLimitService over a no-op call", &over(embedded), 1.15);
        let stored = rounds::at_most("a call of RateLimitService with Valkey over a no-op call", &over(shared), 3.0);
        let is_unclear = call.unclear.is_some() || stored.unclear.is_some();
        let Some(round) = rounds.next(is_unclear) else {
            let noop = report(findings, &callees)?;
            findings.goal(call);
            findings.goal(stored);
            for callee in &callees {
                callee.prove().await?;
            }
            return Ok(CallCosts { noop });
        };
        for index in order(callees.len(), round) {
            let callee = callees.get_mut(index).context("a service")?;
            callee.batch().await.with_context(|| callee.name)?;
        }
        let latest = callees.iter().filter_map(|callee| {
            let cost = callee.costs.last()?;
            Some(format!("{} {:.1}", callee.name, cost.service))
        });
        eprintln!("  CPU time of a call in the service: {} µs", latest.collect::<Vec<_>>().join(", "));
    }
}

impl Callee {
    fn new(name: &'static str, program: CalleeProgram, store: Option<u32>, caller: Caller) -> Self {
        Self { name, program, store, caller, made: 0, calls: 1_000, costs: Vec::new() }
    }

    fn pid(&self) -> u32 {
        match &self.program {
            CalleeProgram::Noop(process) => process.pid(),
            CalleeProgram::Cellgate(service) => service.pid(),
        }
    }

    fn pids(&self) -> impl Iterator<Item = u32> {
        [Some(self.pid()), self.store].into_iter().flatten()
    }

    async fn run(&mut self, calls: usize) -> Result<()> {
        self.caller.run(calls).await?;
        self.made += calls;
        Ok(())
    }

    async fn batch(&mut self) -> Result<()> {
        let calls = self.calls;
        let used = || Ok::<_, anyhow::Error>((cpu_time(self.pid())?, self.store.map(cpu_time).transpose()?));
        let before = used()?;
        self.caller.run(calls).await?;
        let after = used()?;
        self.made += calls;
        let service = after.0.saturating_sub(before.0);
        let store = after.1.unwrap_or_default().saturating_sub(before.1.unwrap_or_default());
        self.calls = requests_for(BATCH, service + store, calls);
        self.costs.push(CallCost::new(service, store, calls));
        Ok(())
    }

    fn figure(&self, figure: fn(&CallCost) -> f64) -> Result<Spread> {
        Spread::of(self.costs.iter().map(figure)).context("no rounds")
    }

    /// The service's store has answered every call.
    async fn prove(&self) -> Result<()> {
        if let CalleeProgram::Cellgate(service) = &self.program {
            let answered = service.metric(BY_STORE).await?;
            ensure!(
                answered == self.made as f64,
                "{}: the store answered {answered} of {} calls",
                self.name,
                self.made
            );
        }
        Ok(())
    }
}

impl CallCost {
    fn new(service: Duration, store: Duration, calls: usize) -> Self {
        let each = |time: Duration| time.as_secs_f64() * 1e6 / calls as f64;
        Self { service: each(service), store: each(store) }
    }
}

/// The cost in one service over that in the other, round by round.
fn ratios(over: &Callee, under: &Callee) -> Vec<f64> {
    over.costs.iter().zip(&under.costs).map(|(over, under)| over.service / under.service).collect()
}

/// Returns the cost of a call that does nothing.
fn report(findings: &mut Findings, callees: &[Callee; 3]) -> Result<Spread> {
    let [noop, embedded, shared] = callees;
    let cost = noop.figure(|cost| cost.service)?;
    let shape = format!("{AT_ONCE} calls at a time on one connection");
    findings.add("gRPC call that does nothing (tonic)", spread(cost, "µs"), shape);
    for (callee, name) in [(embedded, "RateLimitService, embedded store"), (shared, "RateLimitService, Valkey")] {
        let ratio = Spread::of(ratios(callee, noop)).context("no rounds")?.median;
        let mut beside = format!("{} of the no-op call", digits(ratio));
        if callee.store.is_some() {
            beside += &format!("; in Valkey itself {}", spread(callee.figure(|cost| cost.store)?, "µs"));
        }
        findings.add(name, spread(callee.figure(|cost| cost.service)?, "µs"), beside);
    }
    Ok(cost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_that_of_one_call() {
        let cost = CallCost::new(Duration::from_millis(60), Duration::from_millis(30), 3_000);
        assert!((cost.service - 20.0).abs() < 1e-9 && (cost.store - 10.0).abs() < 1e-9);
    }
}
