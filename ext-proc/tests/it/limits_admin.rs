//! `/limits` on the admin port: what a key has in use, its reset, and who may ask.

use crate::limits::{API_KEY, LimitedService, TOKEN};
use crate::pki::replace;
use crate::support::{Service, request, until};

#[tokio::test]
async fn the_limits_and_the_store_are_listed() {
    let limited = LimitedService::start().await;
    limited.send("acme", API_KEY).await;
    let list = limited.document("GET", "/limits").await;
    let limits = list["limits"].as_array().unwrap();
    let names: Vec<_> = limits.iter().map(|limit| limit["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["per-tenant", "per-key", "by-plan", "carried"]);
    assert_eq!(limits[0]["limit"], "100/h;burst=20");
    assert_eq!((&limits[0]["keys_with_plan"], &limits[0]["overrides"]), (&1.into(), &1.into()));
    assert_eq!(limits[0]["plans"]["pro"], "1000/h");
    assert_eq!(limits[1]["key"], serde_json::json!(["cell", "header x-api-key, case lower"]));
    assert_eq!((&limits[1]["shadow"], &limits[1]["when_store_fails"]), (&true.into(), &"deny".into()));
    assert_eq!((&limits[2]["plan_from"], &limits[2]["cost"]), (&"claim /plan".into(), &"1".into()));
    assert_eq!((&limits[3]["limit"], &limits[3]["at_most"]), (&serde_json::Value::Null, &"5/s".into()));
    // The limits that count the request: by tenant, by cell and API key, and by method.
    assert_eq!((&list["store"]["keys"], &list["store"]["max_keys"]), (&3.into(), &1000.into()));
    let inspected: serde_json::Value = serde_json::from_str(&limited.service.get("/inspect").await.1).unwrap();
    assert_eq!(inspected["rate_limits"]["store"], list["store"]);
    assert_eq!(inspected["rate_limits"]["names"], serde_json::json!(names));
}

#[tokio::test]
async fn what_a_key_has_in_use_is_shown_and_reset() {
    let limited = LimitedService::start().await;
    for _ in 0..3 {
        limited.send("acme", API_KEY).await;
    }
    let used = limited.document("GET", "/limits/per-tenant?value=acme").await;
    assert_eq!((&used["used"], &used["remaining"], &used["limit"]), (&3.into(), &17.into(), &"100/h;burst=20".into()));
    assert_eq!(used["limit_is"], "default");
    // Three units of 36 s.
    let full = used["full_in_ms"].as_u64().unwrap();
    assert!((90_000..=108_000).contains(&full), "{full}");
    let digest = used["digest"].as_str().unwrap();
    assert_eq!(digest.len(), 32);

    let forgotten = limited.document("POST", "/limits/per-tenant/reset?value=acme").await;
    assert_eq!((&forgotten["units"], forgotten["digest"].as_str()), (&3.into(), Some(digest)));
    let used = limited.document("GET", "/limits/per-tenant?value=acme").await;
    assert_eq!((&used["used"], &used["remaining"], &used["full_in_ms"]), (&0.into(), &20.into(), &0.into()));
    assert_eq!(limited.document("POST", "/limits/per-tenant/reset?value=acme").await["units"], 0);
    // The other limits of these requests have forgotten nothing.
    let path = format!("/limits/per-key?value=cell-b&value={}", API_KEY.to_uppercase());
    let used = limited.document("GET", &path).await;
    assert_eq!((&used["used"], &used["remaining"]), (&3.into(), &0.into()));
}

#[tokio::test]
async fn the_limit_of_a_key_is_that_of_the_configuration_or_of_the_last_request() {
    let limited = LimitedService::start().await;
    let is = |document: serde_json::Value| format!("{} {}", document["limit"], document["limit_is"]);
    for (query, expected) in [
        ("per-tenant?value=sk_live_4242", r#""7/h" "override""#),
        ("per-tenant?value=globex", r#""1000/h" "plan""#),
        ("per-tenant?value=a%20%2B", r#""100/h;burst=20" "default""#),
        ("by-plan?value=GET", r#"null "requests""#),
        ("carried", r#"null "requests""#),
    ] {
        assert_eq!(is(limited.document("GET", &format!("/limits/{query}")).await), expected, "{query}");
    }
    limited.send("acme", API_KEY).await;
    assert_eq!(is(limited.document("GET", "/limits/by-plan?value=POST").await), r#""100/h" "last_charge""#);
}

#[tokio::test]
async fn unusable_values_count_together() {
    let limited = LimitedService::start().await;
    // A value with a control character is unusable.
    limited.send("acme", "a\tb").await;
    limited.send("acme", "c\td").await;
    let used = limited.document("GET", "/limits/per-key?value=cell-b&unusable=true").await;
    assert_eq!(used["used"], 2);
    assert_eq!(limited.document("POST", "/limits/per-key/reset?value=cell-b&unusable=true").await["units"], 2);
}

#[tokio::test]
async fn a_get_changes_nothing() {
    let limited = LimitedService::start().await;
    limited.send("acme", API_KEY).await;
    let stored = || async { limited.document("GET", "/limits").await["store"].clone() };
    let before = stored().await;
    for method in ["GET", "HEAD", "PUT", "DELETE"] {
        let (status, _) = limited.ask(method, "/limits/per-tenant/reset?value=acme", TOKEN).await;
        assert_eq!(status, 405, "{method}");
    }
    for path in ["/limits/per-tenant?value=acme", "/limits/per-tenant?value=unknown", "/limits/by-plan?value=GET"] {
        limited.document("GET", path).await;
        assert_eq!(limited.ask("POST", path, TOKEN).await.0, 405, "{path}");
    }
    assert_eq!(limited.document("GET", "/limits/per-tenant?value=acme").await["used"], 1);
    assert_eq!(stored().await, before);
}

#[tokio::test]
async fn only_the_token_opens_the_limits() {
    let limited = LimitedService::start().await;
    let admin = limited.service.admin;
    let paths = [("GET", "/limits"), ("GET", "/limits/per-tenant?value=acme"), ("POST", "/limits/x/reset?value=acme")];
    limited.send("acme", API_KEY).await;
    for (method, path) in paths {
        let basic = format!("Basic {TOKEN}");
        let (right, longer) = (format!("Bearer {TOKEN}"), format!("Bearer {TOKEN}x"));
        for wrong in
            ["", "Bearer", "Bearer ", TOKEN, &basic, &longer, &right[..right.len() - 1], &right.replace('t', "T")]
        {
            let (status, head, _) = request(admin, method, path, &[("authorization", wrong)]).await;
            assert_eq!(status, 401, "{wrong}");
            assert!(head.to_lowercase().contains("www-authenticate: bearer"), "{head}");
        }
        assert_eq!(request(admin, method, path, &[]).await.0, 401);
        let twice = [("authorization", right.as_str()), ("authorization", "Bearer x")];
        assert_eq!(request(admin, method, path, &twice).await.0, 401);
        let lower = right.replace("Bearer", "bearer");
        assert!(matches!(request(admin, method, path, &[("authorization", &lower)]).await.0, 200 | 404));
    }
    // The other paths need none.
    assert_eq!(limited.service.get("/livez").await.0, 200);
    assert_eq!(limited.document("GET", "/limits/per-tenant?value=acme").await["used"], 1);
}

#[tokio::test]
async fn without_a_token_file_nobody_may_ask() {
    let service = Service::start().await;
    for (method, path) in [("GET", "/limits"), ("GET", "/limits/x"), ("POST", "/limits/x/reset")] {
        let (status, _, body) = request(service.admin, method, path, &[("authorization", "Bearer ")]).await;
        assert_eq!(status, 403, "{path}");
        assert!(body.contains("--admin-token-file FILE"), "{body}");
    }
}

#[tokio::test]
async fn another_token_in_the_file_counts_and_a_bad_one_does_not() {
    let limited = LimitedService::start().await;
    replace(&limited.token_file, "another-token-of-the-test\n");
    until("changed", || async { limited.ask("GET", "/limits", "another-token-of-the-test").await.0 == 200 }).await;
    assert_eq!(limited.ask("GET", "/limits", TOKEN).await.0, 401);
    replace(&limited.token_file, "short");
    replace(&limited.service.config, "cells: []");
    until("both are read", || async {
        limited.service.metric(r#"cellgate_config_reloads_total{result="refused"}"#).await > 0
    })
    .await;
    assert_eq!(limited.ask("GET", "/limits", "short").await.0, 401);
    assert_eq!(limited.ask("GET", "/limits", "another-token-of-the-test").await.0, 200);
}
