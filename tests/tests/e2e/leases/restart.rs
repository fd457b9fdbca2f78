//! The service is killed while the filter holds units.

use std::path::Path;

use cellgate_tests::options::Options;
use cellgate_tests::stack::Stack;
use cellgate_tests::valkey::{ServerOptions, Valkey};
use cellgate_tests::wait;

use super::{HUNDRED, get, hold_units, leased};
use crate::support::arrived;

/// The burst of [`HUNDRED`].
const BURST: u64 = 100;

/// Sends requests, one after the other. The statuses.
async fn send(stack: &Stack, count: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(stack.send(&get("acme")).await.status.as_u16());
    }
    statuses
}

/// Kills the service while units are out. Returns how many requests were admitted without it: all before the first that
/// was not, which is refused as without leases.
async fn without_the_service(stack: &Stack) -> u64 {
    let outstanding = hold_units(stack, "acme", 10).await;
    stack.ext_proc().kill();
    let statuses = send(stack, 60).await;
    let admitted = statuses.iter().take_while(|status| **status == 200).count();
    assert!(statuses[admitted..].iter().all(|status| *status == 503), "{statuses:?}");
    let admitted = admitted as u64;
    assert!((1..=outstanding).contains(&admitted), "{admitted} of {outstanding} units: {statuses:?}");
    admitted
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_go_on_while_units_last_and_a_store_in_memory_begins_anew() {
    let stack = Stack::start(leased(HUNDRED)).await;
    without_the_service(&stack).await;
    let before = arrived(&stack);
    stack.ext_proc().restart().await.unwrap();
    // The new service has forgotten what was charged, as it does without leases. It alone admits a burst, and the filter has
    // no units of the earlier one any more.
    let statuses = send(&stack, 150).await;
    assert!(statuses.iter().all(|status| matches!(status, 200 | 429)), "{statuses:?}");
    let admitted = arrived(&stack) - before;
    assert!((BURST / 2..=BURST).contains(&admitted), "{admitted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_shared_store_the_bound_is_exact_over_a_restart() {
    let store = Valkey::start(ServerOptions::new()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let stack = Stack::start(shared(leased(HUNDRED), &store, directory.path())).await;
    let available = || async {
        let value = stack.ext_proc().metric("cellgate_rate_limit_store_available").await?;
        Ok((value > 0.0).then_some(()))
    };
    wait::until("the store to be available", available).await.unwrap();
    without_the_service(&stack).await;
    stack.ext_proc().restart().await.unwrap();
    wait::until("the store to be available", available).await.unwrap();
    let statuses = send(&stack, 150).await;
    assert!(statuses.iter().all(|status| matches!(status, 200 | 429)), "{statuses:?}");
    // Each unit that was out had been charged, and a unit that was lost is not given twice.
    let admitted = arrived(&stack);
    assert!((BURST / 2..=BURST).contains(&admitted), "{admitted}");
}

/// A request waits for the store as long as the machine needs.
fn shared(options: Options, store: &Valkey, directory: &Path) -> Options {
    let secret = directory.join("secret");
    std::fs::write(&secret, "00112233445566778899aabbccddeeff\n").unwrap();
    options
        .service_option("--limit-store", &format!("redis://{}", store.address().unwrap()))
        .service_option("--limit-secret-file", &secret.display().to_string())
        .service_option("--limit-store-timeout", "2s")
}
