//! A stack that writes all it can, and the search through all that it has written.

use std::collections::BTreeSet;
use std::path::PathBuf;

use cellgate_tests::client::{Http1, Request, Response};
use cellgate_tests::options::{Chain, Options};
use cellgate_tests::otlp::OtlpReceiver;
use cellgate_tests::process::Signal;
use cellgate_tests::secrets::{Finding, Haystack, MarkedSecrets};
use cellgate_tests::stack::Stack;
use cellgate_tests::wait;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::cases::{Answer, Case};
use crate::support::{code, connection_manager};

/// Our format of the access log.
const ACCESS_LOG: &str = include_str!("../../../../charts/cellgate/files/access-log.json");

/// Each level of the service's log.
pub(super) const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// The haystack of all spans.
const SPANS: &str = "the spans";

/// The pages of the service's admin port.
const PAGES: [&str; 10] = [
    "/",
    "/explain.js",
    "/livez",
    "/readyz",
    "/version",
    "/metrics",
    "/inspect",
    "/explain/state",
    "/limits",
    "/log-level",
];

/// A stack with a receiver of all spans, our access log, and the most detailed log of the filter.
pub(super) struct Rig {
    pub(super) stack: Stack,
    pub(super) secrets: MarkedSecrets,
    pub(super) receiver: OtlpReceiver,
    files: TempDir,
    has_service: bool,
    sent: usize,
    /// The ids of requests whose spans the receiver has refused.
    unexported: Vec<String>,
    /// The problem documents of refusals, and their headers.
    refusals: Vec<u8>,
}

/// All that was written, after the end of the service.
pub(super) struct Written {
    secrets: MarkedSecrets,
    haystacks: Vec<Haystack>,
    /// What the cells have received.
    cells: Haystack,
}

impl Rig {
    /// Envoy itself logs headers at `debug` and `trace`, so only the component of the filter has that level.
    pub(super) async fn start(secrets: MarkedSecrets, chain: Chain, options: Options) -> Self {
        let files = tempfile::tempdir().unwrap();
        let receiver = OtlpReceiver::start().await.unwrap();
        let file = |name: &str, content: String| {
            let path = files.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.display().to_string()
        };
        let token = file("token", secrets.of("the admin token"));
        let fields = file("fields", format!("authorization: Bearer {}\n", secrets.of("the token for spans")));
        let access_log = files.path().join("requests.log");
        let options =
            options.chain(chain).wasm_log_level("trace").adjust(move |bootstrap| add_log(bootstrap, access_log));
        let options = options
            .service_option("--admin-token-file", &token)
            .service_option("--otlp-endpoint", &receiver.endpoint())
            .service_option("--otlp-protocol", "http/protobuf")
            .service_option("--otlp-headers-file", &fields)
            .service_option("--trace-sample-percent", "100");
        let stack = Stack::start(options).await;
        let has_service = matches!(chain, Chain::TwoTier | Chain::Service(_));
        Self { stack, secrets, receiver, files, has_service, sent: 0, unexported: Vec::new(), refusals: Vec::new() }
    }

    /// Changes the level of the running service.
    pub(super) async fn level(&self, level: &str) {
        let answer = self.admin("PUT", &format!("/log-level?level={level}&seconds=3600")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// A request to the admin port, with the token.
    pub(super) async fn admin(&self, method: &str, path: &str) -> Response {
        let token = format!("Bearer {}", self.secrets.of("the admin token"));
        self.ask(&Request::new(method, path).header("authorization", token)).await
    }

    /// A request to the admin port.
    pub(super) async fn ask(&self, request: &Request) -> Response {
        let address = self.stack.ext_proc().addresses().admin;
        Http1::connect(address).await.unwrap().send(request).await.unwrap()
    }

    /// Sends a request with an id of its own. Our access log gets its line.
    pub(super) async fn send(&mut self, request: Request, is_h2: bool) -> Response {
        self.sent += 1;
        let request = request.header("x-request-id", self.id());
        let answer = if is_h2 { self.stack.send_h2(&request).await } else { self.stack.send(&request).await };
        if answer.header("content-type") == Some("application/problem+json") {
            self.refusals.extend_from_slice(&answer.body);
            self.refusals.extend_from_slice(format!("{:?}\n", answer.headers).as_bytes());
        }
        answer
    }

    /// The receiver gets no span of the last request.
    pub(super) fn expect_no_span(&mut self) {
        self.unexported.push(self.id());
    }

    /// Sends each request and compares its answer. `is_excused` is asked about an answer that differs: its status, and its
    /// code if a tier gave it.
    pub(super) async fn send_all(&mut self, cases: &[Case], is_excused: impl Fn(&Case, u16, &str) -> bool) {
        for case in cases {
            let answer = self.send(case.request.clone(), case.is_h2).await;
            let served = answer.served_by().unwrap_or_default();
            let is_ours = answer.header("content-type") == Some("application/problem+json");
            let code = if is_ours { code(&answer) } else { String::new() };
            let is_as_expected = match case.answer {
                Answer::Cell => served == "cell-b",
                Answer::Refused(expected) => code == expected,
                Answer::Any => true,
            };
            assert!(
                is_as_expected || is_excused(case, answer.status.as_u16(), &code),
                "{}: {} {served} {code}: {}",
                case.name,
                answer.status,
                answer.text()
            );
        }
    }

    /// The id of the last request.
    fn id(&self) -> String {
        format!("privacy-{}.", self.sent)
    }

    /// Reads every page, ends the service as an orchestrator does, and returns all that was written.
    ///
    /// # Panics
    /// When a part of it is missing: then there would be nothing to find.
    pub(super) async fn finish(self) -> Written {
        let lines = self.access_lines().await;
        let mut haystacks = vec![
            Haystack::new("the access log", lines.join("\n")),
            Haystack::new("the refusals", self.refusals.clone()),
        ];
        let admin = self.stack.admin();
        for page in ["/stats", "/stats/prometheus"] {
            let page = Haystack::new(&format!("Envoy's {page}"), admin.get(page).await.unwrap().body);
            haystacks.push(page);
        }
        if self.has_service {
            haystacks.extend(self.service(&lines).await);
        }
        let log = std::fs::read(self.stack.directory().join("envoy.log")).unwrap();
        let text = String::from_utf8_lossy(&log);
        if self.stack.admin().stats("wasmcustom.").await.is_ok_and(|stats| !stats.is_empty()) {
            assert!(text.contains("[trace][wasm]"), "Envoy's log has no line of the component wasm");
        }
        haystacks.push(Haystack::new("Envoy's log", log));
        let seen: Vec<_> = self.stack.cells().iter().flat_map(cellgate_tests::cell::Cell::seen).collect();
        let cells = Haystack::new("the cells", format!("{seen:?}"));
        Written { secrets: self.secrets, haystacks, cells }
    }

    /// The lines of our access log, one for each request.
    async fn access_lines(&self) -> Vec<String> {
        let path = self.files.path().join("requests.log");
        let read = || async {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let is_complete = (1..=self.sent).all(|number| text.contains(&format!("\"privacy-{number}.\"")));
            Ok((text.ends_with('\n') && is_complete).then(|| text.lines().map(str::to_owned).collect()))
        };
        wait::until(&format!("{} lines of the access log", self.sent), read).await.unwrap()
    }

    /// The pages, the log and the spans of the service, which ends.
    async fn service(&self, lines: &[String]) -> Vec<Haystack> {
        let mut haystacks = Vec::new();
        for page in PAGES {
            let answer = self.admin("GET", page).await;
            assert_eq!(answer.status, 200, "{page}: {}", answer.text());
            haystacks.push(Haystack::new(&format!("the page {page}"), answer.body));
        }
        let service = self.stack.ext_proc();
        service.signal(Signal::TERM).unwrap();
        assert_eq!(service.ended().await.unwrap(), Some(0), "{}", service.log());
        let log = service.log();
        for part in [r#""level":"TRACE""#, r#""event":"request_decided""#, r#""event":"drained""#] {
            assert!(log.contains(part), "the log of the service has no {part}:\n{log}");
        }
        haystacks.push(Haystack::new("the service's log", log));
        let spans = self.receiver.bytes();
        let mut decided = decided_by_the_service(lines);
        decided.retain(|id| !self.unexported.contains(id));
        assert!(!decided.is_empty(), "the service has decided nothing");
        let missing: Vec<_> = decided.iter().filter(|id| !contains(&spans, id)).collect();
        assert!(missing.is_empty(), "{} of {} requests have no span: {missing:?}", missing.len(), decided.len());
        haystacks.push(Haystack::new(SPANS, spans));
        haystacks
    }
}

impl Written {
    /// Fails if no span has these words: then there would be nothing to find.
    #[track_caller]
    pub(super) fn assert_spans_have(&self, words: &[&str]) {
        let spans = self.haystacks.iter().find(|haystack| haystack.name == SPANS).unwrap();
        for word in words {
            assert!(contains(&spans.bytes, word), "no span has {word}");
        }
    }

    /// Fails if any secret is anywhere, except those that a haystack may have: these must be there. `reached` are secrets
    /// that the cells have received, which the search must find too.
    #[track_caller]
    pub(super) fn assert_private(&self, allowed: &[(&str, &str)], reached: &[&str]) {
        let search = self.secrets.search();
        let found: Vec<Finding> = self.haystacks.iter().flat_map(|haystack| search.find(haystack)).collect();
        let is_allowed = |finding: &&Finding| allowed.contains(&(finding.haystack.as_str(), finding.place.as_str()));
        let leaked: Vec<_> = found.iter().filter(|finding| !is_allowed(finding)).collect();
        assert!(leaked.is_empty(), "{} secrets leaked:\n{leaked:#?}", leaked.len());
        for (haystack, place) in allowed {
            let is_there = found.iter().any(|finding| finding.haystack == *haystack && finding.place == *place);
            assert!(is_there, "the secret of {place} is not in {haystack}, where the documentation says that it is");
        }
        let at_cells: BTreeSet<String> = search.find(&self.cells).into_iter().map(|finding| finding.place).collect();
        for place in reached {
            assert!(at_cells.contains(*place), "the search does not find the secret of {place} in {at_cells:?}");
        }
    }
}

/// The ids of the requests for which our access log has a reason of the service.
fn decided_by_the_service(lines: &[String]) -> Vec<String> {
    let mut ids = Vec::new();
    for line in lines {
        let line: Value = serde_json::from_str(line).unwrap();
        if let (Some(id), Some(_)) = (line["request_id"].as_str(), line["cellgate_service_reason"].as_str()) {
            ids.push(id.to_owned());
        }
    }
    ids
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn add_log(bootstrap: &mut Value, path: PathBuf) {
    let format: Value = serde_json::from_str(ACCESS_LOG).unwrap();
    let log = json!({
        "name": "ours",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": path,
            "log_format": {"json_format": format},
        },
    });
    connection_manager(bootstrap)["access_log"].as_array_mut().unwrap().push(log);
}
