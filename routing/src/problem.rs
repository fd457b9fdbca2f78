//! Refusals: the body that both tiers send, an RFC 9457 problem document.

use crate::reason::Reason;

/// The media type of [`problem`].
pub const CONTENT_TYPE: &str = "application/problem+json";

/// The body of a refusal. It has the reason and no part of the request.
#[must_use]
pub fn problem(status: u16, reason: Reason) -> String {
    // Labels and texts need no escaping; a test checks it.
    format!(
        "{{\"title\":\"Request not routed\",\"status\":{status},\"detail\":\"{}\",\"code\":\"{}\"}}\n",
        reason.text(),
        reason.label()
    )
}

/// The `grpc-message` of a refused gRPC call: `CODE: SENTENCE`. Envoy takes it from the body of the local reply. A program
/// finds the code, as in the `code` of a problem document.
#[must_use]
pub fn grpc_message(reason: Reason) -> String {
    [reason.label(), ": ", reason.text()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_valid_json_for_every_reason() {
        for reason in Reason::ALL {
            let document: serde_json::Value = serde_json::from_str(&problem(400, *reason)).unwrap();
            assert_eq!(document["code"], reason.label());
            assert_eq!(document["detail"], reason.text());
            assert_eq!(document["status"], 400);
        }
    }
}
