//! The request bodies: JSON, the same in every run, exactly as long as asked for.

use std::fmt::Write as _;

use cellgate_bench_documents::Kind;

pub(crate) use cellgate_bench_documents::KeyAt;

/// What a body is full of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Small objects of plain ASCII, no two alike.
    Objects,
    /// One long string.
    Text,
    /// Small objects, each with escapes and text that is not ASCII.
    Escaped,
}

impl Content {
    /// For people and for the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Objects => "objects",
            Self::Text => "text",
            Self::Escaped => "escaped",
        }
    }

    /// A document of `size` bytes whose `/tenant/id` is `tenant`. It is never shorter than an empty one.
    pub(crate) fn document(self, size: usize, key: KeyAt, tenant: &str) -> String {
        match self {
            Self::Objects => cellgate_bench_documents::document(Kind::Objects, size, key, tenant),
            Self::Text => cellgate_bench_documents::document(Kind::Text, size, key, tenant),
            Self::Escaped => document(size, key, tenant),
        }
    }
}

/// For people and for the command line.
pub(crate) fn name(key: KeyAt) -> &'static str {
    match key {
        KeyAt::First => "first",
        KeyAt::Last => "last",
    }
}

/// Around the items: the whole document but them and the filler.
const FRAME: usize = r#"{"tenant":{"id":""},"items":[],"note":""}"#.len();

/// A document of `size` bytes full of order lines, whose `/tenant/id` is `tenant`. It is never shorter than an empty
/// one.
pub(crate) fn document(size: usize, key: KeyAt, tenant: &str) -> String {
    let room = size.saturating_sub(FRAME + tenant.len());
    let items = items(room);
    // What is too short for one more item becomes a string.
    let note = "x".repeat(room - items.len());
    let payload = format!(r#""items":[{items}],"note":"{note}""#);
    match key {
        KeyAt::First => format!(r#"{{"tenant":{{"id":"{tenant}"}},{payload}}}"#),
        KeyAt::Last => format!(r#"{{{payload},"tenant":{{"id":"{tenant}"}}}}"#),
    }
}

/// As many order lines as fit into `room` bytes, with what documents have at their worst: nesting, escapes, text that is
/// not ASCII, every kind of value.
fn items(room: usize) -> String {
    let mut random = SplitMix(0x5eed);
    let mut items = String::with_capacity(room);
    loop {
        let end = items.len();
        let comma = if items.is_empty() { "" } else { "," };
        let (number, price) = (random.below(1_000_000), random.below(100_000));
        let written = write!(
            items,
            r#"{comma}{{"sku":"A-{number:06}","name":"caf\u00e9 \"{number:x}\" für {price}","quantity":{},"price":{}.{:02},"dimensions":{{"width":{},"height":{}}},"tags":["{:x}","{:x}"],"gift":{},"discount":null}}"#,
            random.below(12),
            price / 100,
            price % 100,
            random.below(500),
            random.below(500),
            random.below(256),
            random.below(256),
            number % 2 == 0,
        );
        if written.is_err() || items.len() > room {
            items.truncate(end);
            return items;
        }
    }
}

/// Numbers that look random and are the same in every run (splitmix64, Steele, Lea and Flood, 2014).
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % bound
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const ALL: [Content; 3] = [Content::Objects, Content::Text, Content::Escaped];

    proptest! {
        #[test]
        fn a_document_is_valid_and_exactly_as_long_as_asked_for(size in 60usize..20_000, last: bool, of in 0..3usize) {
            let key = if last { KeyAt::Last } else { KeyAt::First };
            let document = ALL[of].document(size, key, "globex");
            prop_assert_eq!(document.len(), size);
            let value: Value = serde_json::from_str(&document).unwrap();
            prop_assert_eq!(&value["tenant"]["id"], "globex");
        }
    }

    #[test]
    fn the_key_stands_where_it_should() {
        for content in ALL {
            let of = |key| content.document(4096, key, "acme");
            assert!(of(KeyAt::First).starts_with(r#"{"tenant":{"id":"acme"}"#));
            assert!(of(KeyAt::Last).ends_with(r#""tenant":{"id":"acme"}}"#));
        }
    }

    #[test]
    fn only_one_kind_has_escapes() {
        let of = |content: Content| content.document(65_536, KeyAt::Last, "acme");
        assert!(of(Content::Escaped).contains('\\') && !of(Content::Escaped).is_ascii());
        for content in [Content::Objects, Content::Text] {
            assert!(of(content).is_ascii() && !of(content).contains('\\'));
        }
    }

    #[test]
    fn a_large_document_is_mostly_objects() {
        let document: Value = serde_json::from_str(&document(1_000_000, KeyAt::First, "acme")).unwrap();
        assert!(document["items"].as_array().unwrap().len() > 4_000);
        assert!(document["note"].as_str().unwrap().len() < 300);
    }

    #[test]
    fn two_runs_get_the_same_bytes() {
        assert_eq!(document(65_536, KeyAt::Last, "acme"), document(65_536, KeyAt::Last, "acme"));
    }
}
