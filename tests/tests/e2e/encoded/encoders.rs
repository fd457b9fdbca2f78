//! Encoders of each coding.

use std::io::Write;

use brotli::enc::BrotliEncoderParams;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

pub(crate) fn gzip(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(text.as_ref()).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zlib(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(text.as_ref()).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn raw_deflate(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(text.as_ref()).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn brotli(text: impl AsRef<[u8]>) -> Vec<u8> {
    let parameters = BrotliEncoderParams { quality: 4, lgwin: 22, ..Default::default() };
    let mut body = Vec::new();
    brotli::BrotliCompress(&mut text.as_ref(), &mut body, &parameters).unwrap();
    body
}

pub(crate) fn zstd(text: impl AsRef<[u8]>) -> Vec<u8> {
    let text = text.as_ref();
    let mut body = vec![0; zstd_safe::compress_bound(text.len())];
    let length = zstd_safe::compress(&mut body[..], text, 3).unwrap();
    body.truncate(length);
    body
}

/// `{"x":"…","tenant":{"id":TENANT}}` that hardly compresses: it has about `size` bytes, encoded or not.
pub(crate) fn noise_then_key(tenant: &str, size: usize) -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut letter = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // 64 letters: four encoded bytes have three bytes of information.
        char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[(state >> 58) as usize])
    };
    let noise: String = (0..size * 4 / 3).map(|_| letter()).collect();
    format!(r#"{{"x":"{noise}","tenant":{{"id":"{tenant}"}}}}"#)
}
