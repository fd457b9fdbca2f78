//! A request's head, as both tiers see it: HTTP/2-style pairs, pseudo-headers included.

/// Header fields by name. Names are lower case, as Envoy hands them out; `:method` and `:path` are among them.
pub trait Head {
    /// Every value of a header, in the order received.
    fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]>;

    /// The first value of a header.
    fn first<'a>(&'a self, name: &str) -> Option<&'a [u8]> {
        self.values(name).next()
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> Head for [(N, V)] {
    fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |(field, _)| field.as_ref() == name.as_bytes()).map(|(_, value)| value.as_ref())
    }
}
