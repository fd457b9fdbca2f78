//! A term that ends while the service hangs.

use std::time::Duration;

use cellgate_tests::process::Signal;
use cellgate_tests::stack::Stack;
use tokio::time::{Instant, sleep_until};

use super::{decided_by_service, filter, get, hold_units, leased};

/// The shortest term.
const TERM: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_spent_after_the_term() {
    let options =
        leased("1/h;burst=1000").service_option("--lease-term", "1s").service_option("--sync-interval", "400ms");
    let stack = Stack::start(options).await;
    // Far more than the filter gives up in a term, for which it halves what it keeps three times.
    hold_units(&stack, "acme", 60).await;
    let decided = decided_by_service(&stack).await;
    stack.ext_proc().freeze().await.unwrap();
    // An answer that was on its way began its term before.
    let frozen = Instant::now();
    sleep_until(frozen + TERM).await;
    let missed = filter(&stack, "leases.missed").await;
    let address = stack.address();
    let request = tokio::spawn(async move {
        let mut connection = cellgate_tests::client::Http1::connect(address).await.unwrap();
        connection.send(&get("acme")).await.unwrap()
    });
    stack.admin().wait_for_stat("wasmcustom.cellgate.leases.missed", |now| now > missed).await;
    assert!(!request.is_finished(), "it was answered while the service hangs");
    stack.ext_proc().signal(Signal::CONT).unwrap();
    assert_eq!(request.await.unwrap().status, 200);
    assert_eq!(decided_by_service(&stack).await, decided + 1);
    // It leases again.
    hold_units(&stack, "acme", 10).await;
}
