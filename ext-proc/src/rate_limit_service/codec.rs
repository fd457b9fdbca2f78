//! The codec of calls: prost's, with buffers for calls of the usual size.

use envoy_types::pb::envoy::service::ratelimit::v3::RateLimitResponse;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::ProstCodec;

use super::message::RateLimitCall;

/// The first size of both buffers, in bytes. A call with a few descriptors fits, and so does its answer.
const BUFFER_SIZE: usize = 512;

/// tonic collects at most this many bytes before it sends them. A call has one answer.
const YIELD_THRESHOLD: usize = 32 * 1024;

type Prost = ProstCodec<RateLimitResponse, RateLimitCall>;

#[derive(Clone, Copy, Debug)]
pub(super) struct RateLimitCodec;

impl Codec for RateLimitCodec {
    type Encode = RateLimitResponse;
    type Decode = RateLimitCall;
    type Encoder = <Prost as Codec>::Encoder;
    type Decoder = <Prost as Codec>::Decoder;

    fn encoder(&mut self) -> Self::Encoder {
        Prost::raw_encoder(BufferSettings::new(BUFFER_SIZE, YIELD_THRESHOLD))
    }

    fn decoder(&mut self) -> Self::Decoder {
        Prost::raw_decoder(BufferSettings::new(BUFFER_SIZE, YIELD_THRESHOLD))
    }
}
