//! A request's head: header fields, with the pseudo-headers of HTTP/2 among them.

use std::borrow::Cow;

/// Header fields by name. Names are in lower case, as in Envoy. `:method`, `:path` and `:authority` are among them.
pub trait Head {
    /// Every value of a header, in the order received.
    fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]>;

    /// The first value of a header.
    fn first<'a>(&'a self, name: &str) -> Option<&'a [u8]> {
        self.values(name).next()
    }

    /// The request's dynamic metadata: a serialised `envoy.config.core.v3.Metadata`, or nothing. Only a `claim` source asks
    /// for it, and only when the search reaches that source.
    fn metadata(&self) -> &[u8] {
        &[]
    }

    /// The URI of the client's verified certificate, if it has one. Only limits by `peer` ask for it.
    fn peer(&self) -> Option<Cow<'_, [u8]>> {
        None
    }

    /// The client's address as Envoy knows it, with or without a port. Only limits by `client_address` ask for it.
    fn client_address(&self) -> Option<Cow<'_, [u8]>> {
        None
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> Head for [(N, V)] {
    fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |(field, _)| field.as_ref() == name.as_bytes()).map(|(_, value)| value.as_ref())
    }
}
