//! A stack that tells the reason of every decision, and what became of every body.

use cellgate_routing::Reason;
use cellgate_tests::cell::Ending;
use cellgate_tests::client::{Request, Response};
use cellgate_tests::corpus::Case;
use cellgate_tests::options::Options;
use cellgate_tests::stack::Stack;
use cellgate_tests::{sha256, wait};
use serde_json::{Value, json};

use super::Framing;
use super::table::{Table, Verdict};
use crate::support::{bytes_read, connection_manager, may_close_the_processors_stream, read_by_envoy};
use crate::upload::{self, Upload};

/// The request header that tells the cases apart at the cells.
const NUMBER: &str = "x-number";

pub(super) struct Rig {
    stack: Stack,
    sent: Vec<Sent>,
}

/// One request and its answer.
struct Sent {
    case: String,
    framing: Framing,
    sha256: String,
    verdict: Verdict,
}

impl Rig {
    pub(super) async fn start(options: Options) -> Self {
        Self { stack: Stack::start(options.adjust(tell_reasons)).await, sent: Vec::new() }
    }

    pub(super) async fn may_close_the_processors_stream(&self) -> bool {
        may_close_the_processors_stream(&self.stack).await
    }

    /// Sends a case.
    pub(super) async fn send(&mut self, case: &Case, framing: Framing) -> Verdict {
        let request = request(case, framing).header(NUMBER, self.sent.len().to_string());
        let response = self.stack.connect().await.send(&request).await;
        self.record(case, framing, response)
    }

    /// Sends a case with a body whose first chunk Envoy reads alone.
    pub(super) async fn send_in_two(&mut self, case: &Case, framing: Framing, first: usize) -> Verdict {
        let body = case.body.as_deref().unwrap_or_default();
        let (first, rest) = body.split_at(first);
        let request = head(case).header(NUMBER, self.sent.len().to_string());
        let framing_on_the_wire = match framing {
            Framing::ContentLength => upload::Framing::Http1,
            Framing::Chunked => upload::Framing::Http1Chunked,
        };
        let requests = self.stack.admin().stat("http.in.downstream_rq_total").await.unwrap();
        let mut upload = Upload::open_with(&self.stack, framing_on_the_wire, request, body.len()).await;
        self.stack.admin().wait_for_stat("http.in.downstream_rq_total", |count| count > requests).await;
        let before = bytes_read(&self.stack).await;
        upload.send(first).await;
        if !rest.is_empty() {
            read_by_envoy(&self.stack, before + first.len()).await;
            upload.send(rest).await;
        }
        let response = upload.finish().await;
        self.record(case, framing, response)
    }

    fn record(&mut self, case: &Case, framing: Framing, response: anyhow::Result<Response>) -> Verdict {
        let verdict = match response {
            Ok(response) => read(&response),
            Err(error) => Verdict::new("no answer", format!("{error:#}")),
        };
        let sha256 = sha256(case.body.as_deref().unwrap_or_default());
        self.sent.push(Sent { case: case.name.clone(), framing, sha256, verdict: verdict.clone() });
        verdict
    }

    /// Each routed request must have arrived once, whole and unchanged, in its cell; a refused one nowhere.
    pub(super) async fn check_deliveries(&self, table: &mut Table) {
        let open = || async {
            Ok(self.stack.cells().iter().all(|cell| cell.arrived() == cell.complete() + cell.broken()).then_some(()))
        };
        wait::until("the cells to be idle", open).await.unwrap();
        let mut arrived = vec![Vec::new(); self.sent.len()];
        for cell in self.stack.cells() {
            for seen in cell.seen().into_iter().filter(|seen| seen.ending == Ending::Complete) {
                let number: usize = seen.header(NUMBER)[0].parse().unwrap();
                arrived[number].push(format!("{} {}", cell.name(), seen.sha256));
            }
        }
        for (sent, arrived) in self.sent.iter().zip(arrived) {
            let routed = sent.verdict.outcome.starts_with("cell-");
            let wanted = if routed { vec![format!("{} {}", sent.verdict.outcome, sent.sha256)] } else { Vec::new() };
            if arrived != wanted {
                let what = format!("{}: wanted deliveries {wanted:?}, got {arrived:?}", sent.verdict);
                table.differs(&format!("{:?}", sent.framing), &sent.case, &what);
            }
        }
    }
}

/// A case as a request.
pub(super) fn request(case: &Case, framing: Framing) -> Request {
    let request = head(case);
    match (&case.body, framing) {
        (None, _) => request,
        (Some(body), Framing::ContentLength) => request.body(body.clone()),
        (Some(body), Framing::Chunked) => {
            request.pieces(body.chunks(body.len().div_ceil(8).max(1)).map(<[u8]>::to_vec))
        }
    }
}

fn head(case: &Case) -> Request {
    let request = Request::new(case.method, &case.path);
    case.headers.iter().fold(request, |request, (name, value)| request.header(name, value))
}

/// Has Envoy put into every answer what the tiers noted for its access log.
fn tell_reasons(bootstrap: &mut Value) {
    let header = |name: &str, value: &str| json!({"header": {"key": name, "value": value}});
    connection_manager(bootstrap)["route_config"]["virtual_hosts"][0]["response_headers_to_add"] = json!([
        header("x-filter", "%FILTER_STATE(wasm.cellgate:PLAIN)%"),
        header("x-service", "%DYNAMIC_METADATA(cellgate:reason)%"),
    ]);
}

/// The decision that an answer tells of.
fn read(response: &Response) -> Verdict {
    let noted = |name| response.header(name).filter(|value| !matches!(*value, "" | "-"));
    let filter = noted("x-filter").map(|note| note.split_once(";reason=").map_or(note, |(_, reason)| reason));
    match response.served_by() {
        Some(cell) => Verdict::new(cell, noted("x-service").or(filter).unwrap_or("no reason")),
        None => {
            let refusal = refusal(response);
            Verdict::new(response.status.as_str(), refusal.as_deref().or(noted("x-filter")).unwrap_or("envoy"))
        }
    }
}

/// The reason in a problem document, or in the gRPC status that Envoy makes of one.
fn refusal(response: &Response) -> Option<String> {
    if let Some(message) = response.header("grpc-message") {
        let reason = Reason::ALL.iter().find(|reason| message.contains(reason.text()))?;
        return Some(reason.label().to_owned());
    }
    let problem: Value = serde_json::from_slice(&response.body).ok()?;
    Some(problem["code"].as_str()?.to_owned())
}
