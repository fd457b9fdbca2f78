//! Several programs share limits in one server.

use cellgate_limit_store::{Judge, WhenStoreFails::Deny};
use cellgate_tests::valkey::{ServerOptions, Valkey};

use crate::support::{ask, charge, connected, costs, settings, shadow};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_stores_admit_exactly_the_burst_together() {
    let server = Valkey::start(ServerOptions::new()).await.unwrap();
    let mut stores = Vec::new();
    for _ in 0..3 {
        stores.push(connected(settings(server.address().unwrap())).await);
    }
    let mut tasks = tokio::task::JoinSet::new();
    for store in stores.iter().cycle().take(12) {
        let store = store.clone();
        tasks.spawn(async move {
            let mut admitted = 0;
            for _ in 0..200 {
                let decision = store.charge(&[charge("shared", "1000/30d", Deny)]).await;
                assert_eq!(decision.judges(), [Judge::Store]);
                admitted += u32::from(decision.is_admitted());
            }
            admitted
        });
    }
    let admitted: u32 = tasks.join_all().await.iter().sum();
    assert_eq!(admitted, 1_000);
}

#[tokio::test]
async fn all_limits_of_a_request_are_charged_or_none() {
    let server = Valkey::start(ServerOptions::new()).await.unwrap();
    let store = connected(settings(server.address().unwrap())).await;
    let (tenant, cell) = (charge("tenant", "2/h", Deny), charge("cell", "100/h", Deny));
    for left in [(1, 99), (0, 98)] {
        let decision = store.charge(&[tenant, cell]).await;
        let remaining: Vec<u32> = decision.decision().outcomes().iter().map(|outcome| outcome.remaining()).collect();
        assert_eq!((decision.is_admitted(), remaining), (true, vec![left.0, left.1]));
    }
    let refused = store.charge(&[tenant, cell]).await;
    assert!(!refused.is_admitted() && !refused.is_denied());
    // A unit comes back in half an hour.
    assert!((1_790..=1_800).contains(&refused.retry_after().unwrap()));
    assert_eq!(refused.charged().flatten().count(), 0);
    assert_eq!(ask(&store, cell).await, (true, Judge::Store, Some(97)));

    // A limit in shadow mode measures, and never refuses; one that is named twice is charged for both.
    assert!(store.charge(&[shadow(tenant), cell, cell]).await.is_admitted());
    assert_eq!(ask(&store, cell).await, (true, Judge::Store, Some(94)));
    // More than the burst never fits, and there is no Retry-After.
    let never = store.charge(&[costs(tenant, 3)]).await;
    assert_eq!((never.is_admitted(), never.retry_after()), (false, None));
}

#[tokio::test]
async fn a_changed_limit_forgets_nothing() {
    let server = Valkey::start(ServerOptions::new()).await.unwrap();
    let store = connected(settings(server.address().unwrap())).await;
    assert_eq!(ask(&store, costs(charge("a", "10/h", Deny), 10)).await, (true, Judge::Store, Some(0)));
    assert!(!ask(&store, charge("a", "10/h", Deny)).await.0);
    assert_eq!(ask(&store, charge("a", "1000/h", Deny)).await, (true, Judge::Store, Some(989)));
    assert!(!ask(&store, charge("a", "10/d", Deny)).await.0);
}

#[tokio::test]
async fn operators_see_and_forget_keys_and_refunds_give_units_back() {
    let server = Valkey::start(ServerOptions::new()).await.unwrap();
    let store = connected(settings(server.address().unwrap())).await;
    let ten = costs(charge("a", "100/30d", Deny), 10);
    let decision = store.charge(&[ten]).await;
    assert!(decision.store_time().is_some());
    let charged = decision.charged().next().flatten().unwrap();
    let (usage, now) = store.usage(ten.charge.key).await.unwrap().unwrap();
    assert_eq!((usage.in_use(now), usage.limit()), (10, ten.charge.limit));

    assert_eq!(store.refund(&charged, 4).await, Some(4));
    let (usage, now) = store.usage(ten.charge.key).await.unwrap().unwrap();
    assert_eq!(usage.in_use(now), 6);
    // Never more than the charge.
    assert!(store.refund(&charged, 400).await.is_some());
    assert_eq!(store.usage(ten.charge.key).await, Ok(None));

    assert!(store.charge(&[ten]).await.is_admitted());
    assert_eq!(store.forget(ten.charge.key).await.unwrap().map(|usage| usage.limit()), Some(ten.charge.limit));
    assert_eq!(ask(&store, ten).await, (true, Judge::Store, Some(90)));
}

#[tokio::test]
async fn carried_units_are_a_debt_for_every_program() {
    let server = Valkey::start(ServerOptions::new()).await.unwrap();
    let store = connected(settings(server.address().unwrap())).await;
    let other = connected(settings(server.address().unwrap())).await;
    let one = charge("a", "100/30d", Deny);
    let charged = store.charge(&[one]).await.charged().next().flatten().unwrap();
    assert!(store.carry(&charged, 9).await);
    assert_eq!(ask(&other, one).await, (true, Judge::Store, Some(89)));
    assert!(store.carry(&charged, u64::MAX).await);
    let (usage, now) = other.usage(one.charge.key).await.unwrap().unwrap();
    assert_eq!((usage.in_use(now), ask(&other, one).await.0), (100, false));
    // What is in use has the new limit, and the debt of the old one gives nothing back.
    assert_eq!(ask(&other, charge("a", "1000/30d", Deny)).await, (true, Judge::Store, Some(899)));
    assert!(store.carry(&charged, 99).await);
    assert_eq!(ask(&other, charge("a", "1000/30d", Deny)).await, (true, Judge::Store, Some(799)));
}

#[tokio::test]
async fn another_prefix_or_database_is_another_store() {
    let server = Valkey::start(ServerOptions::new()).await.unwrap();
    let first = connected(settings(server.address().unwrap())).await;
    let mut other = settings(server.address().unwrap());
    other.prefix = "other:".to_owned();
    let second = connected(other).await;
    let mut other = settings(server.address().unwrap());
    other.database = 3;
    let third = connected(other).await;
    for store in [&first, &second, &third] {
        assert_eq!(ask(store, charge("a", "1/h", Deny)).await, (true, Judge::Store, Some(0)));
        assert!(!ask(store, charge("a", "1/h", Deny)).await.0);
    }
}
