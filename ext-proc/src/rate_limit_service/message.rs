//! The call, `envoy.service.ratelimit.v3.RateLimitRequest`, with bytes for its texts.
//!
//! The descriptor of a header has the header's bytes, and Envoy sends them as they are. The types of envoy-types refuse a
//! call whose texts are not UTF-8; Envoy would then let the request pass, so that any client could escape its limits.

use bytes::Bytes;
use cellgate_limiting::{Limit, Rate};
use cellgate_routing::DescriptorClaim;

use super::unit::unit_micros;

/// A call.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RateLimitCall {
    #[prost(bytes = "bytes", tag = "1")]
    pub domain: Bytes,
    #[prost(message, repeated, tag = "2")]
    pub descriptors: Vec<Descriptor>,
    /// The cost of descriptors without one of their own. 0: 1 unit.
    #[prost(uint32, tag = "3")]
    pub hits_addend: u32,
}

/// `envoy.extensions.common.ratelimit.v3.RateLimitDescriptor`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Descriptor {
    #[prost(message, repeated, tag = "1")]
    pub entries: Vec<Entry>,
    #[prost(message, optional, tag = "2")]
    pub limit: Option<LimitOverride>,
    #[prost(message, optional, tag = "3")]
    pub hits_addend: Option<Hits>,
    #[prost(bool, tag = "4")]
    pub is_negative_hits: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Entry {
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct LimitOverride {
    #[prost(uint32, tag = "1")]
    pub requests_per_unit: u32,
    #[prost(int32, tag = "2")]
    pub unit: i32,
}

/// `google.protobuf.UInt64Value`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Hits {
    #[prost(uint64, tag = "1")]
    pub value: u64,
}

impl Descriptor {
    /// The cost of the descriptor, and the limit that it carries. `hits_addend` is that of the call.
    pub(super) fn claim(&self, hits_addend: u32) -> DescriptorClaim {
        let cost = match self.hits_addend {
            // Nothing is given back.
            _ if self.is_negative_hits => 0,
            Some(hits) => hits.value,
            None => u64::from(hits_addend).max(1),
        };
        DescriptorClaim { cost, carried: self.limit.and_then(LimitOverride::limit) }
    }
}

impl LimitOverride {
    /// The limit, with a burst of one unit of time. `None` if it is none: 0 requests, or an unknown unit.
    fn limit(self) -> Option<Limit> {
        let rate = Rate::new(self.requests_per_unit.into(), unit_micros(self.unit)?).ok()?;
        Some(Limit::of(rate))
    }
}
