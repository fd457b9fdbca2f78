//! The JSON documents that every measurement shares: the same bytes in every run, and exactly as long as asked for.
#![forbid(unsafe_code)]

use std::fmt::Write as _;

/// What a document is full of. All of it is ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Small objects with every kind of value, no two alike and without an escape: what most request bodies are.
    Objects,
    /// One string without an escape: an encoded file, or a long prompt in one line.
    Text,
    /// One string with an escape every few bytes: text with lines and quotation marks.
    Escaped,
}

/// Where in the document the routing key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAt {
    /// Before everything else.
    First,
    /// After everything else.
    Last,
}

impl KeyAt {
    /// For people, and for the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Last => "last",
        }
    }
}

/// Around the payload and the filler: the whole document but them and the key.
const FRAME: usize = r#"{"tenant":{"id":""},"payload":,"note":""}"#.len();

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Objects, Self::Text, Self::Escaped];

    /// For people, and for programs that ask for one by name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Objects => "objects",
            Self::Text => "text",
            Self::Escaped => "escaped",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// As much of it as fits into `room` bytes: one JSON value.
    fn payload(self, room: usize) -> String {
        match self {
            Self::Objects => objects(room),
            Self::Text => string(room, &["Lorem ipsum dolor sit amet, consectetur. "]),
            Self::Escaped => {
                string(room, &["\\n", "Lorem ", "\\\"", "ipsum ", "\\u00e9", "dolor si", "\\\\", "t amet, "])
            }
        }
    }
}

/// A document of `size` bytes whose `/tenant/id` is `tenant`. It is never shorter than an empty one.
#[must_use]
pub fn document(kind: Kind, size: usize, key: KeyAt, tenant: &str) -> String {
    let room = size.saturating_sub(FRAME + tenant.len());
    let payload = kind.payload(room);
    // What is too short for one more piece becomes a string of its own.
    let note = "x".repeat(room.saturating_sub(payload.len()));
    match key {
        KeyAt::First => format!(r#"{{"tenant":{{"id":"{tenant}"}},"payload":{payload},"note":"{note}"}}"#),
        KeyAt::Last => format!(r#"{{"payload":{payload},"note":"{note}","tenant":{{"id":"{tenant}"}}}}"#),
    }
}

/// One string, of pieces in turn. An empty one takes two bytes too, so `room` below that is taken for two.
fn string(room: usize, pieces: &[&str]) -> String {
    let mut out = String::with_capacity(room.max(2));
    out.push('"');
    for piece in pieces.iter().cycle() {
        if out.len() + piece.len() >= room {
            break;
        }
        out.push_str(piece);
    }
    out.push('"');
    out
}

/// An array of objects. Branch predictors must not learn the document by heart, so lengths differ from one to the next.
fn objects(room: usize) -> String {
    let mut random = Random(7);
    let mut out = String::with_capacity(room.max(2));
    out.push('[');
    let mut separator = "";
    loop {
        let before = out.len();
        object(&mut out, separator, &mut random);
        if out.len() >= room {
            out.truncate(before);
            out.push(']');
            return out;
        }
        separator = ",";
    }
}

fn object(out: &mut String, separator: &str, random: &mut Random) {
    const NAME: &str = "a rather good widget of medium size";
    let (id, price, cents) = (random.below(1_000_000), random.below(1000), random.below(100));
    let name = NAME.get(..random.below(35)).unwrap_or(NAME);
    // Writing to a string cannot fail.
    let _ = write!(out, r#"{separator}{{"id":{id},"name":"{name}","price":{price}.{cents},"tags":["#);
    for tag in 0..random.below(4) {
        let comma = if tag == 0 { "" } else { "," };
        let _ = write!(out, r#"{comma}"t{}""#, random.below(500));
    }
    let (active, team) = (random.below(2) == 0, random.below(100));
    let _ = write!(out, r#"],"active":{active},"owner":{{"team":{team},"lead":null}}}}"#);
}

/// The linear congruential generator of Numerical Recipes; the low bits of one are poor.
struct Random(u32);

impl Random {
    fn below(&mut self, bound: u32) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((self.0 >> 8) % bound) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn any_kind() -> impl Strategy<Value = Kind> {
        prop::sample::select(Kind::ALL.as_slice())
    }

    proptest! {
        #[test]
        fn a_document_is_valid_and_exactly_as_long_as_asked_for(kind in any_kind(), size in 60usize..20_000, last: bool) {
            let key = if last { KeyAt::Last } else { KeyAt::First };
            let document = document(kind, size, key, "globex");
            prop_assert_eq!(document.len(), size);
            prop_assert!(document.is_ascii());
            let value: Value = serde_json::from_str(&document).unwrap();
            prop_assert_eq!(&value["tenant"]["id"], "globex");
        }
    }

    #[test]
    fn the_key_stands_where_it_should() {
        for kind in Kind::ALL {
            assert!(document(kind, 4096, KeyAt::First, "acme").starts_with(r#"{"tenant":{"id":"acme"}"#));
            assert!(document(kind, 4096, KeyAt::Last, "acme").ends_with(r#""tenant":{"id":"acme"}}"#));
        }
    }

    #[test]
    fn a_large_document_is_what_its_name_says() {
        let read = |kind| serde_json::from_str::<Value>(&document(kind, 1_000_000, KeyAt::Last, "acme")).unwrap();
        let objects = read(Kind::Objects);
        assert!(objects["payload"].as_array().unwrap().len() > 7_000);
        assert!(objects["note"].as_str().unwrap().len() < 200);
        assert!(read(Kind::Text)["payload"].as_str().unwrap().len() > 999_000);
        let escaped = document(Kind::Escaped, 1_000_000, KeyAt::Last, "acme");
        assert!(escaped.bytes().filter(|byte| *byte == b'\\').count() > 90_000);
    }

    #[test]
    fn two_runs_get_the_same_bytes() {
        let make = || document(Kind::Objects, 65_536, KeyAt::Last, "acme");
        assert_eq!(make(), make());
    }

    #[test]
    fn every_kind_has_its_name() {
        for kind in Kind::ALL {
            assert_eq!(Kind::named(kind.name()), Some(kind));
        }
        assert_eq!(Kind::named("pretty"), None);
    }
}
