//! The decoding of a body with a Content-Encoding, and its cost.

use cellgate_routing::{BodyReader, DecodingCost, Head};
use serde_json::{Value, json};

use crate::units::size;

/// A decoded body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoding {
    /// The Content-Encoding, as the request has it.
    encoding: String,
    /// The size of the body.
    encoded: usize,
    decoded: DecodingCost,
}

impl Decoding {
    pub(super) fn of(head: &impl Head, reading: &BodyReader, encoded: usize) -> Option<Self> {
        let values: Vec<_> = head.values("content-encoding").map(String::from_utf8_lossy).collect();
        Some(Self { encoding: values.join(", "), encoded, decoded: reading.decoded()? })
    }

    /// `gzip: 48 bytes decode to 28, 0.6 for each; 0.012 ms of CPU time with the scan, 64 KiB of memory`.
    pub(super) fn text(&self) -> String {
        let Self { encoding, encoded, decoded: DecodingCost { bytes, time, memory } } = self;
        let (ratio, milliseconds, memory) = (self.ratio(), time.as_secs_f64() * 1000.0, size(*memory));
        format!(
            "{encoding}: {encoded} bytes decode to {bytes}, {ratio:.1} for each; {milliseconds:.3} ms of CPU time with the \
             scan, {memory} of memory"
        )
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "content_encoding": self.encoding,
            "bytes": self.decoded.bytes,
            "of": self.encoded,
            "ratio": self.ratio(),
            "microseconds": u64::try_from(self.decoded.time.as_micros()).unwrap_or(u64::MAX),
            "memory_bytes": self.decoded.memory,
        })
    }

    /// The decoded bytes for each byte of the body.
    #[allow(clippy::cast_precision_loss, reason = "a figure to read")]
    fn ratio(&self) -> f64 {
        self.decoded.bytes as f64 / self.encoded.max(1) as f64
    }
}
