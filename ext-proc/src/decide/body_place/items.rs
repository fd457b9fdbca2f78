//! The elements of MessagePack and CBOR arrays, counted by the heads of the items.

use cellgate_routing::binary::{Item, ItemFormat};

/// An item whose content is other items.
struct OpenItem {
    /// The number of the item that is read now, if this is an array.
    number: Option<usize>,
    /// How many items are left, with the one that is read now. `None` if a break ends them.
    left: Option<u64>,
}

/// For each array or map that is open at the end of a well-formed beginning of a document, the number of its last element
/// if it is an array. The last item is not complete.
pub(super) fn open_elements<F: ItemFormat>(document: &[u8]) -> Vec<Option<usize>> {
    let mut open: Vec<OpenItem> = Vec::new();
    let mut rest = document;
    while let Some(item) = next_item::<F>(&mut rest) {
        let content = match item {
            Item::Tag => continue,
            Item::Array(Some(0)) | Item::Map(Some(0)) | Item::Scalar(_) => 0,
            Item::Text(Some(length)) | Item::Bytes(Some(length)) | Item::Extension(length) => length,
            Item::Array(left) => {
                open.push(OpenItem { number: Some(0), left });
                continue;
            }
            Item::Map(pairs) => {
                open.push(OpenItem { number: None, left: pairs.map(|pairs| pairs.saturating_mul(2)) });
                continue;
            }
            Item::Text(None) | Item::Bytes(None) => {
                open.push(OpenItem { number: None, left: None });
                continue;
            }
            Item::Break => {
                open.pop();
                0
            }
        };
        let Some(after) = usize::try_from(content).ok().and_then(|content| rest.get(content..)) else { break };
        rest = after;
        complete(&mut open);
    }
    open.into_iter().map(|item| item.number).collect()
}

/// An item is complete, and with it each item of which it is the last.
fn complete(open: &mut Vec<OpenItem>) {
    while let Some(item) = open.last_mut() {
        item.number = item.number.map(|number| number + 1);
        item.left = item.left.map(|left| left.saturating_sub(1));
        if item.left != Some(0) {
            break;
        }
        open.pop();
    }
}

/// Takes the head of an item. `None` if it is not complete.
fn next_item<F: ItemFormat>(rest: &mut &[u8]) -> Option<Item> {
    let (first, after) = rest.split_first()?;
    let (argument, after) = after.split_at_checked(usize::from(F::argument_bytes(*first).ok()?))?;
    *rest = after;
    let argument = argument.iter().fold(0, |argument, byte| argument << 8 | u64::from(*byte));
    F::item(*first, argument).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cellgate_routing::cbor::Cbor;
    use cellgate_routing::msgpack::Msgpack;

    #[test]
    fn complete_items_are_counted() {
        // {"a": [1, [], {"b": "x"}, "yy…
        let msgpack = b"\x81\xa1a\x94\x01\x90\x81\xa1b\xa1x\xa2y";
        assert_eq!(open_elements::<Msgpack>(msgpack), [None, Some(3)]);
        // {"a": [1, (_ "b", "c"), [_ ], tag(-1), "y… without lengths
        let cbor = b"\xbf\x61a\x9f\x01\x7f\x61b\x61c\xff\x9f\xff\xc1\x20\x62y";
        assert_eq!(open_elements::<Cbor>(cbor), [None, Some(4)]);
        assert_eq!(open_elements::<Cbor>(b"\x82\x01\x82\x02"), [Some(1), Some(1)]);
        assert_eq!(open_elements::<Cbor>(b"\x81\x01"), []);
    }
}
