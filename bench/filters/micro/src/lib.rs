//! A proxy-wasm filter that answers each request with the time that scanning a document takes inside Envoy's VM.
//!
//! `GET /KIND/SIZE/CUT/MILLISECONDS`, such as `/objects/65536/whole/20`, times each scanner for that many milliseconds.
//! The response is `{"cellgate": nanoseconds, …}`, with null for a scanner that failed. Any other path gets a 400. The
//! clock is Envoy's wall clock, in nanoseconds.
#![expect(missing_docs, reason = "the SDK's macro exports undocumented symbols")]

use std::time::{Duration, UNIX_EPOCH};

use cellgate_bench_micro::documents::{KeyAt, Kind, document};
use cellgate_bench_micro::{Cut, bout, contenders};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};
use serde_json::{Value, json};

/// The largest document that a request can ask for.
const MAX_SIZE: usize = 16 * 1024 * 1024;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root));
}}

struct Root;

struct Request;

/// The parameters in a path.
struct Measurement {
    kind: Kind,
    size: usize,
    cut: Cut,
    batch: Duration,
}

impl Context for Root {}

impl RootContext for Root {
    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request))
    }
}

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let question = self.get_http_request_header(":path").as_deref().and_then(Measurement::parse);
        let (status, answer) = match question {
            Some(question) => (200, question.answer()),
            None => (400, json!({"error": "ask for /KIND/SIZE/CUT/MILLISECONDS"})),
        };
        let headers = vec![("content-type", "application/json")];
        self.send_http_response(status, headers, Some(answer.to_string().as_bytes()));
        Action::Pause
    }
}

impl Measurement {
    fn parse(path: &str) -> Option<Self> {
        let mut parts = path.strip_prefix('/')?.split('/');
        let question = Self {
            kind: Kind::named(parts.next()?)?,
            size: parts.next()?.parse().ok().filter(|size| *size <= MAX_SIZE)?,
            cut: Cut::named(parts.next()?)?,
            batch: Duration::from_millis(parts.next()?.parse().ok()?),
        };
        parts.next().is_none().then_some(question)
    }

    fn answer(&self) -> Value {
        let document = document(self.kind, self.size, KeyAt::Last, "acme");
        let mut contenders = contenders(document.as_bytes(), self.cut);
        let figures = bout(&mut contenders, &now, self.batch);
        let figures = figures.into_iter().map(|figure| (figure.name.to_owned(), json!(figure.nanoseconds)));
        Value::Object(figures.collect())
    }
}

fn now() -> u64 {
    let since = hostcalls::get_current_time().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or_default()
}
