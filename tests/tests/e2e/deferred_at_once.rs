//! Many deferred requests at once. The example's circuit breaker admits them; a request above its threshold gets a 503
//! with `retry-after`.

use cellgate_tests::client::{Http2, Http2Stream, Request, Response};
use cellgate_tests::options::Options;
use cellgate_tests::sha256;
use cellgate_tests::stack::Stack;
use serde_json::{Value, json};

use crate::support::{arrived, key_last, wait_for_metric};

/// More than Envoy's default threshold, 1,024.
const MANY: usize = 1200;

/// The number of concurrent streams per connection that every Envoy version allows.
const STREAMS: usize = 100;

const CELLS: [(&str, &str); 3] = [("acme", "cell-b"), ("globex", "cell-c"), ("initech", "cell-a")];

/// Uploads whose first halves have been sent.
struct Uploads {
    streams: Vec<(Http2Stream, String)>,
    /// Their connections, which close when this value is dropped.
    _clients: Vec<Http2>,
}

impl Uploads {
    /// Without a Content-Length, so the filter may hold none of them.
    async fn open(stack: &Stack, count: usize) -> Self {
        let (mut streams, mut clients) = (Vec::new(), Vec::new());
        for number in 0..count {
            if number % STREAMS == 0 {
                clients.push(stack.connect_h2().await);
            }
            let request = Request::post("/").header("content-type", "application/json");
            let mut stream = clients[number / STREAMS].open(&request).await.unwrap();
            let mut half = nth(number);
            let rest = half.split_off(half.len() / 2);
            stream.data(half).await.unwrap();
            streams.push((stream, rest));
        }
        Self { streams, _clients: clients }
    }

    /// Sends the second halves and returns the responses. A rejected upload takes no more bytes.
    async fn finish(self) -> Vec<Response> {
        let mut answers = Vec::new();
        for (mut stream, rest) in self.streams {
            drop(stream.finish(rest));
            answers.push(stream.response().await.unwrap());
        }
        answers
    }
}

/// A unique body whose key is in its second half.
fn nth(number: usize) -> String {
    key_last(CELLS[number % CELLS.len()].0, 100 + number)
}

#[track_caller]
fn assert_routed(number: usize, answer: &Response) {
    assert_eq!(answer.cell(), CELLS[number % CELLS.len()].1, "upload {number}");
    assert_eq!(answer.sha256(), sha256(nth(number).as_bytes()), "upload {number}");
}

/// For [`Options::adjust`]: limits the service's cluster to `count` requests at a time.
fn breaker(count: usize) -> impl FnOnce(&mut Value) + Send + 'static {
    move |bootstrap| {
        let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().unwrap();
        let service = clusters.iter_mut().find(|cluster| cluster["name"] == "cellgate").unwrap();
        service["circuit_breakers"]["thresholds"][0]["max_requests"] = json!(count);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_deferred_uploads_than_envoys_default_threshold_are_all_routed() {
    // A busy machine needs seconds to open so many.
    let options = Options::default().example().service_option("--decision-timeout", "60s");
    let stack = Stack::start(options).await;
    let uploads = Uploads::open(&stack, MANY).await;
    wait_for_metric(&stack, "cellgate_streams_open", MANY as f64).await;
    assert_eq!(arrived(&stack), 0);
    for (number, answer) in uploads.finish().await.iter().enumerate() {
        assert_routed(number, answer);
    }
    assert_eq!(stack.ext_proc_streams().await, MANY as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_above_the_breakers_threshold_gets_503_with_retry_after() {
    const ROOM: usize = 3;
    const MORE: usize = 5;
    let stack = Stack::start(Options::default().example().adjust(breaker(ROOM))).await;
    let uploads = Uploads::open(&stack, ROOM + MORE).await;
    stack.admin().wait_for_stat("http.in.downstream_rq_5xx", |count| count == MORE as u64).await;
    wait_for_metric(&stack, "cellgate_streams_open", ROOM as f64).await;

    let answers = uploads.finish().await;
    let (refused, routed): (Vec<_>, Vec<_>) =
        answers.iter().enumerate().partition(|(_, answer)| answer.served_by().is_none());
    assert_eq!((routed.len(), refused.len()), (ROOM, MORE));
    for (number, answer) in routed {
        assert_routed(number, answer);
    }
    for (_, answer) in refused {
        assert_eq!((answer.status.as_u16(), answer.values("retry-after")), (503, vec!["1"]));
    }
    assert_eq!(arrived(&stack), ROOM as u64);
    // The breaker admits requests again.
    let next = Uploads::open(&stack, 1).await.finish().await;
    assert_routed(0, &next[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_services_own_503_has_one_retry_after() {
    let stack = Stack::start(Options::default().example().service_option("--max-held-bytes", "256KiB")).await;
    let answer = stack.post_json("/", key_last("acme", 1_000_000)).await;
    assert_eq!((answer.status.as_u16(), answer.values("retry-after")), (503, vec!["1"]));
    assert_eq!(answer.json()["code"], "overloaded");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
}
