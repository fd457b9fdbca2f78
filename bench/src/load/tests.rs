use cellgate_tests::cell::Cell;
use http::StatusCode;

use super::*;
use crate::cases::{Case, NamedBy, SIZES};
use crate::exchange::{Delivery, Expectation};

/// A cell, a client that is connected to it directly, and exchanges that expect the cell `name`.
async fn to_cell(name: &str, protocol: Protocol, delivery: Delivery) -> (Cell, Client, Arc<[Exchange]>) {
    let cell = Cell::start(name).await.unwrap();
    let client = Client::connect(cell.address(), protocol, 3).await.unwrap();
    let case = Case { protocol, delivery, ..Case::plain(SIZES[1]) };
    let all = case.exchanges(&case.bodies(), NamedBy::Body);
    let mine = all.iter().filter(|sent| sent.expectation.cell == "cell-b").cloned().collect();
    (cell, client, mine)
}

#[tokio::test]
async fn the_requested_number_of_requests_arrives_with_every_protocol_and_delivery() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        for delivery in [Delivery::Whole, Delivery::Pieces, Delivery::Chunked] {
            let (cell, mut client, exchanges) = to_cell("cell-b", protocol, delivery).await;
            client.run(&exchanges, 20).await.unwrap();
            assert_eq!(cell.complete(), 20, "{protocol:?} {delivery:?}");
            let announced = cell.seen()[0].header("content-length").len();
            assert_eq!(announced, usize::from(delivery != Delivery::Chunked), "{protocol:?} {delivery:?}");
        }
    }
}

#[tokio::test]
async fn a_response_from_the_wrong_cell_is_an_error() {
    let (_cell, mut client, exchanges) = to_cell("cell-a", Protocol::Http1, Delivery::Whole).await;
    let error = client.run(&exchanges, 5).await.unwrap_err();
    assert_eq!(error.to_string(), r#""cell-a" received a request for cell-b"#);
}

#[tokio::test]
async fn a_status_other_than_200_is_an_error_and_the_next_run_works() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let (cell, mut client, exchanges) = to_cell("cell-b", protocol, Delivery::Whole).await;
        cell.fail_next(1, StatusCode::SERVICE_UNAVAILABLE);
        let error = client.run(&exchanges, 5).await.unwrap_err();
        assert!(error.to_string().starts_with("a cell responded with 503"), "{error}");
        client.run(&exchanges, 5).await.unwrap();
    }
}

#[tokio::test]
async fn a_changed_body_is_an_error() {
    let (_cell, mut client, exchanges) = to_cell("cell-b", Protocol::Http1, Delivery::Whole).await;
    let mut changed = exchanges[0].clone();
    changed.expectation.sha256 = cellgate_tests::sha256(b"another");
    let error = client.run(&Arc::from([changed]), 5).await.unwrap_err();
    assert_eq!(error.to_string(), "the cell received a changed body");
}

#[tokio::test]
async fn once_returns_the_response_unchecked() {
    let (cell, client, exchanges) = to_cell("cell-a", Protocol::Http1, Delivery::Whole).await;
    cell.fail_next(1, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(client.once(&exchanges[0]).await.unwrap().status, 413);
}

#[test]
fn a_response_from_the_proxy_is_not_reported_as_one_from_a_cell() {
    let wanted = Expectation { cell: "cell-a".to_owned(), body_bytes: 0, sha256: String::new() };
    for body in ["no cell was decided", "{}", ""] {
        let answer = Answer { status: 421, echoed_by: None, body: body.into() };
        let error = wanted.check(&answer).unwrap_err().to_string();
        assert_eq!(error, format!("the response did not come from a cell: 421 {body}"));
    }
}
