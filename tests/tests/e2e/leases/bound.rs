//! The bound: in no span of time `t` are more than `burst + rate × t` and the units outstanding at its beginning admitted.

use std::time::{Duration, Instant};

use cellgate_tests::stack::Stack;

use super::traffic::{send, watch};
use super::{OUTSTANDING, filter, get, leased, metric};

/// Units a second.
const RATE: u32 = 50;

/// Units at once.
const BURST: u32 = 200;

/// The traffic is this many times the rate.
const NOISE: u32 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn at_twenty_times_the_limit_the_bound_holds() {
    let stack = Stack::start(leased(&format!("{RATE}/s;burst={BURST}")).concurrency(2)).await;
    let request = get("acme");
    // Within the limit, so that units are out and the allowance is nearly full when the noise begins.
    assert!(send(stack.address(), &request, RATE / 2, Duration::from_secs(5)).await.are_all(200));

    // The clock of the bound starts before the units are read, and stops after the last answer.
    let begun = Instant::now();
    let outstanding = metric(&stack, OUTSTANDING).await;
    assert!(outstanding > 0, "no units are out");
    let noise = send(stack.address(), &request, RATE * NOISE, Duration::from_secs(5));
    let (tally, most_outstanding) = watch(noise, async || metric(&stack, OUTSTANDING).await).await;
    let seconds = begun.elapsed().as_secs_f64();

    let admitted = tally.count(200);
    assert_eq!(admitted + tally.count(429), tally.0.len());
    let exact = f64::from(BURST) + f64::from(RATE) * seconds;
    println!(
        "{admitted} of {} requests admitted in {seconds:.1} s; burst and rate allow {exact:.0}; {outstanding} units were out \
         before, at most {most_outstanding} meanwhile",
        tally.0.len()
    );
    let count = |units: u64| f64::from(u32::try_from(units).unwrap());
    let admitted = count(admitted as u64);
    assert!(
        admitted <= exact + count(outstanding),
        "{admitted} were admitted, {exact} and {outstanding} are the bound"
    );
    assert!(admitted - exact <= f64::from(BURST / 2), "the overshoot is more than half a burst");
    assert!(most_outstanding <= u64::from(BURST / 2), "{most_outstanding} units were out");
    // It is a bound that the traffic has met, and leases took part.
    assert!(tally.count(429) > 0 && admitted >= exact * 0.5, "{admitted}");
    assert!(filter(&stack, "leases.spent").await > 0);
}
