//! Redirects that Envoy follows itself.

use super::*;
use crate::support::connection_manager;

/// Envoy begins a second request, with a decision and a charge of its own. The service sees no response to the first.
#[tokio::test(flavor = "multi_thread")]
async fn an_internal_redirect_is_charged_as_two_requests() {
    for (settle, outcome, used) in [(by_header(), "kept", 16), (released(by_header()), "released", 6)] {
        let options = Options::default().adjust(|bootstrap| {
            let routes = &mut connection_manager(bootstrap)["route_config"]["virtual_hosts"][0]["routes"];
            for route in routes.as_array_mut().unwrap().iter_mut().filter(|route| route.get("route").is_some()) {
                route["route"]["internal_redirect_policy"] = json!({"max_internal_redirects": 2});
            }
        });
        let settled = Settled::start_with(settle, options).await;
        let (mut client, mut first) = settled.send(&get()).await;
        let location = "location: http://cellgate.test/counted\r\nx-used: 2\r\ncontent-length: 0\r\n\r\n";
        first.write(&format!("HTTP/1.1 302 Found\r\n{location}")).await;
        let mut again = settled.cell.accept().await;
        again.write(&with_headers(200, "x-used: 6\r\n")).await;
        assert_eq!(client.response("GET").await.unwrap().status, 200);
        settled.settled("refunded", 1.0).await;
        settled.settled(outcome, 1.0).await;
        settled.used(used).await;
    }
}
