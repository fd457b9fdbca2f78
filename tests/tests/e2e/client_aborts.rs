//! A client that aborts: no cell receives a complete request, and Cellgate keeps nothing of it.

use cellgate_tests::cell::Ending;
use cellgate_tests::client::Request;
use cellgate_tests::options::Options;
use cellgate_tests::stack::Stack;
use cellgate_tests::wait;

use crate::support::{arrived, bytes_read, key_first, key_last, read_by_envoy};

/// The ways to abort.
#[derive(Clone, Copy, Debug)]
enum Abort {
    /// HTTP/1.1: the connection is closed.
    Close,
    /// HTTP/1.1: the connection is reset.
    Reset,
    /// HTTP/2: the stream is reset.
    ResetStream,
    /// HTTP/2: the connection is closed.
    CloseConnection,
}

const WAYS: [Abort; 4] = [Abort::Close, Abort::Reset, Abort::ResetStream, Abort::CloseConnection];

/// Sends the head and the first `sent` bytes of the body, waits for `meanwhile`, and aborts.
async fn start_and_abort(stack: &Stack, way: Abort, body: &str, sent: usize, meanwhile: impl AsyncFnOnce()) {
    let request = Request::post("/").json(body.to_owned());
    let before = bytes_read(stack).await;
    let start = body.as_bytes()[..sent].to_vec();
    match way {
        Abort::Close | Abort::Reset => {
            let mut client = stack.connect().await;
            let head = request.http1_head();
            client.write([&head, start.as_slice()].concat()).await.unwrap();
            // Envoy counts bytes before it parses them.
            read_by_envoy(stack, before + head.len() + sent).await;
            active(stack, 1).await;
            meanwhile().await;
            match way {
                Abort::Reset => client.reset().unwrap(),
                _ => drop(client),
            }
        }
        Abort::ResetStream | Abort::CloseConnection => {
            let client = stack.connect_h2().await;
            let mut stream = client.open(&request).await.unwrap();
            active(stack, 1).await;
            let before = bytes_read(stack).await;
            stream.data(start).await.unwrap();
            read_by_envoy(stack, before + sent).await;
            meanwhile().await;
            match way {
                Abort::ResetStream => stream.reset(),
                _ => drop(client),
            }
            // The connection must outlive its stream.
            active(stack, 0).await;
        }
    }
    active(stack, 0).await;
}

/// Waits until Envoy counts `count` requests in progress.
async fn active(stack: &Stack, count: u64) {
    stack.admin().wait_for_stat("http.in.downstream_rq_active", |active| active == count).await;
}

/// Waits until the filter has counted `count` requests that ended without a decision. It is the last part to notice.
async fn abandoned(stack: &Stack, count: u64) {
    stack.admin().wait_for_stat("wasmcustom.cellgate.abandoned", |abandoned| abandoned == count).await;
}

/// Checks that the stack still decides and that the service buffers nothing.
async fn assert_unharmed(stack: &Stack) {
    assert_eq!(stack.post_json("/", key_last("globex", 1000)).await.cell(), "cell-c");
    assert_eq!(stack.post_json("/", key_last("globex", 3_000_000)).await.cell(), "cell-c");
    wait::until("the service to be idle", || async {
        let open = stack.ext_proc().metric("cellgate_streams_open").await?;
        let held = stack.ext_proc().metric("cellgate_held_bytes").await?;
        Ok((open == 0.0 && held == 0.0).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_while_the_filter_holds_the_body_reaches_no_cell() {
    let stack = Stack::start(Options::default()).await;
    for (count, way) in WAYS.into_iter().enumerate() {
        start_and_abort(&stack, way, &key_first("acme", 10_000), 5_000, async || ()).await;
        abandoned(&stack, count as u64 + 1).await;
    }
    assert_eq!(arrived(&stack), 0);
    assert_unharmed(&stack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_before_the_body_reaches_no_cell() {
    let stack = Stack::start(Options::default()).await;
    for (count, way) in WAYS.into_iter().enumerate() {
        start_and_abort(&stack, way, &key_first("acme", 100_000), 0, async || ()).await;
        abandoned(&stack, count as u64 + 1).await;
    }
    assert_eq!(arrived(&stack), 0);
    assert_unharmed(&stack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_while_the_filter_guards_breaks_the_request_at_the_cell() {
    let stack = Stack::start(Options::default()).await;
    let cell = stack.cell("cell-b");
    for (count, way) in WAYS.into_iter().enumerate() {
        let meanwhile = async || cell.wait_for_arrivals(count as u64 + 1).await;
        start_and_abort(&stack, way, &key_first("acme", 100_000), 50_000, meanwhile).await;
        cell.wait_for(Ending::Broken, count as u64 + 1).await;
    }
    assert_eq!(cell.complete(), 0);
    assert_eq!(arrived(&stack), WAYS.len() as u64);
    assert_unharmed(&stack).await;
    // The filter had decided these requests.
    abandoned(&stack, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_while_the_service_reads_reaches_no_cell() {
    let stack = Stack::start(Options::default()).await;
    for way in WAYS {
        let reading = async || {
            wait::until("the service to buffer the body", || async {
                Ok((stack.ext_proc().metric("cellgate_held_bytes").await? >= 50_000.0).then_some(()))
            })
            .await
            .unwrap();
        };
        start_and_abort(&stack, way, &key_last("acme", 100_000), 50_000, reading).await;
    }
    assert_eq!(stack.ext_proc_streams().await, WAYS.len() as u64);
    assert_eq!(arrived(&stack), 0);
    assert_unharmed(&stack).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abort_while_the_service_guards_breaks_the_request_at_the_cell() {
    // No read is larger than the limit, so the key is not in the first one: the service finds it and guards the rest.
    let stack = Stack::start(Options::default().buffer_limit(32 * 1024)).await;
    let cell = stack.cell("cell-b");
    let body = format!(r#"{{"y":"{}",{}"#, "p".repeat(100_000), &key_first("acme", 1_000_000)[1..]);
    for (count, way) in WAYS.into_iter().enumerate() {
        let meanwhile = async || cell.wait_for_arrivals(count as u64 + 1).await;
        start_and_abort(&stack, way, &body, 500_000, meanwhile).await;
        cell.wait_for(Ending::Broken, count as u64 + 1).await;
    }
    assert_eq!(cell.complete(), 0);
    assert_eq!(arrived(&stack), WAYS.len() as u64);
    assert_eq!(stack.ext_proc_streams().await, WAYS.len() as u64);
    assert_unharmed(&stack).await;
}
