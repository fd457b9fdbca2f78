//! Encoders of each coding.

use std::io::Write as _;

use brotli::CompressorWriter;
use brotli::enc::BrotliEncoderParams;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer};

use crate::encoding::ContentCoding;

/// Encodes a text.
pub(super) fn encode(coding: ContentCoding, text: &[u8]) -> Vec<u8> {
    match coding {
        ContentCoding::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
        ContentCoding::Deflate => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(6));
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        }
        ContentCoding::Brotli => brotli(text, 22, false),
        ContentCoding::Zstd => zstd(text, None),
    }
}

/// Encodes a text several times. The first coding is applied first.
pub(super) fn encode_all(codings: &[ContentCoding], text: &[u8]) -> Vec<u8> {
    codings.iter().fold(text.to_vec(), |text, coding| encode(*coding, &text))
}

pub(super) fn raw_deflate(text: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn brotli(text: &[u8], window_log: i32, large_window: bool) -> Vec<u8> {
    let parameters = BrotliEncoderParams { quality: 4, lgwin: window_log, large_window, ..Default::default() };
    let mut body = Vec::new();
    let mut encoder = CompressorWriter::with_params(&mut body, 4096, &parameters);
    encoder.write_all(text).unwrap();
    drop(encoder);
    body
}

/// A frame, with a checksum and without the length of its text. So its window is not smaller than asked for.
pub(super) fn zstd(text: &[u8], window_log: Option<u32>) -> Vec<u8> {
    let mut context = CCtx::create();
    context.set_parameter(CParameter::ChecksumFlag(true)).unwrap();
    if let Some(log) = window_log {
        context.set_parameter(CParameter::WindowLog(log)).unwrap();
    }
    let mut body = vec![0; zstd_safe::compress_bound(text.len()) + 64];
    let mut output = OutBuffer::around(&mut body[..]);
    let mut input = InBuffer::around(text);
    while input.pos() < text.len() {
        context.compress_stream(&mut output, &mut input).unwrap();
    }
    assert_eq!(context.end_stream(&mut output).unwrap(), 0);
    let length = output.pos();
    body.truncate(length);
    body
}
