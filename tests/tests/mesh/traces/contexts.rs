//! Clients that send a trace context of their own.

use anyhow::Result;

use super::{SERVICE, deferred, ingress, name_of, tag, trace_id, trace_of, traced};
use crate::Shared;

/// The id of the client's own span.
const CLIENT_SPAN: &str = "00f067aa0ba902b7";

pub(crate) async fn a_clients_context_is_continued(mesh: Shared) -> Result<()> {
    let release = traced(&mesh, false).await?;
    let gateway = name_of(release.gateway().proxy());
    let collector = mesh.collector().await?;
    let (sampled, unsampled) = ("4bf92f3577b34da6a3ce929d0e0e4736", "11111111111111111111111111111111");
    let context = |id: &str, flags: &str| format!("00-{id}-{CLIENT_SPAN}-{flags}");

    let answer = release.send(&deferred("/unsampled", "acme").header("traceparent", context(unsampled, "00"))).await;
    let told = answer.received("traceparent").concat();
    assert!(told.starts_with(&format!("00-{unsampled}-")) && told.ends_with("-00"), "{told}");

    release.send(&deferred("/sampled", "acme").header("traceparent", context(sampled, "01"))).await;
    let trace = trace_of(collector, sampled, &[&gateway, SERVICE]).await?;
    let top = ingress(&trace, &release);
    assert_eq!(top.parent.as_deref(), Some(CLIENT_SPAN), "{trace}");
    // The spans of the later request have arrived: those of the earlier one would have, too.
    assert!(collector.trace(unsampled).spans.is_empty(), "{}", collector.trace(unsampled));
    Ok(())
}

/// Envoy's tracer makes no span for a request whose context it cannot read, at the gateway and for its calls. The service's
/// sidecar begins a trace of its own. The request is served.
pub(crate) async fn a_malformed_context_hides_the_request_at_the_gateway(mesh: Shared) -> Result<()> {
    let collector = mesh.collector().await?;
    for is_encrypted in [false, true] {
        let release = traced(&mesh, is_encrypted).await?;
        let gateway = name_of(release.gateway().proxy());
        let mut hidden = Vec::new();
        for (path, context) in [
            ("/word", "junk".to_owned()),
            ("/short", format!("00-4bf92f3577b34da6-{CLIENT_SPAN}-01")),
            ("/zeros", format!("00-{}-{CLIENT_SPAN}-01", "0".repeat(32))),
        ] {
            let answer = release.send(&deferred(path, "acme").header("traceparent", &context)).await;
            assert_eq!(answer.cell(), "cell-b", "{context}: {}", answer.text());
            assert_eq!(answer.received("traceparent"), [context.as_str()], "the cell gets what the client sent");
            let line = release.gateway().proxy().access_line(path).await?;
            assert_eq!(line.text("trace_id"), "", "{context}");
            hidden.push(line.text("request_id").to_owned());
        }
        // The spans of a later request have arrived: those of the earlier ones would have, too.
        release.send(&deferred("/later", "acme")).await;
        let later = trace_id(&release, "/later").await?;
        trace_of(collector, &later, &[&gateway, SERVICE]).await?;
        for id in hidden {
            let found = collector.traces_with(|span| span.service == gateway && tag(span, "guid:x-request-id") == id);
            assert_eq!(found, Vec::<String>::new(), "{id}");
            let found = collector.traces_with(|span| tag(span, "cellgate.request_id") == id);
            assert_eq!(found.len(), usize::from(is_encrypted), "{id}: {found:?}");
        }
    }
    Ok(())
}
