//! The content of a body, and what a request with it has besides.

use bytes::Bytes;
use cellgate_bench_documents::formats::{BOUNDARY, grpc, multipart, ndjson};
use cellgate_bench_documents::{KeyAt, Kind, document};

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
        }
    }

    /// Whether it is one JSON document.
    pub(crate) fn is_json(self) -> bool {
        matches!(self, Self::Json(_))
    }

    /// The request target. A gRPC call names its method by it.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Grpc => "/bench.Tenants/Put",
            Self::Json(_) | Self::Multipart | Self::Ndjson => "/api/orders",
        }
    }

    /// The Content-Type.
    pub(crate) fn media_type(self) -> String {
        match self {
            Self::Json(_) => "application/json".to_owned(),
            Self::Multipart => format!("multipart/form-data; boundary={BOUNDARY}"),
            Self::Grpc => "application/grpc".to_owned(),
            Self::Ndjson => "application/x-ndjson".to_owned(),
        }
    }

    /// A body of `bytes` bytes. Only a JSON document can have the key in two places.
    pub(crate) fn body(self, bytes: usize, key: KeyAt, tenant: &str) -> Bytes {
        match self {
            Self::Json(kind) => document(kind, bytes, key, tenant).into(),
            Self::Multipart => multipart(bytes, tenant).into(),
            Self::Grpc => grpc(bytes, tenant).into(),
            Self::Ndjson => ndjson(bytes, tenant).into(),
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
}
