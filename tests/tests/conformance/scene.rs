//! The parts that a case works with, and how it sees its result.

use anyhow::{Context, Result, bail, ensure};
use cellgate_tests::cell::{Ending, Seen};
use cellgate_tests::client::{Request, Response};
use cellgate_tests::envoy::AccessLine;
use cellgate_tests::stack::Stack;
use cellgate_tests::{sha256, wait};

use crate::case::Mode;
use crate::observed::{Arrival, Client, Observed, Part};
use crate::setup::Running;
use crate::support::{bytes_read, key_first, key_last, read_by_envoy};
use crate::upload::{Framing, Upload};

/// The size of the first part of a body that a case sends in parts.
pub(crate) const FIRST: usize = 5_000;

/// The cell of the key `acme`, which every case sends unless it says otherwise.
pub(crate) const CELL: &str = "cell-b";

/// A running setup, and the request of one case.
#[derive(Clone)]
pub(crate) struct Scene<'a> {
    pub(crate) running: &'a Running,
    pub(crate) mode: Mode,
    /// Of the request, and of no other case.
    pub(crate) path: String,
}

impl Scene<'_> {
    pub(crate) fn stack(&self) -> &Stack {
        self.running.stack()
    }

    /// A body that leads to this mode. Its key is `acme`.
    pub(crate) fn body(&self) -> String {
        match self.mode {
            Mode::Hold => key_last("acme", 20_000),
            Mode::Peek => key_first("acme", 200_000),
            Mode::Deferred | Mode::Streamed | Mode::Buffered | Mode::ByHand => key_last("acme", 200_000),
        }
    }

    /// A body whose key is so early that the service sends the rest back while it arrives. The filter sees no key in
    /// its first chunk, except in peek mode.
    pub(crate) fn early(&self) -> String {
        match self.mode {
            Mode::Deferred => format!(r#"{{"y":"{}",{}"#, "p".repeat(100_000), &key_first("acme", 400_000)[1..]),
            _ => key_first("acme", 500_000),
        }
    }

    /// A POST with a JSON body that is not sent yet.
    pub(crate) fn json(&self) -> Request {
        Request::post(&self.path).header("content-type", "application/json")
    }

    /// Sends the head.
    pub(crate) async fn open(&self, framing: Framing, length: usize) -> Upload {
        Upload::open(self.stack(), framing, &self.path, length).await
    }

    /// Sends a part of the body, and waits until Envoy has read it.
    pub(crate) async fn send(&self, upload: &mut Upload, part: &[u8]) {
        let before = bytes_read(self.stack()).await;
        upload.send(part).await;
        read_by_envoy(self.stack(), before + part.len()).await;
    }

    /// Sends the head and the first part of a body.
    pub(crate) async fn begin(&self, framing: Framing, body: &str) -> Upload {
        self.begin_with(framing, self.json(), body).await
    }

    /// Sends the head of any request and the first part of a body.
    pub(crate) async fn begin_with(&self, framing: Framing, request: Request, body: &str) -> Upload {
        let mut upload = Upload::open_with(self.stack(), framing, request, body.len()).await;
        // Envoy has read the head before the part is on its way, so the two are separate reads.
        self.stack().admin().wait_for_stat("http.in.downstream_rq_active", |active| active > 0).await;
        self.send(&mut upload, &body.as_bytes()[..FIRST]).await;
        upload
    }

    /// Sends a body in two parts, and sees the result.
    pub(crate) async fn in_two_parts(&self, framing: Framing, body: &str) -> Result<Observed> {
        let mut upload = self.begin(framing, body).await;
        upload.send(&body.as_bytes()[FIRST..]).await;
        self.observe(upload.finish().await, body.as_bytes()).await
    }

    /// The result of a request that has ended. `body` is what the client sent.
    ///
    /// # Errors
    /// When the client waited in vain, or the request did not go the way of its mode.
    pub(crate) async fn observe(&self, answer: Result<Response>, body: &[u8]) -> Result<Observed> {
        let line = self.access_line().await?;
        let client = client(answer, line.text("details"))?;
        self.see(client, body).await
    }

    /// The result of a request whose client has gone.
    pub(crate) async fn observe_gone(&self, body: &[u8]) -> Result<Observed> {
        self.access_line().await?;
        self.see(Client::Gone, body).await
    }

    /// The result of a request that Envoy does not log.
    pub(crate) async fn observe_unlogged(&self, answer: Result<Response>, body: &[u8]) -> Result<Observed> {
        let client = client(answer, "")?;
        self.see(client, body).await
    }

    /// The line of the access log, which Envoy writes when the request has ended.
    pub(crate) async fn access_line(&self) -> Result<AccessLine> {
        let envoy = self.stack().envoy();
        let found = || async { Ok(envoy.access_log()?.into_iter().find(|line| line.text("path") == self.path)) };
        wait::until("the line of the access log", found).await
    }

    /// Waits until the request has reached a cell.
    pub(crate) async fn arrived(&self) -> Result<()> {
        wait::until("the request at a cell", || async { Ok((!self.seen().is_empty()).then_some(())) }).await
    }

    /// Waits until the service has this many requests in progress.
    pub(crate) async fn service_has(&self, streams: f64) -> Result<()> {
        let service = self.stack().ext_proc();
        let reached = || async { Ok((service.metric("cellgate_streams_open").await? == streams).then_some(())) };
        wait::until("the streams of the service", reached).await
    }

    fn seen(&self) -> Vec<(String, Seen)> {
        let at = |cell: &cellgate_tests::cell::Cell| {
            let name = cell.name().to_owned();
            cell.seen()
                .into_iter()
                .filter(|seen| seen.path == self.path)
                .map(move |seen| (name.clone(), seen))
                .collect()
        };
        self.stack().cells().iter().flat_map::<Vec<_>, _>(at).collect()
    }

    async fn see(&self, client: Client, body: &[u8]) -> Result<Observed> {
        let ended = || async {
            let seen = self.seen();
            Ok(seen.iter().all(|(_, seen)| seen.ending != Ending::Open).then_some(seen))
        };
        let hash = sha256(body);
        let arrivals = wait::until("the end of the request at its cell", ended).await?;
        let arrivals = arrivals.into_iter().map(|(cell, seen)| {
            let part = match seen.ending {
                // A tunnel has no hash.
                Ending::Complete if seen.sha256 == hash || seen.sha256.is_empty() => Part::Whole,
                Ending::Complete => Part::Altered,
                Ending::Open | Ending::Broken => Part::Incomplete,
            };
            Arrival { cell, part }
        });
        Ok(Observed { client, arrivals: arrivals.collect(), remark: None })
    }
}

/// The client's view. Envoy's details explain a refusal without a problem document.
fn client(answer: Result<Response>, details: &str) -> Result<Client> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if format!("{error:#}").starts_with("waited") => bail!("{error:#}"),
        Err(_) => return Ok(Client::Reset),
    };
    let status = answer.status.as_u16();
    if let Some(cell) = answer.served_by() {
        return Ok(Client::Answered { status, cell: cell.to_owned() });
    }
    let problem: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
    let code = problem.as_ref().and_then(|problem| problem["code"].as_str());
    let reason = code.map_or_else(|| plain(details), str::to_owned);
    Ok(Client::Refused { status, reason })
}

/// Envoy's details without what differs from run to run.
fn plain(details: &str) -> String {
    let end = details.find(['{', '(']).unwrap_or(details.len());
    // The code is 13 or 14, by whether Envoy sees the stream or the connection end first.
    let end = details[..end].find("gRPC_error_").map_or(end, |start| start + "gRPC_error".len());
    details[..end].trim_end_matches(['_', ':', '.']).to_owned()
}

/// Counts the ext_proc streams of a case, to see that it went the way of its mode.
pub(crate) async fn check_mode(running: &Running, mode: Mode, before: u64) -> Result<()> {
    let Some(stack) = running.try_stack() else { return Ok(()) };
    let streams = streams(stack).await?.checked_sub(before).context("a counter went back")?;
    ensure!(streams == 0 || !mode.is_filter_only(), "{streams} streams to the service, in a case of the filter");
    ensure!(streams > 0 || mode != Mode::Deferred, "no stream to the service, in a case of both tiers");
    Ok(())
}

/// Envoy's count of ext_proc streams.
pub(crate) async fn streams(stack: &Stack) -> Result<u64> {
    let admin = stack.admin();
    // A stream to a service that is down counts only as a failure.
    let failed = admin.stat("cluster.ext-proc.upstream_rq_pending_failure_eject").await?;
    Ok(failed + admin.stat("cluster.ext-proc.upstream_rq_total").await?)
}
