//! Steady load within the limit.

use std::time::{Duration, Instant};

use cellgate_tests::stack::Stack;

use super::traffic::{Tally, send};
use super::{OPEN, decided_by_service, filter, get, leased, metric};

/// Until the filter knows the demand: its first report brings the secret of the keys, and the second one the first units.
const WARM_UP: Duration = Duration::from_secs(4);

/// The time of a measurement.
const MEASURED: Duration = Duration::from_secs(6);

/// The workers of Envoy: each has a virtual machine with leases of its own.
const WORKERS: u32 = 2;

/// Requests at a rate. The number of requests that the service has decided, the number of its `Sync` calls, and the seconds.
async fn measure(stack: &Stack, per_second: u32) -> (Tally, u64, u64, f64) {
    let request = get("acme");
    assert!(send(stack.address(), &request, per_second, WARM_UP).await.are_all(200));
    let (decided, syncs) = (decided_by_service(stack).await, metric(stack, OPEN).await);
    let begun = Instant::now();
    let tally = send(stack.address(), &request, per_second, MEASURED).await;
    let seconds = begun.elapsed().as_secs_f64();
    let (decided, syncs) = (decided_by_service(stack).await - decided, metric(stack, OPEN).await - syncs);
    println!(
        "{per_second}/s: {} requests in {seconds:.1} s, {decided} at the service, {syncs} calls of Sync",
        tally.0.len()
    );
    (tally, decided, syncs, seconds)
}

#[tokio::test(flavor = "multi_thread")]
async fn most_requests_do_not_reach_the_service_and_its_calls_do_not_grow_with_the_load() {
    let stack = Stack::start(leased("8000/s").concurrency(WORKERS)).await;
    for per_second in [10, 1_000] {
        let (tally, decided, syncs, seconds) = measure(&stack, per_second).await;
        assert!(tally.are_all(200), "{tally:?}");
        let sent = tally.0.len() as u64;
        assert!(decided * 10 <= sent, "the service decided {decided} of {sent} requests");
        // One for each virtual machine and second. A busy machine makes fewer, and the edges of the time one more.
        let most = f64::from(WORKERS) * (seconds + 1.0);
        let calls = f64::from(u32::try_from(syncs).unwrap());
        assert!((seconds * 0.6..=most).contains(&calls), "{calls} calls of Sync in {seconds} s");
    }
    let spent = filter(&stack, "leases.spent").await;
    assert!(spent > 1_000, "{spent} requests were admitted by lease");
    assert_eq!(filter(&stack, "sync_failures").await, 0);
}
