use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use prometheus::HistogramOpts;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn budget(limit: u64) -> Budget {
    Budget::with_waits(limit, 10 * SECOND, Histogram::with_opts(HistogramOpts::new("waits", "waits")).unwrap())
}

/// A stream that holds a body of this many bytes.
fn stream(budget: &Budget, expected: u64) -> Reservation {
    let reservation = budget.reservation();
    reservation.expect(expected);
    reservation
}

fn wait(growth: Growth) -> Wait {
    match growth {
        Growth::Waits(wait) => wait,
        other => panic!("{other:?}"),
    }
}

async fn is_pending(wait: &mut Wait) -> bool {
    poll_fn(|context| Poll::Ready(pin!(&mut *wait).poll(context).is_pending())).await
}

#[test]
fn bytes_beyond_the_limit_are_refused_as_a_whole() {
    let budget = Budget::new(10);
    let (mut one, mut two) = (budget.reservation(), budget.reservation());
    assert!(one.try_grow(6));
    assert!(!two.try_grow(5));
    assert!(two.try_grow(4));
    assert_eq!(budget.used(), 10);
    assert!(!one.try_grow(u64::MAX));
    one.release(100);
    assert_eq!(budget.used(), 4);
    assert!(one.split(1).is_none());
    assert!(one.try_grow(6));
    let (part, rest) = (one.split(2), one.split(100));
    assert_eq!((part.as_ref().map(Reservation::bytes), rest.map(|rest| rest.bytes())), (Some(2), Some(4)));
    assert_eq!((budget.used(), one.bytes()), (6, 0));
    one.merge(part.unwrap());
    let part = one.split(2);
    assert_eq!((budget.used(), one.bytes()), (6, 0));
    drop((one, two, part));
    assert_eq!(budget.used(), 0);
}

#[test]
fn without_time_to_wait_nothing_waits() {
    let budget = Budget::new(10);
    let mut full = budget.reservation();
    assert!(full.try_grow(10));
    assert!(matches!(budget.reservation().grow_or_wait(1), Growth::Refused));
    assert_eq!(budget.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_can_never_fit_is_refused_at_once() {
    let budget = budget(100);
    let mut one = stream(&budget, 1000);
    assert!(one.try_grow(60));
    assert!(matches!(one.grow_or_wait(41), Growth::Refused));
    assert!(matches!(one.grow_message(10, 41), Growth::Refused));
    assert!(matches!(one.grow_message(10, 40), Growth::Grown));
}

#[tokio::test(start_paused = true)]
async fn the_oldest_may_use_all_of_it_and_the_others_leave_its_demand_free() {
    let budget = budget(100);
    let (mut oldest, mut second, mut third) = (stream(&budget, 40), stream(&budget, 30), stream(&budget, 30));
    assert!(oldest.try_grow(10) && second.try_grow(30) && third.try_grow(20));
    assert!(!third.try_grow(1), "40 must stay free");
    assert!(oldest.try_grow(30));
    // Once it is decided, the second is the oldest.
    oldest.settle();
    assert!(!third.try_grow(1), "60 are held and may stay held");
    drop(oldest);
    assert!(third.try_grow(10));
    assert_eq!(budget.used(), 60);
}

#[tokio::test(start_paused = true)]
async fn waiting_streams_are_served_oldest_first_and_decided_ones_before() {
    let budget = budget(100);
    let mut first = stream(&budget, 60);
    assert!(first.try_grow(50));
    let mut streams = [stream(&budget, 40), stream(&budget, 40), stream(&budget, 40)];
    let mut waits: Vec<_> = streams.iter_mut().map(|stream| wait(stream.grow_or_wait(40))).collect();
    let mut decided = budget.reservation();
    decided.settle();
    waits.push(wait(decided.grow_message(20, 20)));
    assert_eq!(budget.waiting(), 4);
    assert!(!budget.reservation().try_grow(1), "nobody overtakes those that wait");
    for wait in &mut waits {
        assert!(is_pending(wait).await);
    }
    let mut order = Vec::new();
    first.settle();
    drop(first);
    let mut granted: Vec<Option<Reservation>> = (0..4).map(|_| None).collect();
    while order.len() < 4 {
        let next = poll_fn(|context| {
            let ready = waits.iter_mut().enumerate().find_map(|(number, wait)| match pin!(wait).poll(context) {
                Poll::Ready(reservation) if granted[number].is_none() => Some((number, reservation)),
                _ => None,
            });
            Poll::Ready(ready)
        })
        .await;
        match next {
            Some((number, reservation)) => {
                order.push(number);
                granted[number] = Some(reservation.unwrap());
            }
            // All that fits is granted. The oldest is done.
            None => {
                let done = *order.iter().find(|number| granted[**number].as_ref().unwrap().bytes() > 0).unwrap();
                let reservation = granted[done].as_mut().unwrap();
                reservation.settle();
                reservation.message_ended();
                reservation.release_all();
            }
        }
    }
    assert_eq!(order, [0, 3, 1, 2]);
    assert_eq!(budget.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_the_time_of_its_stream() {
    let budget = budget(10);
    let mut full = budget.reservation();
    assert!(full.try_grow(10));
    let mut one = budget.reservation();
    let first = wait(one.grow_or_wait(5));
    assert!(one.is_waiting());
    tokio::time::advance(4 * SECOND).await;
    assert_eq!(one.waited(), 4 * SECOND);
    drop(first);
    assert!(!one.is_waiting() && budget.waiting() == 0);
    tokio::time::advance(SECOND).await;
    assert_eq!(one.waited(), 4 * SECOND);
    let began = Instant::now();
    assert!(wait(one.grow_or_wait(5)).await.is_none());
    assert!(began.elapsed() >= 6 * SECOND && began.elapsed() < 7 * SECOND, "{:?}", began.elapsed());
    assert!(matches!(one.grow_or_wait(5), Growth::Refused), "all its time is used up");
    assert_eq!(budget.used(), 10);
    let seconds = full.account.budget.wait_seconds.as_ref().unwrap();
    assert_eq!(seconds.get_sample_count(), 2);
    assert!(seconds.get_sample_sum() >= 10.0);
}

#[tokio::test(start_paused = true)]
async fn who_stops_waiting_gives_up_the_place_and_what_it_was_granted() {
    let budget = budget(10);
    let mut full = budget.reservation();
    assert!(full.try_grow(10));
    let (mut one, mut two) = (budget.reservation(), budget.reservation());
    let (first, mut second) = (wait(one.grow_or_wait(10)), wait(two.grow_or_wait(10)));
    assert!(is_pending(&mut second).await);
    // Granted, and not taken.
    full.release(10);
    assert_eq!((budget.used(), budget.waiting()), (10, 1));
    drop(first);
    assert_eq!(second.await.unwrap().bytes(), 10);
    assert_eq!((budget.used(), budget.waiting()), (0, 0));
}

/// Each thread is a stream after the other: it fills a body chunk by chunk and returns it. A lost wakeup would end in the
/// timeout.
#[test]
fn many_threads_all_get_what_they_demand() {
    const THREADS: u64 = 8;
    const LIMIT: u64 = 1000;
    let budget = budget(LIMIT);
    let most = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (budget, most) = (budget.clone(), Arc::clone(&most));
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                runtime.block_on(async {
                    for round in 0..200 {
                        let size = 100 + (thread * 131 + round * 37) % 400;
                        let mut body = stream(&budget, size);
                        while body.bytes() < size {
                            let chunk = (size - body.bytes()).min(1 + (round * 7 + thread) % 90);
                            match body.grow_or_wait(chunk) {
                                Growth::Grown => {}
                                Growth::Waits(wait) => body.merge(wait.await.expect("the wait timed out")),
                                Growth::Refused => panic!("refused {size}"),
                            }
                            most.fetch_max(budget.used(), Ordering::Relaxed);
                        }
                        body.settle();
                        if round % 3 == 0 {
                            tokio::task::yield_now().await;
                        }
                    }
                });
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(most.load(Ordering::Relaxed) <= LIMIT && most.load(Ordering::Relaxed) > 0);
    assert_eq!((budget.used(), budget.waiting()), (0, 0));
}
