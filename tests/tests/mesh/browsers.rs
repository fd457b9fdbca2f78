//! CORS in the mesh: preflights get a response, and a page of an allowed origin can read every response and refusal.

use anyhow::Result;
use cellgate_tests::client::{Request, Response};
use cellgate_tests::mesh::kube::object;
use cellgate_tests::mesh::release::{GATEWAY, Release, Setup};
use serde_json::json;

use crate::Shared;
use crate::support::{key_last, of, pieces};

const PAGE: &str = "https://app.example";
const STRANGER: &str = "https://evil.example";
/// Another team's host on the same gateway.
const OTHER: &str = "other.test";

/// The origins in a response's `access-control-allow-origin`.
fn readable_by(answer: &Response) -> Vec<String> {
    let values = answer.headers.iter().filter(|(name, _)| name == "access-control-allow-origin");
    values.map(|(_, value)| value.clone()).collect()
}

fn preflight(origin: &str) -> Request {
    Request::new("OPTIONS", "/orders")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type")
}

async fn with_policy(mesh: &Shared) -> Result<Release> {
    let policy = json!({
        "allowOrigins": [{"exact": PAGE}],
        "allowMethods": ["POST"],
        "allowHeaders": ["content-type"],
        "exposeHeaders": ["retry-after"],
        "allowCredentials": true,
        "maxAge": "600s",
    });
    Setup::new(mesh).with(json!({"routes": {"cors": policy}})).install().await
}

pub(crate) async fn a_preflight_gets_a_response_and_reaches_no_cell(mesh: Shared) -> Result<()> {
    let release = with_policy(&mesh).await?;
    for request in [preflight(PAGE), preflight(PAGE).header("x-cell", "cell-c")] {
        for answer in [release.send(&request).await, release.send_h2(&request).await] {
            assert_eq!((answer.status.as_u16(), readable_by(&answer)), (200, vec![PAGE.to_owned()]));
            assert_eq!(answer.header("access-control-allow-methods"), Some("POST"));
            assert_eq!(answer.header("access-control-allow-headers"), Some("content-type"));
            assert_eq!(answer.header("access-control-max-age"), Some("600"));
        }
    }
    let strange = release.send(&preflight(STRANGER)).await;
    assert_eq!(readable_by(&strange), Vec::<String>::new());
    // An ordinary OPTIONS request, not a preflight.
    let plain = release.send(&Request::new("OPTIONS", "/orders").header("origin", PAGE)).await;
    assert_eq!((plain.status.as_u16(), plain.served_by()), (400, None));
    for cell in ["cell-a", "cell-b", "cell-c"] {
        assert_eq!(release.cell(cell).arrived(), 0, "{cell}");
    }
    release.gateway().proxy().must_accept().await
}

pub(crate) async fn a_page_can_read_responses_and_refusals(mesh: Shared) -> Result<()> {
    let release = with_policy(&mesh).await?;
    // Decided by the filter, rejected by it, rejected by the service, and a body that Envoy itself rejects as too
    // large.
    let broken = format!("{}]", key_last("acme", 128 * 1024));
    let requests = [
        (200, of("acme")),
        (400, Request::post("/").json("{}")),
        (400, Request::post("/").json(r#"{"tenant":{"id":"a","id":"b"}}"#)),
        (400, Request::post("/deferred").header("content-type", "application/json").pieces(pieces(&broken))),
    ];
    for (status, request) in requests {
        let answer = release.send(&request.clone().header("origin", PAGE)).await;
        assert_eq!((answer.status.as_u16(), readable_by(&answer)), (status, vec![PAGE.to_owned()]), "{request:?}");
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        let strange = release.send(&request.clone().header("origin", STRANGER)).await;
        assert_eq!((strange.status.as_u16(), readable_by(&strange)), (status, Vec::new()), "{request:?}");
        let direct = release.send(&request).await;
        assert_eq!((direct.status.as_u16(), readable_by(&direct)), (status, Vec::new()), "{request:?}");
    }
    assert!(release.ext_proc_streams().await > 0, "the service has rejected one");
    release.gateway().proxy().must_accept().await
}

/// The policy applies to the release's hosts only. It does not change the responses of other hosts.
pub(crate) async fn responses_of_other_hosts_are_unchanged(mesh: Shared) -> Result<()> {
    let release = with_policy(&mesh).await?;
    let mut service = object("networking.istio.io/v1", "VirtualService", release.name(), "other");
    service["spec"] = json!({
        "hosts": [OTHER],
        "gateways": [format!("{}/{GATEWAY}", release.gateway_namespace())],
        "http": [{"name": "other", "directResponse": {"status": 403, "body": {"string": "other"}}}],
    });
    mesh.kube().apply(&service).await?;
    release.gateway().has_routes(OTHER, &["other".to_owned()]).await?;
    let answer = release.send(&of("acme").header("host", OTHER).header("origin", PAGE)).await;
    assert_eq!((answer.status.as_u16(), readable_by(&answer)), (403, Vec::new()));
    Ok(())
}
