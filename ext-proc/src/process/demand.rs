//! The most bytes that a streamed request can come to hold before its decision.

use cellgate_routing::Head;

use crate::process::body_buffer;

/// Two chunks of this many bytes cost at most twice the overhead of one.
const CHUNK: u64 = 8 * 1024;

/// The message behind the held bytes, which is assembled before it is read, and the small parts of the decoders. Envoy sends
/// no message larger than its connection buffer, by default 1 MiB.
const MESSAGE: u64 = 1 << 20;

/// The largest windows of the codings that have large ones (RFC 7932 and RFC 9659), with their tables.
const WINDOWS: [(&str, u64); 2] = [("br", 21 << 20), ("zstd", 9 << 20)];

/// The demand of a request with this head. It may be too high: without a Content-Length the whole `stream_bytes` count.
pub(super) fn demand(head: &(impl Head + ?Sized), stream_bytes: u64) -> u64 {
    let length = head.values("content-length").next().and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    let body = length.unwrap_or(u64::MAX).min(stream_bytes);
    let overhead = body / CHUNK * 2 * body_buffer::COST;
    let windows = |coding: &[u8]| {
        let names = |name: &str| coding.to_ascii_lowercase().windows(name.len()).any(|part| part == name.as_bytes());
        WINDOWS.into_iter().filter(|(name, _)| names(name)).map(|(_, window)| window).sum::<u64>()
    };
    let decoders: u64 = head.values("content-encoding").map(windows).sum();
    body.saturating_add(overhead).saturating_add(decoders).saturating_add(MESSAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_the_limit_and_the_windows_count() {
        let of = |fields: &[(&str, &[u8])]| {
            let fields: Vec<_> = fields.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect();
            demand(fields.as_slice(), 16 << 20)
        };
        assert_eq!(of(&[("content-length", b"8192")]), 8192 + 256 + MESSAGE);
        let most = (16 << 20) + (2048 * 256) + MESSAGE;
        for unknown in [&b"many"[..], b"-1", b"17000000", b"99999999999999999999", b"\xff"] {
            assert_eq!(of(&[("content-length", unknown)]), most);
        }
        assert_eq!(of(&[("content-encoding", b"gzip")]), most);
        assert_eq!(of(&[("content-encoding", b"gzip, BR")]), most + (21 << 20));
        assert_eq!(of(&[("content-encoding", b"zstd"), ("content-encoding", b"br")]), most + (30 << 20));
    }
}
