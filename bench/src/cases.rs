//! The requests that every variant gets.

use std::sync::Arc;

use bytes::Bytes;
use cellgate_bench_documents::{KeyAt, Kind, document};

use crate::exchange::{Delivery, Exchange, Expectation, Protocol};

/// Envoy's buffer limit in every variant, and the filter's `inspect_bytes` where nothing else is said.
pub(crate) const BUFFER_LIMIT: u32 = 1024 * 1024;

/// The header in which a client names its tenant, where heads are all that is looked at.
pub(crate) const TENANT_HEADER: &str = "x-tenant-id";

/// Tenants and the cells that `cellgate_tests::options::sample_config` gives them.
pub(crate) const TENANTS: [(&str, &str); 3] = [("acme", "cell-b"), ("globex", "cell-c"), ("initech", "cell-a")];

/// A body's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size {
    /// In bytes.
    pub(crate) bytes: usize,
    /// For people.
    pub(crate) label: &'static str,
}

/// Body sizes. A megabyte is a little less than Envoy's buffer, and ten are far more.
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
    /// What the body is full of.
    pub(crate) content: Kind,
    /// Where the routing key stands in it.
    pub(crate) key: KeyAt,
    /// What the client speaks.
    pub(crate) protocol: Protocol,
    /// How the body comes.
    pub(crate) delivery: Delivery,
}

/// How a request says its cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NamedBy {
    /// The client names the cell in the routing header: nobody has to look at anything.
    Client,
    /// The body names the tenant, and nothing else does.
    Body,
    /// The header [`TENANT_HEADER`] names the tenant.
    Header,
}

impl Case {
    /// All of them: not the full product, but each property where it matters, beside the plainest case.
    pub(crate) fn all() -> Vec<Self> {
        let [_, small, middle, large, _] = SIZES;
        let mut cases = Vec::new();
        for size in SIZES {
            for content in [Kind::Objects, Kind::Text] {
                cases.extend([KeyAt::First, KeyAt::Last].map(|key| Self { content, key, ..Self::plain(size) }));
            }
        }
        cases.extend([middle, large].map(|size| Self { content: Kind::Escaped, ..Self::plain(size) }));
        cases.extend(
            [SIZES[0], small, middle, large].map(|size| Self { protocol: Protocol::Http2, ..Self::plain(size) }),
        );
        cases.extend([small, middle, large].map(|size| Self { delivery: Delivery::Pieces, ..Self::plain(size) }));
        // The key first, because whether the key at the end is in the first read is up to the machine.
        cases.push(Self { delivery: Delivery::Chunked, key: KeyAt::First, ..Self::plain(middle) });
        cases
    }

    /// Objects, the key last, HTTP/1.1, the body in one write.
    pub(crate) fn plain(size: Size) -> Self {
        let (content, key) = (Kind::Objects, KeyAt::Last);
        Self { size, content, key, protocol: Protocol::Http1, delivery: Delivery::Whole }
    }

    /// The body's size in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.size.bytes
    }

    /// For the command line and the goals: `64KB-objects-last-h1`, with `-pieces` or `-chunked` behind it.
    pub(crate) fn name(&self) -> String {
        let size = self.size.label.replace(' ', "");
        format!("{size}-{}-{}-{}{}", self.content.name(), self.key.name(), self.protocol.name(), self.delivery.suffix())
    }

    /// For people: `64 KB, objects, key last, HTTP/1.1`.
    pub(crate) fn title(&self) -> String {
        format!("{}, {}", self.size.label, self.manner())
    }

    /// The title without the size.
    pub(crate) fn manner(&self) -> String {
        let (content, key) = (self.content.name(), self.key.name());
        format!("{content}, key {key}, {}{}", self.protocol.title(), self.delivery.title())
    }

    /// Its bodies, one for each tenant. They are worth sharing between variants: ten megabytes are among them.
    pub(crate) fn bodies(&self) -> Vec<Bytes> {
        let body = |(tenant, _): &(&str, &str)| document(self.content, self.bytes(), self.key, tenant).into();
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
            body: body.clone(),
            delivery: self.delivery,
        };
        bodies.iter().zip(&TENANTS).map(exchange).collect()
    }
}

impl NamedBy {
    /// The header that names the cell or the tenant, if one does.
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
    fn no_case_is_there_twice() {
        let names: BTreeSet<_> = Case::all().iter().map(Case::name).collect();
        assert_eq!(names.len(), Case::all().len());
        assert!(names.contains("64KB-objects-last-h1-pieces"), "{names:?}");
    }

    #[test]
    fn a_megabyte_may_be_held_and_ten_may_not() {
        let fits: Vec<bool> = SIZES.iter().map(|size| size.bytes < BUFFER_LIMIT as usize).collect();
        assert_eq!(fits, [true, true, true, true, false]);
    }

    #[test]
    fn the_tenants_live_where_the_configuration_says() {
        let config = cellgate_tests::options::sample_config();
        for (tenant, cell) in TENANTS {
            assert_eq!(config["placement"]["exact"][tenant], cell);
        }
    }

    #[test]
    fn only_a_client_that_names_its_cell_sends_the_routing_header() {
        let case = Case::plain(SIZES[0]);
        let sent = |named_by| case.exchanges(&case.bodies(), named_by)[0].routing.clone();
        assert_eq!(sent(NamedBy::Client), Some(("x-cell", "cell-b".to_owned())));
        assert_eq!(sent(NamedBy::Header), Some((TENANT_HEADER, "acme".to_owned())));
        assert_eq!(sent(NamedBy::Body), None);
    }
}
