//! The requests that every variant gets.

use std::sync::Arc;

use crate::documents::{KeyAt, document};
use crate::load::{Exchange, Expectation};

/// Envoy's buffer limit in every variant, and the filter's `inspect_bytes`. Above every body.
pub(crate) const BUFFER_LIMIT: u32 = 1024 * 1024;

/// Tenants and the cells that `cellgate_tests::options::sample_config` gives them.
const TENANTS: [(&str, &str); 3] = [("acme", "cell-b"), ("globex", "cell-c"), ("initech", "cell-a")];

/// Body sizes in bytes, with the name people give them.
const SIZES: [(&str, usize); 4] = [("256 B", 256), ("4 KB", 4096), ("64 KB", 65_536), ("1 MB", 1_000_000)];

/// One kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    /// The body's size for people.
    pub(crate) label: &'static str,
    /// The body's size in bytes.
    pub(crate) bytes: usize,
    /// Where the routing key stands in it.
    pub(crate) key: KeyAt,
}

/// How a request says its cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NamedBy {
    /// The client names the cell in the routing header: nobody has to look at the body.
    Client,
    /// The body names the tenant, and nothing else does.
    Body,
}

impl Case {
    /// All of them, small to large.
    pub(crate) fn all() -> Vec<Self> {
        let both = |(label, bytes)| [KeyAt::First, KeyAt::Last].map(|key| Self { label, bytes, key });
        SIZES.into_iter().flat_map(both).collect()
    }

    /// For people: `64 KB, key last`.
    pub(crate) fn title(self) -> String {
        let key = match self.key {
            KeyAt::First => "first",
            KeyAt::Last => "last",
        };
        format!("{}, key {key}", self.label)
    }

    /// The exchanges of this case, one for each cell.
    pub(crate) fn exchanges(self, named_by: NamedBy) -> Arc<[Exchange]> {
        TENANTS.iter().map(|(tenant, cell)| self.exchange(tenant, cell, named_by)).collect()
    }

    fn exchange(self, tenant: &str, cell: &str, named_by: NamedBy) -> Exchange {
        let body = document(self.bytes, self.key, tenant);
        let routing = match named_by {
            NamedBy::Client => format!("x-cell: {cell}\r\n"),
            NamedBy::Body => String::new(),
        };
        let head = format!(
            "POST /api/orders HTTP/1.1\r\nhost: bench\r\nuser-agent: cellgate-bench\r\naccept: */*\r\n{routing}\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        Exchange {
            expectation: Expectation {
                cell: cell.to_owned(),
                body_bytes: body.len() as u64,
                sha256: cellgate_tests::sha256(body.as_bytes()),
            },
            request: (head + &body).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_body_may_be_held() {
        assert!(Case::all().iter().all(|case| case.bytes < BUFFER_LIMIT as usize));
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
        let case = Case { label: "256 B", bytes: 256, key: KeyAt::First };
        let sent = |named_by| {
            let exchange = case.exchange("acme", "cell-b", named_by);
            String::from_utf8(exchange.request.to_vec()).unwrap()
        };
        assert!(sent(NamedBy::Client).contains("\r\nx-cell: cell-b\r\n"));
        assert!(!sent(NamedBy::Body).contains("cell-b"));
    }
}
