//! Bodies under leased limits while calls of Sync are made and answered: each arrives byte for byte.

use std::time::Duration;

use cellgate_tests::client::{Http2, Request};
use cellgate_tests::sha256;
use cellgate_tests::stack::Stack;
use tokio::task::JoinSet;

use super::{OPEN, filter, leased, metric};
use crate::support::{key_first, key_last};

/// Uploads at the same time.
const CLIENTS: usize = 6;

/// Uploads of each.
const UPLOADS: usize = 20;

/// The largest body.
const LARGEST: usize = 300_000;

/// A body of 1 to 300 KB. The key is first, so that the filter decides before the rest has come; or last, so that it holds
/// the body, or defers it to the service if it is large or has no Content-Length.
fn body(number: usize) -> String {
    let size = 1_000 + number * 7_919 % LARGEST;
    if number.is_multiple_of(2) { key_first("acme", size) } else { key_last("acme", size) }
}

/// Uploads a body in five pieces with pauses, in which timers fire. Returns the digest of what the cell has received.
async fn upload(connection: &Http2, number: usize) -> String {
    let body = body(number);
    let mut request = Request::post("/").header("content-type", "application/json");
    if !number.is_multiple_of(3) {
        request = request.header("content-length", body.len().to_string());
    }
    let mut stream = connection.open(&request).await.unwrap();
    let bytes = body.as_bytes();
    let mut pauses = tokio::time::interval(Duration::from_millis(30));
    for piece in bytes.chunks(bytes.len().div_ceil(5)) {
        stream.data(piece.to_vec()).await.unwrap();
        pauses.tick().await;
    }
    stream.finish("").unwrap();
    let answer = stream.response().await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.served_by()), (200, Some("cell-b")), "{number}: {}", answer.text());
    assert_eq!(answer.sha256(), sha256(body.as_bytes()), "body {number} of {} bytes", body.len());
    answer.sha256()
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_arrive_byte_for_byte_while_calls_are_made() {
    let options = leased("100000/s").service_option("--sync-interval", "100ms").service_option("--lease-term", "2s");
    let stack = Stack::start(options).await;
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let connection = stack.connect_h2().await;
        clients.spawn(async move {
            for upload_number in 0..UPLOADS {
                upload(&connection, client * UPLOADS + upload_number).await;
            }
        });
    }
    clients.join_all().await;
    let (syncs, spent) = (metric(&stack, OPEN).await, filter(&stack, "leases.spent").await);
    assert!(syncs >= 10 && spent >= 10, "{syncs} calls, {spent} requests by lease");
}
