//! The codec of calls: a request is decoded and checked at once, so that a bad one has a sentence of its own.

use bytes::Buf;
use cellgate_limiting::Report;
use cellgate_proto::sync::{SyncRequest, SyncResponse};
use cellgate_proto::{BadMessage, decode_report};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic_prost::ProstCodec;

#[derive(Clone, Copy, Debug)]
pub(super) struct SyncCodec;

/// Decodes a report.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReportDecoder;

impl Codec for SyncCodec {
    type Encode = SyncResponse;
    type Decode = Result<Report, BadMessage>;
    type Encoder = <ProstCodec<SyncResponse, SyncRequest> as Codec>::Encoder;
    type Decoder = ReportDecoder;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<SyncResponse, SyncRequest>::default().encoder()
    }

    fn decoder(&mut self) -> Self::Decoder {
        ReportDecoder
    }
}

impl Decoder for ReportDecoder {
    type Item = Result<Report, BadMessage>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        Ok(Some(decode_report(&bytes)))
    }
}
