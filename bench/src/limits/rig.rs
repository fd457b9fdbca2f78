//! Envoy with the filter, and what its requests cost.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cellgate_tests::cell::Cell;
use cellgate_tests::measure::procfs::cpu_time;
use cellgate_tests::options::{Chain, Options};
use cellgate_tests::stack::Stack;

use crate::bootstrap;
use crate::cases::{BUFFER_LIMIT, Case, NamedBy, SIZES};
use crate::exchange::{Exchange, Protocol};
use crate::load::{CONNECTIONS, Client};
use crate::measure::requests_for;
use crate::stats::Spread;
use crate::timed::TimedReport;

/// The requests of each kind before the measurement: V8 optimises a function only after many calls.
const WARM_UP: u64 = 10_000;

/// The filter has leases long before this.
const WARM_UP_TIME: Duration = Duration::from_secs(60);

/// The CPU time of a batch. The difference is small, so many short batches are better than few long ones: a disturbance
/// of the machine then affects both kinds of requests alike.
const BATCH: Duration = Duration::from_millis(20);

/// A decision that takes longer than nine in ten has met a disturbance.
const UNDISTURBED: f64 = 0.9;

/// Batches of which the service has decided a request, at most.
const MOST_REPEATED: usize = 60;

/// Envoy's counter of requests that the filter has handed to the service.
const HANDED_OVER: &str = "cluster.ext-proc.upstream_rq_total";

/// Starts Envoy with the filter, the service and the cells.
///
/// # Errors
/// When a part does not start.
pub(super) async fn start(options: Options) -> Result<Rc<Stack>> {
    let options = options.chain(Chain::TwoTier).buffer_limit(BUFFER_LIMIT).adjust(|bootstrap| {
        // An access log would only add to the noise.
        if let Some(manager) = bootstrap::connection_manager(bootstrap) {
            manager.remove("access_log");
        }
    });
    Ok(Rc::new(Stack::try_start(options).await?))
}

/// Requests through Envoy with the filter, and what they have cost.
pub(super) struct FilterRig {
    /// The name in messages.
    pub(super) name: &'static str,
    /// Envoy, the service and the cells.
    pub(super) stack: Rc<Stack>,
    client: Client,
    exchanges: Arc<[Exchange]>,
    /// The requests of the next batch.
    requests: usize,
    /// Microseconds of CPU time of Envoy for each request, by batch.
    pub(super) costs: Vec<f64>,
    /// Microseconds in the filter until the decision, by batch.
    pub(super) decisions: Vec<f64>,
    /// Whether the leased limit counts them. Otherwise none reaches the service.
    is_leased: bool,
    /// The requests since the warm-up.
    pub(super) sent: SentRequests,
}

/// A batch of requests.
struct FilterBatch {
    /// Microseconds of CPU time of Envoy for each request.
    envoy: f64,
    requests: u64,
    /// Requests that the service has decided.
    handed_over: u64,
}

/// The requests of all batches, also of those that were repeated.
#[derive(Clone, Copy, Default)]
pub(super) struct SentRequests {
    /// All.
    pub(super) requests: u64,
    /// Those that the service has decided.
    pub(super) handed_over: u64,
    /// The batches that were repeated.
    pub(super) repeated: usize,
}

impl FilterRig {
    /// Requests to `path` through the Envoy of `stack`.
    ///
    /// # Errors
    /// When Envoy does not accept connections.
    pub(super) async fn new(
        name: &'static str,
        stack: &Rc<Stack>,
        path: &'static str,
        is_leased: bool,
    ) -> Result<Self> {
        let client = Client::connect(stack.address(), Protocol::Http1, CONNECTIONS).await?;
        let [tiny, ..] = SIZES;
        let case = Case::plain(tiny);
        let exchanges = case.exchanges(&case.bodies(), NamedBy::Body);
        let exchanges = exchanges.iter().map(|exchange| Exchange { path, ..exchange.clone() }).collect();
        let stack = Rc::clone(stack);
        Ok(Self {
            name,
            stack,
            client,
            exchanges,
            requests: 500,
            costs: Vec::new(),
            decisions: Vec::new(),
            is_leased,
            sent: SentRequests::default(),
        })
    }

    /// Sends requests until the filter has decided [`WARM_UP`] of them, and forgets what they cost.
    ///
    /// # Errors
    /// When a request has a wrong result, or the filter gets no leases.
    pub(super) async fn warm_up(&mut self) -> Result<()> {
        eprintln!("warm-up of the {}: {WARM_UP} requests that the filter decides", self.name);
        let (mut decided, start) = (0, Instant::now());
        while decided < WARM_UP {
            let batch = self.batch().await?;
            decided += batch.requests.saturating_sub(batch.handed_over);
            ensure!(
                start.elapsed() < WARM_UP_TIME,
                "in {} s the filter has decided only {decided} requests; the service decided {} of the last {}",
                WARM_UP_TIME.as_secs(),
                batch.handed_over,
                batch.requests
            );
        }
        Ok(())
    }

    /// Measures a batch in which the filter has decided every request. A batch with a request that the service has decided
    /// is repeated: the filter had no lease for it.
    ///
    /// # Errors
    /// When a request has a wrong result, or too many batches are repeated.
    pub(super) async fn measure(&mut self) -> Result<()> {
        loop {
            // Forgets the other rig's decisions.
            TimedReport::fetch(self.stack.address()).await?;
            let FilterBatch { envoy, requests, handed_over } = self.batch().await?;
            let report = TimedReport::fetch(self.stack.address()).await?;
            self.sent.requests += requests;
            self.sent.handed_over += handed_over;
            if handed_over == 0 {
                let nanoseconds = report.decisions.mean_of_shortest(UNDISTURBED).context("no decisions")?;
                self.decisions.push(nanoseconds / 1000.0);
                self.costs.push(envoy);
                return Ok(());
            }
            ensure!(self.is_leased, "the filter handed over {handed_over} requests that no limit counts");
            self.sent.repeated += 1;
            ensure!(
                self.sent.repeated <= MOST_REPEATED,
                "the filter has no leases for some requests: of the last {requests}, the service decided {handed_over}"
            );
        }
    }

    async fn batch(&mut self) -> Result<FilterBatch> {
        let requests = self.requests;
        let envoy = self.stack.envoy().process().pid();
        let (arrived, handed_over) = (arrived(self.stack.cells()), self.stack.admin().stat(HANDED_OVER).await?);
        let before = cpu_time(envoy)?;
        self.client.run(&self.exchanges, requests).await?;
        let used = cpu_time(envoy)?.saturating_sub(before);
        let arrived = self::arrived(self.stack.cells()) - arrived;
        ensure!(arrived == requests as u64, "{arrived} of {requests} requests reached the cells");
        let handed_over = self.stack.admin().stat(HANDED_OVER).await?.saturating_sub(handed_over);
        self.requests = requests_for(BATCH, used, requests);
        Ok(FilterBatch { envoy: used.as_secs_f64() * 1e6 / requests as f64, requests: requests as u64, handed_over })
    }

    /// Sends `rate` requests a second, for the duration `time`.
    ///
    /// # Errors
    /// At the first request that has a wrong result.
    pub(super) async fn send_slowly(&mut self, rate: u32, time: Duration) -> Result<()> {
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
        let end = Instant::now() + time;
        while ticks.tick().await.into_std() < end {
            self.client.run(&self.exchanges, 1).await?;
        }
        Ok(())
    }

    /// Microseconds in the filter until the decision.
    ///
    /// # Errors
    /// When there are no rounds.
    pub(super) fn decision(&self) -> Result<Spread> {
        Spread::of(self.decisions.iter().copied()).context("no rounds")
    }

    /// Microseconds of CPU time of Envoy for each request.
    ///
    /// # Errors
    /// When there are no rounds.
    pub(super) fn cost(&self) -> Result<Spread> {
        Spread::of(self.costs.iter().copied()).context("no rounds")
    }
}

fn arrived(cells: &[Cell]) -> u64 {
    cells.iter().map(Cell::complete).sum()
}
