//! `make demo-observe`: the demonstration's Envoy and service with a real Jaeger and a real Prometheus, and a little load. It
//! prints two traces as text, some figures, and where to look.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cellgate_tests::client::Request;
use cellgate_tests::envoy::Tracing;
use cellgate_tests::jaeger::{Jaeger, Trace};
use cellgate_tests::options::Options;
use cellgate_tests::prometheus::{Prometheus, Target};
use cellgate_tests::stack::Stack;
use cellgate_tests::wait;

use super::scenario::{self, BUFFER_LIMIT, Protocol};

/// How long the load lasts. A rate in Prometheus needs several scrapes, which are a second apart.
const LOAD: Duration = Duration::from_secs(6);

/// The pause between two rounds of the load.
const PAUSE: Duration = Duration::from_millis(100);

/// The service names in the traces.
const GATEWAY: &str = "gateway";
const SERVICE: &str = "cellgate";

/// The figures that are printed: a name, and its expression.
const FIGURES: [(&str, &str); 4] = [
    (
        "requests per second in Envoy",
        r#"sum(rate(envoy_http_downstream_rq_total{envoy_http_conn_manager_prefix="in"}[5s]))"#,
    ),
    ("decided by the service per second", "sum(rate(cellgate_decisions_total[5s]))"),
    (
        "median decision of the service, in ms",
        "1000 * histogram_quantile(0.5, sum by (le) (rate(cellgate_decision_seconds_bucket[5s])))",
    ),
    ("rejected by the filter per second", r#"sum(rate(cellgate_decisions{outcome="reject"}[5s]))"#),
];

/// All parts. Dropping it stops them.
struct Observed {
    stack: Stack,
    jaeger: Jaeger,
    prometheus: Prometheus,
}

/// Runs it. Returns whether everything was as expected.
///
/// # Errors
/// When a part does not start, or no trace and no figure comes.
pub(crate) async fn run(keep: bool) -> Result<bool> {
    let started = Instant::now();
    eprintln!("demo: starting Envoy, the service, three cells, Jaeger and Prometheus …");
    let observed = Observed::start().await?;
    eprintln!("demo: ready after {} ms", started.elapsed().as_millis());
    let sent = observed.load_for(LOAD).await?;
    let figures = observed.figures_under_load().await?;

    let deferred = observed.trace_of("/observed/deferred", true).await?;
    let filtered = observed.trace_of("/observed/filter", false).await?;
    println!(
        "A request that the service decided: the filter deferred it, because its body is larger than it may hold.\n"
    );
    println!("{deferred}");
    println!("A request that the filter decided alone:\n\n{filtered}");
    println!("From Prometheus, after {sent} requests:\n");
    for ((name, _), value) in FIGURES.iter().zip(figures) {
        println!("  {value:8.1}  {name}");
    }
    println!();
    observed.print_addresses()?;
    let is_one = deferred.roots().count() == 1 && deferred.of(SERVICE).count() > 0;
    println!("\ndemo: one request was {}", if is_one { "one trace" } else { "NOT one trace" });
    if keep {
        println!("\nEverything runs, with a little load, until you press Ctrl-C.");
        loop {
            observed.round().await?;
        }
    }
    println!("To look around yourself, run `make demo-observe KEEP=1`.");
    Ok(is_one)
}

impl Observed {
    async fn start() -> Result<Self> {
        let jaeger = Jaeger::start().await?;
        let collector = jaeger.otlp()?;
        let tracing = Tracing::to(collector)?;
        let options = Options::default()
            .example()
            .config(scenario::config())
            .buffer_limit(BUFFER_LIMIT)
            .service_option("--otlp-endpoint", &format!("http://{collector}"))
            .adjust(move |bootstrap| tracing.add_to(bootstrap));
        let stack = Stack::try_start(options).await?;
        let service = Target { job: "cellgate", address: stack.ext_proc().addresses().admin, path: "/metrics" };
        let envoy = Target { job: "envoy", address: stack.admin().address(), path: "/stats/prometheus" };
        let prometheus = Prometheus::start(&[service, envoy], &[]).await?;
        Ok(Self { stack, jaeger, prometheus })
    }

    /// Sends rounds of requests for this time. Returns the number of requests.
    async fn load_for(&self, time: Duration) -> Result<usize> {
        let until = Instant::now() + time;
        let mut sent = 0;
        while Instant::now() < until {
            sent += self.round().await?;
        }
        Ok(sent)
    }

    /// Sends the demonstration's requests once, and the two whose traces are printed. Returns their number.
    async fn round(&self) -> Result<usize> {
        let late = format!(r#"{{"items":"{}","tenant":{{"id":"acme"}}}}"#, "x".repeat(2 * BUFFER_LIMIT as usize));
        let early = r#"{"tenant":{"id":"acme"}}"#;
        for (path, body) in [("/observed/deferred", late.as_str()), ("/observed/filter", early)] {
            self.stack.connect().await.send(&Request::post(path).json(body.to_owned())).await?;
        }
        let mut sent = 2;
        for scenario in scenario::before_the_edit() {
            let request = scenario.request();
            match scenario.protocol {
                Protocol::Http1 => self.stack.connect().await.send(&request).await?,
                Protocol::Http2 => self.stack.connect_h2().await.send(&request).await?,
            };
            sent += 1;
        }
        #[expect(clippy::disallowed_methods, reason = "the load is to be little")]
        tokio::time::sleep(PAUSE).await;
        Ok(sent)
    }

    /// The trace of the first request with this path, with or without spans of the service.
    async fn trace_of(&self, path: &str, with_service: bool) -> Result<Trace> {
        let line = self.stack.envoy().access_line(path).await;
        let tags = [("guid:x-request-id", line.text("id"))];
        wait::until(&format!("the trace of {path}"), || async {
            let found = self.jaeger.search(GATEWAY, &tags).await?;
            ensure!(found.len() < 2, "the request has {} traces", found.len());
            let is_whole =
                |trace: &Trace| trace.of(GATEWAY).count() > 1 && (trace.of(SERVICE).count() > 0) == with_service;
            Ok(found.into_iter().find(is_whole))
        })
        .await
    }

    /// The values of [`FIGURES`]. The load goes on meanwhile: rates fall to 0 as soon as it ends.
    async fn figures_under_load(&self) -> Result<Vec<f64>> {
        let figures = async {
            let mut figures = Vec::new();
            for (_, expression) in FIGURES {
                figures.push(self.figure(expression).await?);
            }
            Ok(figures)
        };
        let load = async {
            loop {
                self.round().await?;
            }
        };
        tokio::select! {
            figures = figures => figures,
            error = load => error,
        }
    }

    /// The value of an expression in Prometheus, once it is above 0.
    async fn figure(&self, expression: &str) -> Result<f64> {
        let number = |series: &[serde_json::Value]| -> Option<f64> {
            let value: f64 = series.first()?["value"][1].as_str()?.parse().ok()?;
            (value.is_finite() && value > 0.0).then_some(value)
        };
        let series = self.prometheus.query_that(expression, |series| number(series).is_some()).await?;
        number(&series).context("no number")
    }

    fn print_addresses(&self) -> Result<()> {
        let Self { stack, jaeger, prometheus } = self;
        let row = |what: &str, address: SocketAddr, path: &str| println!("  {what:18} http://{address}{path}");
        row("Jaeger's page", jaeger.query()?, "/");
        row("traces as JSON", jaeger.query()?, "/api/traces?service=gateway&limit=20");
        row("Prometheus", prometheus.address()?, "/graph?g0.expr=cellgate_decisions_total&g0.tab=0");
        row("service metrics", stack.ext_proc().addresses().admin, "/metrics");
        row("Envoy metrics", stack.admin().address(), "/stats/prometheus?filter=cellgate");
        println!("  {:18} {}", "Envoy access log", stack.directory().join("access.log").display());
        println!("  {:18} {}", "a request", super::curl(&stack.address().to_string()));
        println!(
            "\nThe Jaeger that scripts/jaeger.sh builds has no page; set JAEGER to one of your own to see its page."
        );
        Ok(())
    }
}
