//! Fields that settle, and that the client shall not see.

use super::*;
use crate::support::connection_manager;

/// A filter in front of Cellgate's, as docs/rate-limits.md has it. On the way of the response it is behind them.
fn hide_behind_the_service(bootstrap: &mut Value) {
    let hidden = json!({
        "name": "hide-settled-fields",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
            "mutations": {
                "response_mutations": [{"remove": "x-used"}],
                "response_trailers_mutations": [{"remove": "x-used"}],
            },
        },
    });
    connection_manager(bootstrap)["http_filters"].as_array_mut().unwrap().insert(0, hidden);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_in_front_hides_a_field_that_settles() {
    for (settle, response) in
        [(by_header(), with_headers(200, "x-used: 3\r\n")), (by_trailer(), with_trailers(200, "x-used: 3\r\n"))]
    {
        let settled = Settled::start_with(settle, Options::default().adjust(hide_behind_the_service)).await;
        for (request, used) in [(get(), 3), (Request::post("/counted").json(key_last("acme", 2_000_000)), 6)] {
            let answer = settled.exchange(&request, &response).await;
            assert_eq!((answer.status.as_u16(), answer.header("x-used"), answer.trailer("x-used")), (200, None, None));
            settled.used(used).await;
        }
        settled.settled("refunded", 2.0).await;
    }
}

/// Regression: the documentation told users to hide the field so. Envoy's router removes it before any filter sees the response.
#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_the_routes_remove_does_not_settle() {
    for place in ["", "/virtual_hosts/0", "/virtual_hosts/0/routes"] {
        let options = Options::default().adjust(move |bootstrap| {
            let part = connection_manager(bootstrap)["route_config"].pointer_mut(place).unwrap();
            let parts = match part {
                Value::Array(routes) => routes.iter_mut().collect(),
                part => vec![part],
            };
            for part in parts {
                part["response_headers_to_remove"] = json!(["x-used"]);
            }
        });
        let settled = Settled::start_with(by_header(), options).await;
        let answer = settled.exchange(&get(), &with_headers(200, "x-used: 3\r\n")).await;
        assert_eq!(answer.header("x-used"), None, "{place}");
        settled.settled("kept", 1.0).await;
        settled.used(10).await;
    }
}
