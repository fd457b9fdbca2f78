//! Header and trailer fields as proxy-wasm passes them: one block of bytes, read where it lies.
//!
//! The block has the number of fields, the sizes of each one's name and value (all `u32`, little-endian), and then each
//! name and each value with a zero byte behind it. An empty block is an empty list.

use cellgate_routing::Head;

/// Header or trailer fields, in the order received. Names are lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    block: Vec<u8>,
    /// Where each field lies, so that a look-up compares numbers until a name has the right length.
    places: Vec<Place>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    name: usize,
    name_size: usize,
    value_size: usize,
}

impl Fields {
    /// Takes a block over, unless its sizes contradict each other: fields that nobody can see cannot be removed.
    #[must_use]
    pub fn from_block(block: Vec<u8>) -> Option<Self> {
        if block.is_empty() {
            return Some(Self::default());
        }
        let (count, sizes) = block.split_first_chunk()?;
        let count = u32::from_le_bytes(*count) as usize;
        let sizes = sizes.get(..count.checked_mul(8)?)?;
        let mut places = Vec::new();
        // No room is an answer to one request, not the end of the VM.
        places.try_reserve_exact(count).ok()?;
        let mut name = 4 + sizes.len();
        for pair in sizes.chunks_exact(8) {
            let (name_size, value_size) = pair.split_first_chunk()?;
            let name_size = u32::from_le_bytes(*name_size) as usize;
            let value_size = u32::from_le_bytes(*value_size.first_chunk()?) as usize;
            places.push(Place { name, name_size, value_size });
            name = name.checked_add(name_size)?.checked_add(value_size)?.checked_add(2)?;
        }
        // Now where a next field would begin: behind all of them, so every place is inside the block.
        (name == block.len()).then_some(Self { block, places })
    }

    /// The fields, names first.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.places.iter().map(|place| (self.name(place), self.value(place)))
    }

    /// The block.
    #[must_use]
    pub fn as_block(&self) -> &[u8] {
        &self.block
    }

    fn name(&self, place: &Place) -> &[u8] {
        self.block.get(place.name..place.name + place.name_size).unwrap_or_default()
    }

    fn value(&self, place: &Place) -> &[u8] {
        let start = place.name + place.name_size + 1;
        self.block.get(start..start + place.value_size).unwrap_or_default()
    }
}

impl Head for Fields {
    fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let is_named = move |place: &&Place| place.name_size == name.len() && self.name(place) == name.as_bytes();
        self.places.iter().filter(is_named).map(|place| self.value(place))
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for Fields {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        let (mut count, mut sizes, mut text) = (0_u32, Vec::new(), Vec::new());
        for (name, value) in fields {
            count += 1;
            for part in [name.as_ref(), value.as_ref()] {
                // The address space of a VM has 32 bits.
                sizes.extend_from_slice(&(part.len() as u32).to_le_bytes());
                text.extend_from_slice(part);
                text.push(0);
            }
        }
        Self::from_block([&count.to_le_bytes()[..], &sizes, &text].concat()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_layout_is_that_of_the_abi() {
        let fields: Fields = [("a", "xy")].into_iter().collect();
        assert_eq!(fields.as_block(), b"\x01\0\0\0\x01\0\0\0\x02\0\0\0a\0xy\0");
        let none: Fields = [("", ""); 0].into_iter().collect();
        assert_eq!(none.as_block(), b"\0\0\0\0");
        assert_eq!(Fields::from_block(Vec::new()).unwrap().iter().count(), 0);
    }

    #[test]
    fn values_are_found_by_name_in_order() {
        let fields: Fields = [("a", "1"), ("b", ""), ("a", "2")].into_iter().collect();
        assert_eq!(fields.values("a").collect::<Vec<_>>(), [b"1", b"2"]);
        assert_eq!(fields.first("b"), Some(&b""[..]));
        assert_eq!(fields.first("c"), None);
    }

    #[test]
    fn a_block_with_a_byte_more_or_less_is_refused() {
        let block = [("a", "xy"), (":path", "/")].into_iter().collect::<Fields>().as_block().to_vec();
        assert!(Fields::from_block(block.clone()).is_some());
        assert!(Fields::from_block([&block[..], b"\0"].concat()).is_none());
        for cut in 1..block.len() {
            assert!(Fields::from_block(block[..cut].to_vec()).is_none(), "{cut}");
        }
    }

    proptest! {
        #[test]
        fn what_was_put_in_comes_out(
            fields in proptest::collection::vec(
                (proptest::collection::vec(any::<u8>(), 0..5), proptest::collection::vec(any::<u8>(), 0..5)),
                0..5,
            ),
        ) {
            let block = fields.iter().map(|(name, value)| (name, value)).collect::<Fields>().as_block().to_vec();
            let read = Fields::from_block(block).unwrap();
            let read: Vec<_> = read.iter().map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
            prop_assert_eq!(read, fields);
        }

        #[test]
        fn any_bytes_are_fields_or_none(block in proptest::collection::vec(0..4_u8, 0..64)) {
            if let Some(fields) = Fields::from_block(block) {
                prop_assert_eq!(fields.iter().collect::<Fields>().iter().count(), fields.iter().count());
            }
        }
    }
}
