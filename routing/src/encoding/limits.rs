//! The limits of the text that a body decodes to, and of the time that decoding takes.

use std::time::Duration;

use crate::action::PolicyAction;
use crate::config::Config;
use crate::decision::Tier;
use crate::reason::Reason;

/// The ratio grants an allowance to each started block of this many bytes of the body. So a small body may have a larger
/// ratio.
pub(crate) const BLOCK: u64 = 4 << 10;

/// In the filter, a body decodes to at most this many times `limits.inspect_bytes`. A larger one is for the service: the
/// filter works in the thread that serves all requests of an Envoy worker.
const FILTER_EXPANSION: u64 = 8;

/// The time since any fixed moment: best, the CPU time of the thread, which other threads do not lengthen. The core has no
/// clock of its own.
pub type Clock = fn() -> Duration;

/// The limits of decoding.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DecodingLimits {
    /// The most decoded bytes, and the reason of more.
    pub(crate) bytes: u64,
    pub(crate) too_large: Reason,
    /// The most decoded bytes for each byte of the body.
    pub(crate) ratio: u64,
    /// The longest time that decoding and scanning may take.
    pub(crate) time: Duration,
    pub(crate) clock: Option<Clock>,
    /// Whether several gzip members or zstd frames are one text.
    pub(crate) accepts_members: bool,
}

/// The text that a body has decoded to, and what that cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodingCost {
    /// The decoded bytes that were scanned.
    pub bytes: u64,
    /// The time that decoding and scanning took, if the host has a clock.
    pub time: Duration,
    /// The memory of the decoders, in bytes.
    pub memory: u64,
}

/// The bytes that a body may decode to, up to the end of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    pub(super) bytes: u64,
    /// The reason of more.
    pub(super) exceeded: Reason,
}

impl DecodingLimits {
    pub(crate) fn new(config: &Config, tier: Tier, clock: Option<Clock>) -> Self {
        let limits = config.limits;
        let filter = limits.inspect_bytes.saturating_mul(FILTER_EXPANSION);
        let (bytes, too_large) = match tier {
            Tier::Filter if filter < limits.decoded_bytes => (filter, Reason::BodyTooLarge),
            Tier::Filter | Tier::Service => (limits.decoded_bytes, Reason::BodyDecodedTooLarge),
        };
        Self {
            bytes,
            too_large,
            ratio: limits.decoded_ratio,
            time: limits.decode_time,
            clock,
            accepts_members: config.policy.answer(Reason::BodySeveralMembers) == PolicyAction::Accept,
        }
    }

    /// The allowance of a body of which this many bytes have begun, in whole blocks.
    pub(super) fn allowance(&self, blocks: u64) -> Allowance {
        let by_ratio = blocks.saturating_mul(BLOCK).saturating_mul(self.ratio);
        if by_ratio < self.bytes {
            Allowance { bytes: by_ratio, exceeded: Reason::BodyDecodedRatio }
        } else {
            Allowance { bytes: self.bytes, exceeded: self.too_large }
        }
    }
}
