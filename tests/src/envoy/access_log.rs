//! The access log, with one JSON object per line.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// The fields, as Envoy's `json_format`.
pub(crate) fn format(routing_header: &str) -> Value {
    json!({
        "method": "%REQ(:METHOD)%",
        "path": "%REQ(:PATH)%",
        "id": "%REQ(X-REQUEST-ID)%",
        "code": "%RESPONSE_CODE%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "flags": "%RESPONSE_FLAGS%",
        "protocol": "%PROTOCOL%",
        "cell": format!("%REQ({})%", routing_header.to_ascii_uppercase()),
        "cluster": "%UPSTREAM_CLUSTER%",
        "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        "received": "%BYTES_RECEIVED%",
        "decision": "%FILTER_STATE(wasm.cellgate:PLAIN)%",
        "service": "%DYNAMIC_METADATA(cellgate:reason)%",
    })
}

/// One line, which Envoy writes when a request has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessLine(Value);

impl AccessLine {
    /// A field as text, or empty if it is absent: `method`, `path`, `id`, `details`, `flags`, `protocol`, `cell` (the
    /// routing header), `cluster`, `decision` (the filter's state), `service` (the service's reason).
    #[must_use]
    pub fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_default()
    }

    /// A field as a number: `code`, `attempts`, `received`.
    #[must_use]
    pub fn number(&self, field: &str) -> u64 {
        self.0[field].as_u64().unwrap_or_default()
    }

    /// The response status, or 0 without a response.
    #[must_use]
    pub fn code(&self) -> u64 {
        self.number("code")
    }

    /// The filter's decision, from its filter state.
    #[must_use]
    pub fn decision(&self) -> &str {
        self.text("decision")
    }
}

/// Reads the complete lines. The last line may still be incomplete.
pub(super) fn read(file: &Path) -> Result<Vec<AccessLine>> {
    let text = match std::fs::read(file) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error.into()),
    };
    let complete = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
    parse(complete.lines())
}

/// Parses complete lines.
pub(crate) fn parse<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Vec<AccessLine>> {
    lines.map(|line| Ok(AccessLine(serde_json::from_str(line).context(line.to_owned())?))).collect()
}
