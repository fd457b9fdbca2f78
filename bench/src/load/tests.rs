use cellgate_tests::cell::Cell;

use super::*;
use crate::cases::{Case, NamedBy};
use crate::documents::KeyAt;

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nserver: envoy\r\n\r\n{}HTTP";

/// A client that speaks to a cell directly, and what is in the cell's name.
async fn to_cell(name: &str) -> (Cell, Client, Arc<[Exchange]>) {
    let cell = Cell::start(name).await.unwrap();
    let client = Client::connect(cell.address(), 3).await.unwrap();
    let case = Case { label: "4 KB", bytes: 4096, key: KeyAt::Last };
    let mine = case.exchanges(NamedBy::Body).iter().filter(|sent| sent.expectation.cell == "cell-b").cloned().collect();
    (cell, client, mine)
}

#[test]
fn a_response_is_whole_or_not_there_yet() {
    let whole = RESPONSE.len() - "HTTP".len();
    for end in 0..whole {
        assert!(parse(&RESPONSE[..end]).unwrap().is_none(), "{end}");
    }
    let (answer, length) = parse(RESPONSE).unwrap().unwrap();
    assert_eq!((answer.status, &answer.body[..], length), (200, &b"{}"[..], whole));
}

#[test]
fn what_the_benchmark_does_not_expect_is_an_error() {
    for odd in [
        &b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n",
        b"\r\n\r\n",
    ] {
        assert!(parse(odd).is_err(), "{}", String::from_utf8_lossy(odd));
    }
}

#[tokio::test]
async fn as_many_requests_as_asked_for_arrive() {
    let (cell, mut client, exchanges) = to_cell("cell-b").await;
    client.run(&exchanges, 50).await.unwrap();
    assert_eq!(cell.complete(), 50);
}

#[tokio::test]
async fn the_wrong_cell_is_an_error() {
    let (_cell, mut client, exchanges) = to_cell("cell-a").await;
    let error = client.run(&exchanges, 5).await.unwrap_err();
    assert_eq!(error.to_string(), r#""cell-a" received what was for cell-b"#);
}

#[tokio::test]
async fn a_status_other_than_200_is_an_error_and_the_next_run_works() {
    let (cell, mut client, exchanges) = to_cell("cell-b").await;
    cell.fail_next(1, http_status(503));
    let error = client.run(&exchanges, 5).await.unwrap_err();
    assert!(error.to_string().starts_with("status 503"), "{error}");
    client.run(&exchanges, 5).await.unwrap();
}

#[tokio::test]
async fn a_changed_body_is_an_error() {
    let (_cell, mut client, exchanges) = to_cell("cell-b").await;
    let mut changed = exchanges[0].clone();
    changed.expectation.sha256 = cellgate_tests::sha256(b"another");
    let error = client.run(&Arc::from([changed]), 5).await.unwrap_err();
    assert_eq!(error.to_string(), "the body arrived changed");
}

fn http_status(code: u16) -> http::StatusCode {
    http::StatusCode::from_u16(code).unwrap()
}
