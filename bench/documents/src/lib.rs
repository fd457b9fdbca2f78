//! The documents of every measurement: JSON here, other formats in [`formats`]. A document has exactly the requested length and the same bytes in every
//! run.
#![forbid(unsafe_code)]

pub mod formats;

use std::fmt::Write as _;

/// The content of a document's payload. All of it is ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Small objects with every kind of value, all different and without escapes, like most request bodies.
    Objects,
    /// One string without an escape, like an encoded file or a long prompt on one line.
    Text,
    /// One string with an escape every few bytes, like text with line breaks and quotation marks.
    Escaped,
}

/// The position of the routing key in the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAt {
    /// The first member.
    First,
    /// The last member.
    Last,
}

impl KeyAt {
    /// The name for titles and for the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Last => "last",
        }
    }
}

/// The length of a document without its payload, filler and key.
const FRAME: usize = r#"{"tenant":{"id":""},"payload":,"note":""}"#.len();

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Objects, Self::Text, Self::Escaped];

    /// The name for titles and for programs that select a kind.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Objects => "objects",
            Self::Text => "text",
            Self::Escaped => "escaped",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// One JSON value of this kind, of at most `room` bytes.
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

/// A document of `size` bytes whose `/tenant/id` is `tenant`, or the shortest document if `size` is less than that.
#[must_use]
pub fn document(kind: Kind, size: usize, key: KeyAt, tenant: &str) -> String {
    let room = size.saturating_sub(FRAME + tenant.len());
    let payload = kind.payload(room);
    // The rest, too short for another payload value, goes into the member `note`.
    let note = "x".repeat(room.saturating_sub(payload.len()));
    match key {
        KeyAt::First => format!(r#"{{"tenant":{{"id":"{tenant}"}},"payload":{payload},"note":"{note}"}}"#),
        KeyAt::Last => format!(r#"{{"payload":{payload},"note":"{note}","tenant":{{"id":"{tenant}"}}}}"#),
    }
}

/// One JSON string that repeats `pieces`. The empty string needs two bytes, so a smaller `room` counts as two.
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

/// An array of objects. Lengths vary so that branch predictors cannot learn the document.
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

/// The linear congruential generator of Numerical Recipes. Its low bits are poorly distributed, so they are not used.
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
        fn a_document_is_valid_and_has_the_requested_length(kind in any_kind(), size in 60usize..20_000, last: bool) {
            let key = if last { KeyAt::Last } else { KeyAt::First };
            let document = document(kind, size, key, "globex");
            prop_assert_eq!(document.len(), size);
            prop_assert!(document.is_ascii());
            let value: Value = serde_json::from_str(&document).unwrap();
            prop_assert_eq!(&value["tenant"]["id"], "globex");
        }
    }

    #[test]
    fn the_key_is_first_or_last_as_requested() {
        for kind in Kind::ALL {
            assert!(document(kind, 4096, KeyAt::First, "acme").starts_with(r#"{"tenant":{"id":"acme"}"#));
            assert!(document(kind, 4096, KeyAt::Last, "acme").ends_with(r#""tenant":{"id":"acme"}}"#));
        }
    }

    #[test]
    fn a_large_document_is_mostly_payload_of_its_kind() {
        let read = |kind| serde_json::from_str::<Value>(&document(kind, 1_000_000, KeyAt::Last, "acme")).unwrap();
        let objects = read(Kind::Objects);
        assert!(objects["payload"].as_array().unwrap().len() > 7_000);
        assert!(objects["note"].as_str().unwrap().len() < 200);
        assert!(read(Kind::Text)["payload"].as_str().unwrap().len() > 999_000);
        let escaped = document(Kind::Escaped, 1_000_000, KeyAt::Last, "acme");
        assert!(escaped.bytes().filter(|byte| *byte == b'\\').count() > 90_000);
    }

    #[test]
    fn documents_are_reproducible() {
        let make = || document(Kind::Objects, 65_536, KeyAt::Last, "acme");
        assert_eq!(make(), make());
    }

    #[test]
    fn a_kind_is_found_by_its_name() {
        for kind in Kind::ALL {
            assert_eq!(Kind::named(kind.name()), Some(kind));
        }
        assert_eq!(Kind::named("pretty"), None);
    }
}
