//! The framing of gRPC, gRPC-Web and Connect.

use crate::format::{Compression, Framing};
use crate::head::Head;

/// The framing of a body of protobuf messages, by its media type. `is_listed`: the configuration says that the messages are
/// protobuf. Otherwise only the suffix `+proto`, or none, says so.
pub(super) fn framing<H: Head + ?Sized>(head: &H, essence: &[u8], is_listed: bool) -> Option<Framing> {
    let name = essence.to_ascii_lowercase();
    let name = name.strip_prefix(b"application/")?;
    let plus = name.iter().position(|byte| *byte == b'+').unwrap_or(name.len());
    let (protocol, suffix) = name.split_at_checked(plus)?;
    if !(is_listed || suffix == b"+proto" || (suffix.is_empty() && protocol != b"connect")) {
        return None;
    }
    Some(match protocol {
        b"grpc" => Framing::Grpc(compression(head, "grpc-encoding")),
        b"grpc-web" => Framing::GrpcWeb(compression(head, "grpc-encoding")),
        b"grpc-web-text" => Framing::GrpcWebText(compression(head, "grpc-encoding")),
        // Only responses have its third flag, the end of the stream.
        b"connect" => Framing::Grpc(compression(head, "connect-content-encoding")),
        _ => return None,
    })
}

/// How the messages may be compressed. Two values, and names in another case, are unknown: servers differ on them.
fn compression<H: Head + ?Sized>(head: &H, name: &str) -> Compression {
    let mut values = head.values(name).map(<[u8]>::trim_ascii);
    match (values.next(), values.next()) {
        (None | Some(b"" | b"identity"), None) => Compression::Identity,
        (Some(b"gzip"), None) => Compression::Gzip,
        (Some(b"deflate"), None) => Compression::Deflate,
        _ => Compression::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(essence: &str, fields: &[(&str, &str)]) -> Option<Framing> {
        framing(fields, essence.as_bytes(), false)
    }

    #[test]
    fn the_media_type_names_the_framing() {
        for (essence, framing) in [
            ("application/grpc", Some(Framing::Grpc(Compression::Identity))),
            ("Application/GRPC+proto", Some(Framing::Grpc(Compression::Identity))),
            ("application/grpc-web", Some(Framing::GrpcWeb(Compression::Identity))),
            ("application/grpc-web-text+proto", Some(Framing::GrpcWebText(Compression::Identity))),
            ("application/connect+proto", Some(Framing::Grpc(Compression::Identity))),
            ("application/connect", None),
            ("application/grpc+json", None),
            ("application/grpcx", None),
            ("text/grpc", None),
        ] {
            assert_eq!(read(essence, &[]), framing, "{essence}");
        }
        assert_eq!(
            framing::<[(&str, &str)]>(&[], b"application/grpc+x", true),
            Some(Framing::Grpc(Compression::Identity))
        );
    }

    #[test]
    fn the_head_names_the_compression() {
        for (value, compression) in [
            ("identity", Compression::Identity),
            ("", Compression::Identity),
            ("gzip", Compression::Gzip),
            ("deflate", Compression::Deflate),
            ("zstd", Compression::Unknown),
            ("GZIP", Compression::Unknown),
            ("gzip,gzip", Compression::Unknown),
        ] {
            let framing = read("application/grpc", &[("grpc-encoding", value), ("connect-content-encoding", "x")]);
            assert_eq!(framing, Some(Framing::Grpc(compression)), "{value}");
        }
        let two = [("grpc-encoding", "identity"), ("grpc-encoding", "gzip")];
        assert_eq!(read("application/grpc", &two), Some(Framing::Grpc(Compression::Unknown)));
        let connect =
            read("application/connect+proto", &[("connect-content-encoding", "gzip"), ("grpc-encoding", "x")]);
        assert_eq!(connect, Some(Framing::Grpc(Compression::Gzip)));
    }
}
