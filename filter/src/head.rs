//! A request's head in the filter: its fields, and the dynamic metadata of the filters in front if a source asks for it.

use std::borrow::Cow;
use std::cell::OnceCell;

use cellgate_routing::Head;

use crate::host::{Fields, Host};

/// Header fields with Envoy's dynamic metadata behind them.
#[derive(Debug)]
pub(crate) struct RequestHead<'a, H> {
    host: &'a H,
    fields: &'a Fields,
    /// Copied from Envoy at most once. It may be as large as the headers.
    metadata: OnceCell<Vec<u8>>,
}

impl<'a, H: Host> RequestHead<'a, H> {
    /// The head of the request that the host shows.
    pub(crate) fn new(host: &'a H, fields: &'a Fields) -> Self {
        Self { host, fields, metadata: OnceCell::new() }
    }
}

impl<H: Host> Head for RequestHead<'_, H> {
    fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.fields.values(name)
    }

    fn metadata(&self) -> &[u8] {
        self.metadata.get_or_init(|| self.host.metadata())
    }

    fn peer(&self) -> Option<Cow<'_, [u8]>> {
        self.host.peer_uri().map(Cow::Owned)
    }

    fn client_address(&self) -> Option<Cow<'_, [u8]>> {
        self.host.client_address().map(Cow::Owned)
    }
}
