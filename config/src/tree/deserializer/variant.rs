//! An enum's value: a name (`defer`), or a map with one entry (`reject: 400`).

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, EnumAccess, IntoDeserializer, VariantAccess, Visitor};

use super::super::super::path::Trail;
use super::super::TreeNode;
use super::{NodeReader, Refusal};

pub(super) struct TaggedValue<'c, 'de> {
    pub(super) owner: NodeReader<'c, 'de>,
    /// The offset of the name.
    pub(super) at: usize,
    pub(super) name: &'de str,
    /// The value of the map's entry.
    pub(super) node: Option<&'de TreeNode>,
}

impl TaggedValue<'_, '_> {
    fn refuse(&self, message: String) -> Refusal {
        self.owner.note(self.at, Refusal::New(message))
    }
}

impl<'de> EnumAccess<'de> for TaggedValue<'_, 'de> {
    type Error = Refusal;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Refusal> {
        let name: StrDeserializer<'de, Refusal> = self.name.into_deserializer();
        let variant = seed.deserialize(name).map_err(|refusal| self.owner.note(self.at, refusal))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for TaggedValue<'_, 'de> {
    type Error = Refusal;

    fn unit_variant(self) -> Result<(), Refusal> {
        match self.node {
            None => Ok(()),
            Some(_) => Err(self.refuse(format!("`{0}` takes no value: write `{0}` alone", self.name))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refusal> {
        let Some(node) = self.node else {
            return Err(self.refuse(format!("`{0}` needs a value: write `{0}: …`", self.name)));
        };
        let trail = Trail::Entry(self.owner.trail, self.name);
        seed.deserialize(NodeReader { node, trail: &trail, findings: self.owner.findings })
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> Result<V::Value, Refusal> {
        Err(Refusal::New("unsupported".into()))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _visitor: V) -> Result<V::Value, Refusal> {
        Err(Refusal::New("unsupported".into()))
    }
}
