//! The expected result of a scan, by other means: serde_json reads the whole document into a tree, and the rules of
//! `docs` are applied to the tree in the most naive way.
//!
//! The tree is built from `RawValue`s so that duplicate names, their order and the exact text of numbers stay visible,
//! and so that serde_json's limit on numbers, which is not part of the grammar, does not apply.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test that is wrong may panic")]

mod grammar;

use std::fmt;
use std::sync::Arc;

use cellgate_routing::body::{BodyScanner, Candidate};
use cellgate_routing::document::{DocumentQuery, Pointer};
use cellgate_routing::json::JsonScanner;
use cellgate_routing::{Duplicates, Reason};
use serde::de::{Deserialize, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A query and its limits.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) pointers: Vec<String>,
    pub(crate) duplicates: Duplicates,
    pub(crate) depth: usize,
    pub(crate) key_bytes: usize,
}

/// The value of a pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    Missing,
    Found(String),
    Unusable(Reason),
}

/// The result of a scan: the value of each pointer, or why and where the document is wrong.
pub(crate) type Verdict = Result<Vec<Held>, grammar::Wrong>;

/// The result that the scanner must give.
pub(crate) fn expected(query: &Query, document: &[u8]) -> Verdict {
    let tree = std::str::from_utf8(document).ok().and_then(|text| Tree::parse(text).ok());
    match (grammar::check(document, query.depth), tree) {
        (Ok(()), Some(tree)) => Ok(query.pointers.iter().map(|pointer| query.find(&tree, &tokens(pointer))).collect()),
        (Err(wrong), tree) => {
            assert!(tree.is_none() || wrong.0 == Reason::BodyTooDeep, "serde_json accepts it: {wrong:?}");
            Err(wrong)
        }
        (Ok(()), None) => panic!("serde_json does not accept it"),
    }
}

/// The result that the scanner gives when the document comes in chunks that end at `cuts` (ascending; the last one is
/// implied).
///
/// Checks on the way that the reference scanner, which has no fast path, finds the same after every chunk, and that a
/// settled candidate changes only to a conflict.
pub(crate) fn scanned(query: &Query, document: &[u8], cuts: &[usize]) -> Verdict {
    let pointers = query.pointers.iter().map(|text| text.parse::<Pointer>().unwrap()).collect();
    let json = Arc::new(DocumentQuery::new(pointers, query.duplicates, query.depth, query.key_bytes));
    let mut scanner = JsonScanner::new(Arc::clone(&json));
    let mut reference = JsonScanner::reference(json);
    let mut settled: Vec<Option<Held>> = vec![None; query.pointers.len()];
    let mut start = 0;
    for end in cuts.iter().copied().chain([document.len()]) {
        let chunk = &document[start..end];
        let pushed = scanner.push(chunk);
        assert_eq!(reference.push(chunk), pushed, "the fast path changes what chunk {start}..{end} gives");
        if let Err(error) = pushed {
            assert!(!error.expected.is_empty());
            assert_eq!(scanner.push(b" "), Err(error), "an error is final");
            assert_eq!(scanner.finish(), Err(error), "an error is final");
            return Err((error.reason, error.offset));
        }
        start = end;
        for (index, before) in settled.iter_mut().enumerate() {
            assert_eq!(reference.candidate(index), scanner.candidate(index), "the fast path changes what is found");
            assert_eq!(reference.is_settled(index), scanner.is_settled(index));
            let now = held(scanner.candidate(index));
            if let Some(before) = before {
                let is_conflict = matches!(now, Held::Unusable(reason) if reason.is_conflict());
                assert!(now == *before || is_conflict, "{before:?} became {now:?}");
                assert!(scanner.is_settled(index));
            }
            *before = scanner.is_settled(index).then_some(now);
        }
    }
    let finished = scanner.finish();
    assert_eq!(reference.finish(), finished, "the fast path changes how the document ends");
    finished.map_err(|error| (error.reason, error.offset))?;
    let candidates: Vec<Held> = (0..query.pointers.len()).map(|index| held(scanner.candidate(index))).collect();
    for (index, candidate) in candidates.iter().enumerate() {
        let is_settled = query.duplicates != Duplicates::Last && *candidate != Held::Missing;
        assert_eq!(scanner.is_settled(index), is_settled);
        assert_eq!(held(reference.candidate(index)), *candidate);
    }
    assert_eq!(scanner.candidate(query.pointers.len()), Candidate::Missing);
    Ok(candidates)
}

fn held(candidate: Candidate<'_>) -> Held {
    match candidate {
        Candidate::Missing => Held::Missing,
        Candidate::Found(key) => Held::Found(key.to_owned()),
        Candidate::Unusable(reason) => Held::Unusable(reason),
    }
}

/// RFC 6901, 4: `~1` is replaced before `~0`.
fn tokens(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~")).collect()
}

impl Query {
    fn find(&self, tree: &Tree, tokens: &[String]) -> Held {
        let Some((token, rest)) = tokens.split_first() else { return self.judge(tree) };
        match tree {
            Tree::Object(members) => {
                let named: Vec<&Tree> =
                    members.iter().filter(|(name, _)| name == token).map(|(_, tree)| tree).collect();
                if self.duplicates == Duplicates::Reject
                    && let Some(conflict) = first_conflict(members, token)
                {
                    return Held::Unusable(conflict);
                }
                match (named.as_slice(), self.duplicates) {
                    ([], _) => Held::Missing,
                    ([.., last], Duplicates::Last) => self.find(last, rest),
                    ([first, ..], _) => self.find(first, rest),
                }
            }
            Tree::Array(elements) => {
                let element = token.parse::<usize>().ok().filter(|index| index.to_string() == *token);
                element.and_then(|index| elements.get(index)).map_or(Held::Missing, |tree| self.find(tree, rest))
            }
            _ => Held::Missing,
        }
    }

    fn judge(&self, tree: &Tree) -> Held {
        let text = match tree {
            Tree::Null => return Held::Unusable(Reason::KeyNull),
            Tree::Boolean => return Held::Unusable(Reason::KeyBoolean),
            Tree::Object(_) => return Held::Unusable(Reason::KeyObject),
            Tree::Array(_) => return Held::Unusable(Reason::KeyArray),
            Tree::Number(text) => match serde_json::from_str::<serde_json::Number>(text) {
                Ok(number) if number.is_i64() || number.is_u64() => text,
                _ => return Held::Unusable(Reason::KeyFloat),
            },
            Tree::String(text) => text,
        };
        match text {
            text if text.is_empty() => Held::Unusable(Reason::KeyEmpty),
            text if text.len() > self.key_bytes => Held::Unusable(Reason::KeyTooLong),
            text if text.contains(char::is_control) => Held::Unusable(Reason::KeyControlCharacter),
            text => Held::Found(text.clone()),
        }
    }
}

/// The first member, if any, that makes the token's meaning depend on the parser.
fn first_conflict(members: &[(String, Tree)], token: &str) -> Option<Reason> {
    let fold = |name: &str| name.replace('\u{17f}', "s").replace('\u{212a}', "k").to_ascii_lowercase();
    let mut seen = false;
    for (name, _) in members {
        if name == token {
            if seen {
                return Some(Reason::KeyDuplicated);
            }
            seen = true;
        } else if fold(name) == fold(token) {
            return Some(Reason::KeyAmbiguous);
        }
    }
    None
}

/// A document as serde_json reads it, with nothing lost.
enum Tree {
    Null,
    Boolean,
    Number(String),
    String(String),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

impl Tree {
    fn parse(text: &str) -> serde_json::Result<Self> {
        let raw: &RawValue = serde_json::from_str(text)?;
        let text = raw.get();
        Ok(match text.as_bytes()[0] {
            b'n' => Tree::Null,
            b't' | b'f' => Tree::Boolean,
            b'"' => Tree::String(serde_json::from_str(text)?),
            b'[' => {
                let elements: Vec<&RawValue> = serde_json::from_str(text)?;
                Tree::Array(elements.iter().map(|raw| Tree::parse(raw.get())).collect::<Result<_, _>>()?)
            }
            b'{' => {
                let Members(members) = serde_json::from_str(text)?;
                let parse = |(name, raw): (String, &RawValue)| Ok((name, Tree::parse(raw.get())?));
                Tree::Object(members.into_iter().map(parse).collect::<serde_json::Result<_>>()?)
            }
            _ => Tree::Number(text.to_owned()),
        })
    }
}

/// An object's members in order, duplicates included.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All)
    }
}
