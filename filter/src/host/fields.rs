//! Header and trailer fields.

use cellgate_routing::Head;

/// Header or trailer fields, in the order received. Names are lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, Vec<u8>)>);

impl Fields {
    /// Takes over what the SDK has made of the host's block.
    #[must_use]
    pub fn new(fields: Vec<(String, Vec<u8>)>) -> Self {
        Self(fields)
    }

    /// The fields, names first. A value is whatever bytes the client sent.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }
}

impl Head for Fields {
    fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0.values(name)
    }
}
