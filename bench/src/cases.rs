//! The requests that are sent through every variant.

use std::sync::Arc;

use bytes::Bytes;
use cellgate_bench_documents::{KeyAt, Kind};

use crate::content::{Coding, Content};
use crate::exchange::{Delivery, Exchange, Expectation, Protocol};

/// Envoy's buffer limit in every variant, and the filter's `inspect_bytes` unless a variant changes it.
pub(crate) const BUFFER_LIMIT: u32 = 1024 * 1024;

/// The header with the tenant, for variants that inspect headers only.
pub(crate) const TENANT_HEADER: &str = "x-tenant-id";

/// Tenants, each with its cell in `cellgate_tests::options::sample_config`.
pub(crate) const TENANTS: [(&str, &str); 3] = [("acme", "cell-b"), ("globex", "cell-c"), ("initech", "cell-a")];

/// A body's size. That of an encoded body is the size of what it decodes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size {
    /// In bytes.
    pub(crate) bytes: usize,
    /// The size as the report prints it.
    pub(crate) label: &'static str,
}

/// Body sizes. 1 MB fits into Envoy's buffer; 10 MB do not.
pub(crate) const SIZES: [Size; 5] = [
    Size { bytes: 256, label: "256 B" },
    Size { bytes: 4096, label: "4 KB" },
    Size { bytes: 65_536, label: "64 KB" },
    Size { bytes: 1_000_000, label: "1 MB" },
    Size { bytes: 10_000_000, label: "10 MB" },
];

/// One kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    /// The body's size.
    pub(crate) size: Size,
    /// The content of the body.
    pub(crate) content: Content,
    /// The position of the routing key in the body.
    pub(crate) key: KeyAt,
    /// The client's protocol.
    pub(crate) protocol: Protocol,
    /// How the client writes the body.
    pub(crate) delivery: Delivery,
}

/// The part of a request that determines its cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NamedBy {
    /// The client sets the routing header, so nothing has to decide.
    Client,
    /// Only the body has the tenant.
    Body,
    /// The header [`TENANT_HEADER`] has the tenant.
    Header,
}

impl Case {
    /// All cases. They are not the full product: each property varies alone, at the sizes where it matters.
    pub(crate) fn all() -> Vec<Self> {
        let [_, small, middle, large, _] = SIZES;
        let mut cases = Vec::new();
        for size in SIZES {
            for content in [Kind::Objects, Kind::Text].map(Content::Json) {
                cases.extend([KeyAt::First, KeyAt::Last].map(|key| Self { content, key, ..Self::plain(size) }));
            }
        }
        cases.extend([middle, large].map(|size| Self { content: Content::Json(Kind::Escaped), ..Self::plain(size) }));
        cases.extend(
            [SIZES[0], small, middle, large].map(|size| Self { protocol: Protocol::Http2, ..Self::plain(size) }),
        );
        cases.extend([small, middle, large].map(|size| Self { delivery: Delivery::Pieces, ..Self::plain(size) }));
        // The key is first: a key at the end may or may not be in Envoy's first read.
        cases.push(Self { delivery: Delivery::Chunked, key: KeyAt::First, ..Self::plain(middle) });
        cases.extend([Self::multipart(), Self::grpc(), Self::ndjson()]);
        cases
            .extend(Coding::ALL.into_iter().flat_map(|coding| [small, middle].map(|size| Self::encoded(size, coding))));
        cases
    }

    /// Objects, the key last, HTTP/1.1, the body in one write.
    pub(crate) fn plain(size: Size) -> Self {
        let (content, key) = (Content::Json(Kind::Objects), KeyAt::Last);
        Self { size, content, key, protocol: Protocol::Http1, delivery: Delivery::Whole }
    }

    /// A form of 1 MB with a file, and the key behind it.
    pub(crate) fn multipart() -> Self {
        let [.., large, _] = SIZES;
        Self { content: Content::Multipart, ..Self::plain(large) }
    }

    /// A gRPC call with a message of 4 KB.
    pub(crate) fn grpc() -> Self {
        let [_, small, ..] = SIZES;
        Self { content: Content::Grpc, key: KeyAt::First, protocol: Protocol::Http2, ..Self::plain(small) }
    }

    /// 64 KB of NDJSON, with the key in each record.
    pub(crate) fn ndjson() -> Self {
        let [_, _, middle, ..] = SIZES;
        Self { content: Content::Ndjson, key: KeyAt::First, ..Self::plain(middle) }
    }

    /// Objects, the key last, encoded.
    pub(crate) fn encoded(size: Size, coding: Coding) -> Self {
        Self { content: Content::Encoded(coding), ..Self::plain(size) }
    }

    /// The body's size in bytes, decoded.
    pub(crate) fn bytes(&self) -> usize {
        self.size.bytes
    }

    /// The name for the command line and the goals: `64KB-objects-last-h1`, plus `-pieces` or `-chunked`.
    pub(crate) fn name(&self) -> String {
        let size = self.size.label.replace(' ', "");
        format!("{size}-{}-{}-{}{}", self.content.name(), self.key.name(), self.protocol.name(), self.delivery.suffix())
    }

    /// The title in the report: `64 KB, objects, key last, HTTP/1.1`.
    pub(crate) fn title(&self) -> String {
        format!("{}, {}", self.size.label, self.manner())
    }

    /// The title without the size.
    pub(crate) fn manner(&self) -> String {
        let (content, key) = (self.content.name(), self.key.name());
        format!("{content}, key {key}, {}{}", self.protocol.title(), self.delivery.title())
    }

    /// The bodies, one for each tenant. Variants share them, since some have 10 MB.
    pub(crate) fn bodies(&self) -> Vec<Bytes> {
        let body = |(tenant, _): &(&str, &str)| self.content.body(self.bytes(), self.key, tenant);
        TENANTS.iter().map(body).collect()
    }

    /// The exchanges of this case, one for each cell, with these bodies.
    pub(crate) fn exchanges(&self, bodies: &[Bytes], named_by: NamedBy) -> Arc<[Exchange]> {
        let exchange = |(body, (tenant, cell)): (&Bytes, &(&str, &str))| Exchange {
            expectation: Expectation {
                cell: (*cell).to_owned(),
                body_bytes: body.len() as u64,
                sha256: cellgate_tests::sha256(body),
            },
            routing: named_by.header(tenant, cell),
            path: self.content.path(),
            media_type: self.content.media_type(),
            coding: self.content.coding().map(Coding::name),
            body: body.clone(),
            delivery: self.delivery,
        };
        bodies.iter().zip(&TENANTS).map(exchange).collect()
    }

    /// The exchanges, if the cell must get what their bodies decode to.
    pub(crate) fn decoded(&self, exchanges: &[Exchange]) -> Arc<[Exchange]> {
        let decoded = |(exchange, (tenant, _)): (&Exchange, &(&str, &str))| {
            let text = self.content.decoded(self.bytes(), self.key, tenant);
            let (body_bytes, sha256) = (text.len() as u64, cellgate_tests::sha256(&text));
            let expectation = Expectation { body_bytes, sha256, ..exchange.expectation.clone() };
            Exchange { expectation, ..exchange.clone() }
        };
        exchanges.iter().zip(&TENANTS).map(decoded).collect()
    }
}

impl NamedBy {
    /// The header with the cell or the tenant, if there is one.
    fn header(self, tenant: &str, cell: &str) -> Option<(&'static str, String)> {
        match self {
            Self::Client => Some(("x-cell", cell.to_owned())),
            Self::Header => Some((TENANT_HEADER, tenant.to_owned())),
            Self::Body => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn case_names_are_unique() {
        let names: BTreeSet<_> = Case::all().iter().map(Case::name).collect();
        assert_eq!(names.len(), Case::all().len());
        assert!(names.contains("64KB-objects-last-h1-pieces"), "{names:?}");
    }

    #[test]
    fn one_megabyte_fits_into_the_buffer_and_ten_do_not() {
        let fits: Vec<bool> = SIZES.iter().map(|size| size.bytes < BUFFER_LIMIT as usize).collect();
        assert_eq!(fits, [true, true, true, true, false]);
    }

    #[test]
    fn tenants_have_the_cells_of_the_configuration() {
        let config = cellgate_tests::options::sample_config();
        for (tenant, cell) in TENANTS {
            assert_eq!(config["placement"]["exact"][tenant], cell);
        }
    }

    #[test]
    fn only_requests_named_by_the_client_have_the_routing_header() {
        let case = Case::plain(SIZES[0]);
        let sent = |named_by| case.exchanges(&case.bodies(), named_by)[0].routing.clone();
        assert_eq!(sent(NamedBy::Client), Some(("x-cell", "cell-b".to_owned())));
        assert_eq!(sent(NamedBy::Header), Some((TENANT_HEADER, "acme".to_owned())));
        assert_eq!(sent(NamedBy::Body), None);
    }
}
