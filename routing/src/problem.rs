//! The answer a rejected client gets: an RFC 9457 problem document, the same from both tiers.

use crate::reason::Reason;

/// The media type of [`problem`].
pub const CONTENT_TYPE: &str = "application/problem+json";

/// The body of a rejection. It names the reason and never anything of the request.
#[must_use]
pub fn problem(status: u16, reason: Reason) -> String {
    // Labels and texts are ours and need no escaping (tested below).
    format!(
        "{{\"title\":\"Request not routed\",\"status\":{status},\"detail\":\"{}\",\"code\":\"{}\"}}\n",
        reason.text(),
        reason.label()
    )
}

/// What a rejected gRPC call gets as its `grpc-message`: `code: sentence`, so that a program finds the code as in a
/// problem's `code`. Envoy makes the message of the answer's body.
#[must_use]
pub fn grpc_message(reason: Reason) -> String {
    [reason.label(), ": ", reason.text()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_makes_valid_json() {
        for reason in Reason::ALL {
            let document: serde_json::Value = serde_json::from_str(&problem(400, *reason)).unwrap();
            assert_eq!(document["code"], reason.label());
            assert_eq!(document["detail"], reason.text());
            assert_eq!(document["status"], 400);
        }
    }
}
