use cellgate_tests::cell::Cell;
use http::StatusCode;

use super::*;
use crate::cases::{Case, NamedBy, SIZES};
use crate::exchange::{Delivery, Expectation};

/// A client that speaks to a cell directly, and what is in the cell's name.
async fn to_cell(name: &str, protocol: Protocol, delivery: Delivery) -> (Cell, Client, Arc<[Exchange]>) {
    let cell = Cell::start(name).await.unwrap();
    let client = Client::connect(cell.address(), protocol, 3).await.unwrap();
    let case = Case { protocol, delivery, ..Case::plain(SIZES[1]) };
    let all = case.exchanges(&case.bodies(), NamedBy::Body);
    let mine = all.iter().filter(|sent| sent.expectation.cell == "cell-b").cloned().collect();
    (cell, client, mine)
}

#[tokio::test]
async fn as_many_requests_as_asked_for_arrive_in_every_way() {
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
async fn the_wrong_cell_is_an_error() {
    let (_cell, mut client, exchanges) = to_cell("cell-a", Protocol::Http1, Delivery::Whole).await;
    let error = client.run(&exchanges, 5).await.unwrap_err();
    assert_eq!(error.to_string(), r#""cell-a" received what was for cell-b"#);
}

#[tokio::test]
async fn a_status_other_than_200_is_an_error_and_the_next_run_works() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let (cell, mut client, exchanges) = to_cell("cell-b", protocol, Delivery::Whole).await;
        cell.fail_next(1, StatusCode::SERVICE_UNAVAILABLE);
        let error = client.run(&exchanges, 5).await.unwrap_err();
        assert!(error.to_string().starts_with("a cell answered 503"), "{error}");
        client.run(&exchanges, 5).await.unwrap();
    }
}

#[tokio::test]
async fn a_changed_body_is_an_error() {
    let (_cell, mut client, exchanges) = to_cell("cell-b", Protocol::Http1, Delivery::Whole).await;
    let mut changed = exchanges[0].clone();
    changed.expectation.sha256 = cellgate_tests::sha256(b"another");
    let error = client.run(&Arc::from([changed]), 5).await.unwrap_err();
    assert_eq!(error.to_string(), "the body arrived changed");
}

#[tokio::test]
async fn one_request_has_an_answer_that_nobody_checks() {
    let (cell, client, exchanges) = to_cell("cell-a", Protocol::Http1, Delivery::Whole).await;
    cell.fail_next(1, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(client.once(&exchanges[0]).await.unwrap().status, 413);
}

#[test]
fn an_answer_that_no_cell_gave_is_told_from_a_wrong_one() {
    let wanted = Expectation { cell: "cell-a".to_owned(), body_bytes: 0, sha256: String::new() };
    for body in ["no cell was decided", "{}", ""] {
        let answer = Answer { status: 421, body: body.into() };
        let error = wanted.check(&answer).unwrap_err().to_string();
        assert_eq!(error, format!("no cell answered, but what stands before it: 421 {body}"));
    }
}
