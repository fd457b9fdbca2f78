//! The options of `cellgate serve` for traces.

use std::ffi::OsString;
use std::path::PathBuf;

use cellgate_ext_proc::{BadOtlpEndpoint, OtlpEndpoint, OtlpProtocol, TraceSettings};
use clap::Args;

use super::{Exit, Failure};

/// Options for OpenTelemetry traces. The variables are those of OpenTelemetry where it has one. Other programs share those, so
/// they are read as text: an empty one counts as unset, and those of the receiver count only with an endpoint.
#[derive(Debug, Args)]
#[command(next_help_heading = "Traces")]
pub(crate) struct TraceArgs {
    /// The receiver of OpenTelemetry traces: http://HOST:PORT, or https:// for TLS; without it, there are no traces
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT", hide_env_values = true)]
    otlp_endpoint: Option<String>,
    /// The protocol of the receiver: `grpc`, usually on port 4317, or `http/protobuf`, usually on port 4318 [default: grpc]
    #[arg(long, value_name = "PROTOCOL", env = "OTEL_EXPORTER_OTLP_PROTOCOL", hide_env_values = true)]
    otlp_protocol: Option<String>,
    /// A PEM file with the authorities of the receiver's certificate, read again for each connection [default: those of the system]
    #[arg(long, value_name = "FILE", env = "OTEL_EXPORTER_OTLP_CERTIFICATE", hide_env_values = true)]
    otlp_ca: Option<OsString>,
    /// A file with header fields for the receiver, such as its token: one `name: value` on each line, read again for each export
    #[arg(long, value_name = "FILE", env = "CELLGATE_OTLP_HEADERS_FILE", hide_env_values = true)]
    otlp_headers_file: Option<PathBuf>,
    /// The part of the requests that is sampled, in percent, if Envoy has not decided that: 0 to 100, such as 0.5
    #[arg(long, value_name = "PERCENT", env = "CELLGATE_TRACE_SAMPLE_PERCENT", default_value = "0", value_parser = sample_percent)]
    trace_sample_percent: f64,
}

impl TraceArgs {
    /// The settings, if there is a receiver.
    ///
    /// # Errors
    /// The endpoint or the protocol is not valid. The endpoint is not shown, because it may have a password.
    pub(super) fn settings(&self) -> Result<Option<TraceSettings>, Failure> {
        let Some(endpoint) = self.otlp_endpoint.as_deref().filter(|endpoint| !endpoint.is_empty()) else {
            return Ok(None);
        };
        let endpoint: OtlpEndpoint = endpoint.parse().map_err(|error: BadOtlpEndpoint| {
            Failure::new(Exit::Usage, format!("--otlp-endpoint (or OTEL_EXPORTER_OTLP_ENDPOINT): {error}"))
        })?;
        Ok(Some(TraceSettings {
            protocol: protocol(self.otlp_protocol.as_deref().unwrap_or_default())?,
            ca: self.otlp_ca.as_ref().filter(|file| !file.is_empty()).map(PathBuf::from),
            headers: self.otlp_headers_file.clone(),
            sample_percent: self.trace_sample_percent,
            ..TraceSettings::new(endpoint)
        }))
    }
}

fn protocol(name: &str) -> Result<OtlpProtocol, Failure> {
    match name {
        "" | "grpc" => Ok(OtlpProtocol::Grpc),
        "http/protobuf" => Ok(OtlpProtocol::Http),
        other => Err(Failure::new(
            Exit::Usage,
            format!(
                "--otlp-protocol (or OTEL_EXPORTER_OTLP_PROTOCOL): `{}` is not supported: use grpc or http/protobuf",
                other.escape_debug()
            ),
        )),
    }
}

fn sample_percent(text: &str) -> Result<f64, &'static str> {
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let percent = text.parse().ok().filter(|percent| is_decimal && (0.0..=100.0).contains(percent));
    percent.ok_or("use a number from 0 to 100, such as `1` or `0.5`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_decimal_numbers_up_to_100() {
        for (text, percent) in [("0", 0.0), ("0.01", 0.01), ("100", 100.0), ("7.", 7.0)] {
            assert_eq!(sample_percent(text), Ok(percent));
        }
        for text in ["", "-1", "100.1", "1e1", "nan", "inf", "1%", "+1"] {
            assert!(sample_percent(text).is_err(), "{text}");
        }
    }
}
