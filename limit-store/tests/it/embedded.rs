//! The embedded store by the same interface.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cellgate_limit_store::{Clock, Judge, LimitStore, StoreState, WhenStoreFails};
use cellgate_limiting::{Micros, SECOND};

use crate::support::{ask, charge, costs};

#[tokio::test]
async fn it_judges_by_its_clock_shows_and_forgets() {
    let time = Arc::new(AtomicU64::new(0));
    let clock = Arc::clone(&time);
    let store = LimitStore::embedded(100, Clock::new(move || Micros(clock.load(Ordering::Relaxed))));
    let one = charge("a", "2/s", WhenStoreFails::Deny);
    assert_eq!(ask(&store, one).await, (true, Judge::Store, Some(1)));
    assert_eq!(ask(&store, one).await, (true, Judge::Store, Some(0)));
    assert_eq!(ask(&store, one).await, (false, Judge::Store, Some(0)));
    let refused = store.charge(&[one]).await;
    assert_eq!((refused.retry_after(), refused.store_time(), refused.failure()), (Some(1), None, None));
    time.fetch_add(SECOND / 2, Ordering::Relaxed);
    assert_eq!(ask(&store, one).await, (true, Judge::Store, Some(0)));

    let (usage, now) = store.usage(one.charge.key).await.unwrap().unwrap();
    assert_eq!((usage.in_use(now), now), (2, Micros(SECOND / 2)));
    assert_eq!(store.forget(one.charge.key).await.unwrap(), Some(usage));
    assert_eq!(store.usage(one.charge.key).await, Ok(None));
    assert_eq!(store.health().borrow().state, StoreState::Embedded);
    assert_eq!((store.stats().judged.store, store.stats().embedded.keys), (5, 1));
}

#[tokio::test]
async fn a_refund_gives_back_what_was_charged() {
    let store = LimitStore::embedded(100, Clock::new(|| Micros(5)));
    let ten = costs(charge("a", "10/h", WhenStoreFails::Deny), 10);
    let decision = store.charge(&[ten]).await;
    let charged = decision.charged().next().flatten().unwrap();
    assert_eq!(store.refund(&charged, 4).await, Some(4));
    assert!(!ask(&store, costs(ten, 5)).await.0);
    assert_eq!(ask(&store, costs(ten, 4)).await, (true, Judge::Store, Some(0)));
}

#[tokio::test]
async fn carried_units_are_a_debt_of_at_most_the_burst() {
    let time = Arc::new(AtomicU64::new(0));
    let clock = Arc::clone(&time);
    let store = LimitStore::embedded(1, Clock::new(move || Micros(clock.load(Ordering::Relaxed))));
    // The second key finds no place, and shares the overflow.
    for key in ["a", "b"] {
        let one = charge(key, "10/s", WhenStoreFails::Deny);
        let charged = store.charge(&[one]).await.charged().next().flatten().unwrap();
        assert!(store.carry(&charged, 2).await);
        assert_eq!(ask(&store, one).await, (true, Judge::Store, Some(6)), "{key}");
        assert!(store.carry(&charged, 1_000).await);
        assert_eq!(ask(&store, one).await, (false, Judge::Store, Some(0)), "{key}");
        // Without the bound, 1000 units would take 100 s.
        time.fetch_add(SECOND / 10, Ordering::Relaxed);
        assert_eq!(ask(&store, one).await, (true, Judge::Store, Some(0)), "{key}");
    }
}

#[tokio::test]
async fn too_many_charges_are_denied() {
    let store = LimitStore::embedded(100, Clock::monotonic());
    let decision = store.charge(&[charge("a", "10/h", WhenStoreFails::Allow); 33]).await;
    assert!(!decision.is_admitted() && decision.is_denied());
    assert_eq!(store.stats().embedded.keys, 0);
    assert!(store.charge(&[]).await.is_admitted());
}
