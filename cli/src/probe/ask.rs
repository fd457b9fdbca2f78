//! Sends the requests one after the other, and checks the responses.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use tokio::time::Instant;

use super::Outcome;
use super::plan::{Expected, ProbePlan, Reach};
use crate::http_client::{RequestLimits, Server};
use cellgate_ext_proc::decide::Parts;

/// The interval between retries. Routes reach a gateway some seconds after they are applied, and no event tells a client when.
const INTERVAL: Duration = Duration::from_millis(500);

/// The timeout of one request.
const PATIENCE: Duration = Duration::from_secs(10);

/// The limit of a response body. A cell's name is far shorter.
const LONGEST_ANSWER: usize = 1 << 20;

/// How many characters of a response the report shows.
const SHOWN: usize = 80;

/// The gateway, and how to probe it.
#[derive(Clone, Debug)]
pub(crate) struct ProbeSettings {
    /// The gateway.
    pub(crate) server: Server,
    /// How long requests are retried.
    pub(crate) deadline: Duration,
    /// Whether to send a request that the filter must defer.
    pub(crate) deferral: bool,
}

/// A response, or why there is none.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Answer(u16, String),
    Nothing(String),
}

struct Probe<'a> {
    settings: &'a ProbeSettings,
    plan: &'a ProbePlan,
    until: Instant,
}

/// Sends all requests of the plan, and reports each outcome as soon as it is known.
pub(crate) async fn run(plan: &ProbePlan, settings: &ProbeSettings, mut report: impl FnMut(Outcome)) {
    let probe = Probe { settings, plan, until: Instant::now() + settings.deadline };
    for why in &plan.unreached {
        report(Outcome::Skipped(why.clone()));
    }
    for reach in &plan.reached {
        report(probe.reaches(reach).await);
    }
    for reach in &plan.reached {
        report(probe.cannot_be_spoofed(reach).await);
    }
    if let Some(reach) = plan.reached.first() {
        report(probe.other_spelling(reach).await);
    }
    match &plan.without_key {
        Some((parts, expected)) => report(probe.without_key(parts, expected).await),
        None => report(Outcome::Skipped("a request without a key: no such request is in scope".into())),
    }
    match &plan.large {
        _ if !settings.deferral => report(Outcome::Skipped("a large body: --no-deferral".into())),
        None => report(Outcome::Skipped(
            "a large body: no source reads bodies, or limits.stream_bytes is not above limits.inspect_bytes".into(),
        )),
        Some(reach) => report(probe.large(reach).await),
    }
}

impl Probe<'_> {
    async fn reaches(&self, reach: &Reach) -> Outcome {
        let what = format!("{}: reached by {}", reach.cell, reach.by);
        self.cell(&what, &reach.parts, None, &reach.cell, |_| false).await
    }

    async fn cannot_be_spoofed(&self, reach: &Reach) -> Outcome {
        let (name, other) = (&self.plan.routing_header, self.other(&reach.cell));
        let what = format!("{}: still reached with a client's own {name}: {other}", reach.cell);
        self.cell(&what, &reach.parts, Some((name, other)), &reach.cell, |seen| self.is_other_cell(seen, &reach.cell))
            .await
    }

    async fn large(&self, reach: &Reach) -> Outcome {
        let bytes = reach.parts.body.as_ref().map_or(0, Vec::len);
        let what = format!("{}: reached by {} behind {bytes} bytes, through the service", reach.cell, reach.by);
        self.cell(&what, &reach.parts, None, &reach.cell, |seen| self.is_other_cell(seen, &reach.cell)).await
    }

    /// For Envoy, the spelling with an underscore is another header. Some servers take both for the same one.
    async fn other_spelling(&self, reach: &Reach) -> Outcome {
        let name = self.plan.routing_header.replace('-', "_");
        if name == self.plan.routing_header {
            return Outcome::Skipped(format!("{name} has no other spelling with underscores"));
        }
        let other = self.other(&reach.cell);
        let what = format!("a client's own {name}: {other} is refused or ignored");
        let seen = self.ask(&reach.parts, Some((&name, other))).await;
        match &seen {
            Seen::Answer(400, _) => Outcome::Ok(format!("{what} (400)")),
            Seen::Answer(200, cell) if *cell == reach.cell => Outcome::Ok(format!("{what} ({cell})")),
            _ => Outcome::Failed(format!("{what}: expected 400, or 200 from {}; {}", reach.cell, seen.text())),
        }
    }

    async fn without_key(&self, parts: &Parts, expected: &Expected) -> Outcome {
        let name = &self.plan.routing_header;
        let other = match expected {
            Expected::Cell(cell) => self.other(cell),
            Expected::Status(_) | Expected::Undecided => self.other(""),
        };
        let what = format!("without a key, with a client's own {name}: {other}");
        let (seen, wanted) = match expected {
            Expected::Cell(cell) => {
                return self.cell(&what, parts, Some((name, other)), cell, |seen| self.is_other_cell(seen, cell)).await;
            }
            Expected::Status(status) => {
                let seen = self.ask(parts, Some((name, other))).await;
                if matches!(&seen, Seen::Answer(actual, _) if actual == status) {
                    return Outcome::Ok(format!("{what}: refused with {status}"));
                }
                (seen, format!("the policy's status {status}"))
            }
            Expected::Undecided => {
                let (plain, seen) = (self.ask(parts, None).await, self.ask(parts, Some((name, other))).await);
                if plain == seen && matches!(seen, Seen::Answer(..)) {
                    return Outcome::Ok(format!("{what}: as without the header, {}", seen.text()));
                }
                (seen, format!("what comes without the header: {}", plain.text()))
            }
        };
        Outcome::Failed(format!("{what}: expected {wanted}; {}", seen.text()))
    }

    /// Retries until the cell responds, the deadline passes, or the response cannot become right by waiting.
    async fn cell(
        &self,
        what: &str,
        parts: &Parts,
        extra: Option<(&str, &str)>,
        cell: &str,
        is_final: impl Fn(&Seen) -> bool,
    ) -> Outcome {
        loop {
            let seen = self.ask(parts, extra).await;
            if matches!(&seen, Seen::Answer(200, name) if name == cell) {
                return Outcome::Ok(what.to_owned());
            }
            if is_final(&seen) || Instant::now() >= self.until {
                let waited =
                    if is_final(&seen) { String::new() } else { format!(", for {:?}", self.settings.deadline) };
                return Outcome::Failed(format!("{what}: expected 200 from {cell}{waited}; {}", seen.text()));
            }
            tokio::time::sleep_until(self.until.min(Instant::now() + INTERVAL)).await;
        }
    }

    async fn ask(&self, parts: &Parts, extra: Option<(&str, &str)>) -> Seen {
        let server = &self.settings.server;
        let method = parts.method.as_deref().unwrap_or("GET");
        let mut request = Request::builder().method(method).uri(parts.path.as_deref().unwrap_or("/"));
        for (name, value) in parts.headers.iter().filter_map(|header| header.split_once(':')) {
            request = request.header(name.trim(), value.trim());
        }
        if let Some((name, value)) = extra {
            request = request.header(name, value);
        }
        let body = parts.body.clone().map(Bytes::from).unwrap_or_default();
        let request = match request.body(Full::new(body)) {
            Ok(request) => request,
            Err(error) => return Seen::Nothing(error.to_string()),
        };
        let left = self.until.saturating_duration_since(Instant::now());
        let limits = RequestLimits { time: left.clamp(Duration::from_secs(1), PATIENCE), bytes: LONGEST_ANSWER };
        match server.send(request, limits).await {
            Ok(answer) => Seen::Answer(answer.status, String::from_utf8_lossy(&answer.body).trim().to_owned()),
            Err(error) => Seen::Nothing(format!("{}: {error}", server.url(""))),
        }
    }

    /// Another cell, or a name that is not a cell if there is only one.
    fn other(&self, cell: &str) -> &str {
        self.plan.cells.iter().find(|other| **other != cell).map_or("cellgate-probe-nowhere", |other| other)
    }

    fn is_other_cell(&self, seen: &Seen, cell: &str) -> bool {
        matches!(seen, Seen::Answer(200, name) if name != cell && self.plan.cells.contains(name))
    }
}

impl Seen {
    fn text(&self) -> String {
        match self {
            Self::Nothing(why) => format!("no answer: {why}"),
            Self::Answer(status, body) if body.is_empty() => format!("got {status}"),
            Self::Answer(status, body) => {
                let shown: String = body.chars().take(SHOWN).collect();
                format!("got {status} {shown:?}")
            }
        }
    }
}
