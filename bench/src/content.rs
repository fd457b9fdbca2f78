//! The content of a body, and what a request with it has besides.

use std::io::Write;

use bytes::Bytes;
use cellgate_bench_documents::formats::{BOUNDARY, grpc, multipart, ndjson};
use cellgate_bench_documents::{KeyAt, Kind, document};
use flate2::Compression;
use flate2::write::GzEncoder;

/// The content of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// A JSON document.
    Json(Kind),
    /// A form with a file.
    Multipart,
    /// A message of a gRPC call.
    Grpc,
    /// JSON documents, one on each line. Each has the tenant.
    Ndjson,
    /// A JSON document of objects with a Content-Encoding.
    Encoded(Coding),
}

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// Level 6 of zlib.
    Gzip,
    /// Level 3 of zstd.
    Zstd,
}

impl Content {
    /// Those that are not one JSON document.
    #[cfg(test)]
    pub(crate) const OTHERS: [Self; 3] = [Self::Multipart, Self::Grpc, Self::Ndjson];

    /// The name for titles and for the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json(kind) => kind.name(),
            Self::Multipart => "multipart",
            Self::Grpc => "grpc",
            Self::Ndjson => "ndjson",
            Self::Encoded(coding) => coding.name(),
        }
    }

    /// Whether it is one JSON document.
    pub(crate) fn is_json(self) -> bool {
        matches!(self, Self::Json(_))
    }

    /// Whether it is plain, and not one JSON document.
    pub(crate) fn is_of_another_format(self) -> bool {
        !self.is_json() && self.coding().is_none()
    }

    /// Its coding, if it has one.
    pub(crate) fn coding(self) -> Option<Coding> {
        match self {
            Self::Encoded(coding) => Some(coding),
            Self::Json(_) | Self::Multipart | Self::Grpc | Self::Ndjson => None,
        }
    }

    /// The request target. A gRPC call names its method by it.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Grpc => "/bench.Tenants/Put",
            Self::Json(_) | Self::Multipart | Self::Ndjson | Self::Encoded(_) => "/api/orders",
        }
    }

    /// The Content-Type.
    pub(crate) fn media_type(self) -> String {
        match self {
            Self::Json(_) | Self::Encoded(_) => "application/json".to_owned(),
            Self::Multipart => format!("multipart/form-data; boundary={BOUNDARY}"),
            Self::Grpc => "application/grpc".to_owned(),
            Self::Ndjson => "application/x-ndjson".to_owned(),
        }
    }

    /// A body that decodes to `bytes` bytes. Only a JSON document can have the key in two places.
    pub(crate) fn body(self, bytes: usize, key: KeyAt, tenant: &str) -> Bytes {
        let decoded = self.decoded(bytes, key, tenant);
        match self.coding() {
            Some(coding) => coding.encode(&decoded).into(),
            None => decoded,
        }
    }

    /// The same body without its coding.
    pub(crate) fn decoded(self, bytes: usize, key: KeyAt, tenant: &str) -> Bytes {
        match self {
            Self::Encoded(_) => document(Kind::Objects, bytes, key, tenant).into(),
            Self::Json(kind) => document(kind, bytes, key, tenant).into(),
            Self::Multipart => multipart(bytes, tenant).into(),
            Self::Grpc => grpc(bytes, tenant).into(),
            Self::Ndjson => ndjson(bytes, tenant).into(),
        }
    }
}

impl Coding {
    /// Each of them.
    pub(crate) const ALL: [Self; 2] = [Self::Gzip, Self::Zstd];

    /// The name in Content-Encoding, and for titles.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// Encodes a text. Writing to memory cannot fail; if it did, the cells would answer 400 and the benchmark stop.
    fn encode(self, text: &[u8]) -> Vec<u8> {
        match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::new(6));
                encoder.write_all(text).and_then(|()| encoder.finish()).unwrap_or_default()
            }
            Self::Zstd => {
                let mut body = vec![0; zstd_safe::compress_bound(text.len())];
                let length = zstd_safe::compress(body.as_mut_slice(), text, 3).unwrap_or_default();
                body.truncate(length);
                body
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_content_has_a_name_and_a_media_type_of_its_own() {
        let all = [&[Content::Json(Kind::Objects)][..], &Content::OTHERS[..]].concat();
        for (index, content) in all.iter().enumerate() {
            let others = all.iter().skip(index + 1);
            assert!(others.clone().all(|other| other.name() != content.name()));
            assert!(others.clone().all(|other| other.media_type() != content.media_type()));
            assert_eq!(content.body(4096, KeyAt::First, "acme").len(), 4096);
        }
    }

    #[test]
    fn an_encoded_body_is_smaller_than_the_document_that_it_decodes_to() {
        for coding in Coding::ALL {
            let content = Content::Encoded(coding);
            assert_eq!(content.decoded(4096, KeyAt::Last, "acme").len(), 4096);
            assert!((100..2048).contains(&content.body(4096, KeyAt::Last, "acme").len()), "{coding:?}");
        }
    }
}
