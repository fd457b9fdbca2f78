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
use cellgate_routing::document::{AcceptedFaults, DocumentQuery, QueryOptions};
use cellgate_routing::json::{JsonScanner, NdjsonScanner};
use cellgate_routing::source::Place;
use cellgate_routing::{Duplicates, Reason, ValueRule};
use serde::de::{Deserialize, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A query and its limits.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) pointers: Vec<String>,
    pub(crate) duplicates: Duplicates,
    pub(crate) depth: usize,
    pub(crate) key_bytes: usize,
    /// Whether the body is NDJSON.
    pub(crate) records: bool,
    /// The pointer into the JSON document that each value holds, if it holds one.
    pub(crate) then: Option<String>,
    pub(crate) accepted: AcceptedFaults,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            pointers: Vec::new(),
            duplicates: Duplicates::Reject,
            depth: 64,
            key_bytes: 16,
            records: false,
            then: None,
            accepted: AcceptedFaults::default(),
        }
    }
}

/// A token of a pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Name(String),
    Each,
    Selector(String, String),
}

/// Stands for a lone surrogate in a tree, because serde_json reads none. Documents do not have this character.
pub(crate) const LONE: char = '\u{e0ff}';

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
pub(crate) fn expected(query: &Query, body: &[u8]) -> Verdict {
    if !query.records {
        return of_document(query, body);
    }
    let mut held = vec![Held::Missing; query.pointers.len()];
    let mut start = 0;
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        let document = line.strip_suffix(b"\n").unwrap_or(line);
        // Only the first line may begin with a byte order mark.
        let accepted =
            AcceptedFaults { byte_order_mark: query.accepted.byte_order_mark && start == 0, ..query.accepted };
        let of_line = Query { accepted, ..query.clone() };
        let text = document.strip_prefix(b"\xef\xbb\xbf").filter(|_| accepted.byte_order_mark).unwrap_or(document);
        if text.iter().any(|byte| !b" \t\r".contains(byte)) {
            match of_document(&of_line, document) {
                Ok(values) => held.iter_mut().zip(values).for_each(|(held, value)| *held = agreed(held.clone(), value)),
                Err((Reason::BodyTruncated, at)) if line.ends_with(b"\n") => {
                    return Err((Reason::BodyMalformed, start + at));
                }
                Err((Reason::BodyByteOrderMark, _)) if start > 0 => return Err((Reason::BodyMalformed, start)),
                Err((reason, at)) => return Err((reason, start + at)),
            }
        }
        start += line.len() as u64;
    }
    Ok(held)
}

fn of_document(query: &Query, document: &[u8]) -> Verdict {
    let parse = |document: &[u8]| std::str::from_utf8(document).ok().and_then(|text| Tree::parse(text).ok());
    match grammar::check(document, query) {
        Ok(lone) => {
            let mut text = document.to_vec();
            for start in lone {
                text[start..start + 6].copy_from_slice(b"\\ue0ff");
            }
            let tree = parse(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text));
            let tree = tree.unwrap_or_else(|| panic!("serde_json does not accept it"));
            Ok(query.pointers.iter().map(|pointer| query.find(&tree, &steps(pointer))).collect())
        }
        Err(wrong) => {
            let tree = parse(document);
            assert!(tree.is_none() || wrong.0 == Reason::BodyTooDeep, "serde_json accepts it: {wrong:?}");
            Err(wrong)
        }
    }
}

/// The result that the scanner gives when the document comes in chunks that end at `cuts` (ascending; the last one is
/// implied).
///
/// Checks on the way that the reference scanner, which has no fast path, finds the same after every chunk, and that a
/// settled candidate changes only to a conflict.
pub(crate) fn scanned(query: &Query, document: &[u8], cuts: &[usize]) -> Verdict {
    let (mut scanner, mut reference) = query.scanners();
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

/// RFC 6901, 4: `~0` is replaced last.
fn steps(pointer: &str) -> Vec<Step> {
    let unescaped = |token: &str| token.replace("~1", "/").replace("~2", "*").replace("~3", "[").replace("~0", "~");
    let step = |token: &str| match token.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(selector) => {
            let (name, text) = selector.split_once('=').unwrap();
            Step::Selector(unescaped(name), unescaped(text))
        }
        None if token == "*" => Step::Each,
        None => Step::Name(unescaped(token)),
    };
    pointer.split('/').skip(1).map(step).collect()
}

/// The value of two elements, each of which may hold one.
fn agreed(one: Held, another: Held) -> Held {
    let is_conflict = |held: &Held| matches!(held, Held::Unusable(reason) if reason.is_conflict());
    match (one, another) {
        (one, Held::Missing) => one,
        (Held::Missing, another) => another,
        (one, _) if is_conflict(&one) => one,
        (_, another) if is_conflict(&another) => another,
        (one, another) if one == another => one,
        _ => Held::Unusable(Reason::KeyConflict),
    }
}

impl Query {
    /// The scanner of the format, with and without its fast path.
    fn scanners(&self) -> (Box<dyn BodyScanner>, Box<dyn BodyScanner>) {
        let then = self.then.as_ref().map(|pointer| Box::new(Place::Json(pointer.parse().unwrap())));
        let rule = ValueRule { then, ..ValueRule::default() };
        let pointers = self.pointers.iter().map(|text| (text.parse().unwrap(), rule.clone())).collect();
        let options = QueryOptions {
            duplicates: self.duplicates,
            depth: self.depth,
            key_bytes: self.key_bytes,
            records: self.records,
            accepted: self.accepted,
        };
        let query = Arc::new(DocumentQuery::compile(pointers, options));
        if self.records {
            (Box::new(NdjsonScanner::new(Arc::clone(&query))), Box::new(NdjsonScanner::reference(query)))
        } else {
            (Box::new(JsonScanner::new(Arc::clone(&query))), Box::new(JsonScanner::reference(query)))
        }
    }

    /// The value of all elements of an array, or of those that a selector names.
    fn find_in_all(&self, tree: &Tree, selector: Option<(&str, &str)>, rest: &[Step]) -> Held {
        let Tree::Array(elements) = tree else { return Held::Missing };
        let of_element = |element| match selector {
            None => self.find(element, rest),
            Some((name, text)) => match self.selects(element, name, text) {
                Ok(true) => self.find(element, rest),
                Ok(false) => Held::Missing,
                Err(reason) => Held::Unusable(reason),
            },
        };
        elements.iter().map(of_element).fold(Held::Missing, agreed)
    }

    /// Whether a selector names this element.
    fn selects(&self, element: &Tree, name: &str, text: &str) -> Result<bool, Reason> {
        let Tree::Object(members) = element else { return Ok(false) };
        if self.duplicates == Duplicates::Reject
            && let Some(conflict) = first_conflict(members, name)
        {
            return Err(conflict);
        }
        let mut named = members.iter().filter(|(known, _)| known == name).map(|(_, tree)| tree);
        let value = if self.duplicates == Duplicates::Last { named.next_back() } else { named.next() };
        match value {
            Some(Tree::String(value)) if value.contains(LONE) => Err(Reason::KeyMalformed),
            Some(Tree::String(value)) => Ok(value == text),
            _ => Ok(false),
        }
    }

    fn find(&self, tree: &Tree, steps: &[Step]) -> Held {
        let (token, rest) = match steps.split_first() {
            None => return self.judge(tree),
            Some((Step::Each, rest)) => return self.find_in_all(tree, None, rest),
            Some((Step::Selector(name, text), rest)) => return self.find_in_all(tree, Some((name, text)), rest),
            Some((Step::Name(name), rest)) => (name, rest),
        };
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
            Tree::String(text) if text.contains(LONE) => return Held::Unusable(Reason::KeyMalformed),
            Tree::String(text) => text,
        };
        if let Some(pointer) = &self.then {
            return self.judge_document(text, pointer);
        }
        match text {
            text if text.is_empty() => Held::Unusable(Reason::KeyEmpty),
            text if text.len() > self.key_bytes => Held::Unusable(Reason::KeyTooLong),
            text if text.contains(char::is_control) => Held::Unusable(Reason::KeyControlCharacter),
            text => Held::Found(text.clone()),
        }
    }
}

impl Query {
    /// The value of a document inside a value.
    fn judge_document(&self, text: &str, pointer: &str) -> Held {
        if text.is_empty() {
            return Held::Unusable(Reason::KeyEmpty);
        }
        let inner = Query { pointers: vec![pointer.to_owned()], records: false, then: None, ..self.clone() };
        match expected(&inner, text.as_bytes()) {
            Ok(mut held) => held.remove(0),
            Err((reason, _)) => Held::Unusable(reason),
        }
    }
}

/// As parsers that fold case or ignore `_` and `-` in a name, and those that keep names as C strings, see a name.
fn fold(name: &str) -> String {
    let name = name.split('\0').next().unwrap_or_default();
    let inside = name.trim_start_matches(['_', '-']);
    let (separators, _) = name.split_at(name.len() - inside.len());
    let letters = inside.replace(['_', '-'], "").replace('\u{17f}', "s").replace('\u{212a}', "k").to_ascii_lowercase();
    format!("{separators}{letters}")
}

/// The first member, if any, that makes the token's meaning depend on the parser.
fn first_conflict(members: &[(String, Tree)], token: &str) -> Option<Reason> {
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
