//! Documents of MessagePack and CBOR as trees: made at random, encoded in every way that the formats allow, and written as
//! JSON, so that the oracle of the JSON scanner gives the expected result.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test that is wrong may panic")]
#![allow(dead_code, reason = "each test uses one format")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::oracle::{Held, LONE, Query, Verdict, expected};
use cellgate_routing::body::{BodyScanner, Candidate};
use cellgate_routing::{Duplicates, Reason};

/// A document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    /// In CBOR also undefined.
    Null,
    Boolean(bool),
    /// From -2^64 to 2^64 - 1.
    Integer(i128),
    Float(f64),
    Text(String),
    /// Text that is not UTF-8.
    InvalidText,
    Bytes(Vec<u8>),
    Extension(i8, Vec<u8>),
    Tagged(u64, Box<Tree>),
    Array(Vec<Tree>),
    Map(Vec<(Tree, Tree)>),
}

/// Names with letters: JSON has look-alikes of them.
const NAMES: &[&str] = &[
    "tenant", "id", "a", "tenant", "id", "a", "tenant", "id", "a", "Tenant", "ID", "tenants", "tenan", "ten_ant",
    "_id", "ключ", "", "0",
];

const POINTERS: &[&str] = &[
    "/tenant",
    "/id",
    "/a",
    "/tenant",
    "/id",
    "/a",
    "/tenant",
    "/id",
    "/a",
    "/tenant/id",
    "/a/id",
    "/id/tenant",
    "",
    "/a/0",
    "/a/1/id",
    "/0",
    "/a/a/a",
];

/// Pointers to every element. A query has no index beside one.
const EACH_POINTERS: &[&str] = &["/*", "/a/*", "/*/id", "/a/*/id", "/*/*", "/[id=acme]/a", "/tenant/[id=acme]/tenant"];

/// Texts that are keys, or nearly.
const TEXTS: &[&str] = &["acme", "", "", "42", "tenant", "a\nb", "ключ", "\u{1f600}", "a key that is much too long"];

const INTEGERS: &[i128] = &[
    0,
    1,
    23,
    24,
    127,
    128,
    255,
    256,
    65_535,
    65_536,
    4_294_967_295,
    4_294_967_296,
    18_446_744_073_709_551_615,
    -1,
    -24,
    -25,
    -32,
    -33,
    -128,
    -129,
    -256,
    -257,
    -32_768,
    -32_769,
    -65_537,
    -2_147_483_648,
    -2_147_483_649,
    -4_294_967_297,
    -9_223_372_036_854_775_808,
];

/// Choices among encodings. After its end, every choice is the first one.
#[derive(Debug)]
pub(crate) struct Widths<'a>(pub(crate) &'a [u8]);

impl Widths<'_> {
    /// A number below `n`.
    pub(crate) fn next(&mut self, n: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first) % n
    }
}

/// A change of an encoded document.
#[derive(Clone, Debug)]
pub(crate) enum Damage {
    Truncate(prop::sample::Index),
    Replace(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index),
}

/// Any change.
pub(crate) fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        index().prop_map(Damage::Truncate),
        (index(), any::<u8>()).prop_map(|(at, byte)| Damage::Replace(at, byte)),
        (index(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        index().prop_map(Damage::Remove),
    ]
}

impl Damage {
    pub(crate) fn apply(&self, document: &mut Vec<u8>) {
        match self {
            Damage::Truncate(at) => document.truncate(at.index(document.len() + 1)),
            Damage::Insert(at, byte) => document.insert(at.index(document.len() + 1), *byte),
            _ if document.is_empty() => {}
            Damage::Replace(at, byte) => {
                let at = at.index(document.len());
                document[at] = *byte;
            }
            Damage::Remove(at) => drop(document.remove(at.index(document.len()))),
        }
    }
}

/// What a format has besides the types that both have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Msgpack,
    Cbor,
}

/// A document, mostly an object.
pub(crate) fn trees(kind: Kind) -> impl Strategy<Value = Tree> {
    let text = prop::sample::select(TEXTS).prop_map(|text| Tree::Text(text.into()));
    let long = (0usize..140).prop_map(|length| Tree::Text("é".repeat(length)));
    let own = match kind {
        Kind::Msgpack => {
            (any::<i8>(), vec(any::<u8>(), 0..20)).prop_map(|(tag, data)| Tree::Extension(tag, data)).boxed()
        }
        Kind::Cbor => {
            let large = &[-9_223_372_036_854_775_809, -18_446_744_073_709_551_616][..];
            prop::sample::select(large).prop_map(Tree::Integer).boxed()
        }
    };
    let leaf = prop_oneof![
        6 => text,
        1 => long,
        2 => prop::sample::select(INTEGERS).prop_map(Tree::Integer),
        1 => any::<f64>().prop_filter("not equal to itself", |n| !n.is_nan()).prop_map(Tree::Float),
        1 => prop::sample::select(&[0.0, 1.5, -0.25, f64::INFINITY, 65504.0][..]).prop_map(Tree::Float),
        2 => any::<bool>().prop_map(Tree::Boolean),
        2 => Just(Tree::Null),
        1 => prop_oneof![4 => 0usize..4, 1 => 0usize..260].prop_map(|length| Tree::Bytes(vec![0xc3; length])),
        1 => own,
    ];
    // Enough items for each width of a length.
    let wide = prop_oneof![
        vec(leaf.clone(), 14..26).prop_map(Tree::Array),
        vec((names(kind), leaf.clone()), 14..26).prop_map(Tree::Map),
    ];
    let value = leaf.clone();
    let tree = prop_oneof![20 => leaf, 1 => wide].prop_recursive(4, 16, 3, move |inner| {
        let tagged = (inner.clone(), prop::sample::select(&[0u64, 24, 55_799, u64::MAX][..]));
        prop_oneof![
            1 => vec(inner.clone(), 0..4).prop_map(Tree::Array),
            4 => vec((names(kind), inner.clone()), 0..5).prop_map(Tree::Map),
            1 => tagged.prop_map(move |(inner, tag)| match kind {
                Kind::Cbor => Tree::Tagged(tag, inner.into()),
                Kind::Msgpack => inner,
            }),
        ]
    });
    let member = (names(kind), prop_oneof![2 => value, 1 => tree.clone()]);
    prop_oneof![6 => vec(member, 1..4).prop_map(Tree::Map), 1 => tree]
}

/// Names, mostly text.
fn names(kind: Kind) -> impl Strategy<Value = Tree> {
    let text = || prop::sample::select(NAMES).prop_map(|name| Tree::Text(name.into()));
    let odd = prop_oneof![
        prop::sample::select(&["tenant", "id", "b"][..]).prop_map(|name| Tree::Bytes(name.into())),
        prop::sample::select(&[100, 70_000, -5][..]).prop_map(Tree::Integer),
        Just(Tree::Null),
        Just(Tree::Boolean(true)),
        Just(Tree::Float(0.5)),
        text().prop_map(move |name| match kind {
            Kind::Cbor => Tree::Tagged(25, name.into()),
            Kind::Msgpack => Tree::Extension(1, b"tenant".into()),
        }),
    ];
    prop_oneof![12 => text(), 1 => odd]
}

/// Queries of one to three pointers.
pub(crate) fn queries() -> impl Strategy<Value = Query> {
    let pointers = prop_oneof![
        4 => vec(prop::sample::select(POINTERS), 1..4),
        1 => prop::sample::select(EACH_POINTERS).prop_map(|pointer| vec![pointer]),
    ];
    let duplicates = prop::sample::select(&[Duplicates::Reject, Duplicates::First, Duplicates::Last][..]);
    let depth = prop_oneof![6 => Just(64usize), 1 => 1usize..5];
    (pointers, duplicates, depth).prop_map(|(pointers, duplicates, depth)| Query {
        pointers: pointers.into_iter().map(str::to_owned).collect(),
        duplicates,
        depth,
        ..Query::default()
    })
}

/// The query of one pointer that a number chooses.
pub(crate) fn query(choice: u8) -> Query {
    let pointers = [POINTERS, EACH_POINTERS].concat();
    let duplicates = [Duplicates::Reject, Duplicates::First, Duplicates::Last][usize::from(choice) % 3];
    let pointer = pointers[usize::from(choice) % pointers.len()].to_owned();
    Query { pointers: vec![pointer], duplicates, ..Query::default() }
}

/// The expected result for a document that is well-formed. `None` if JSON has no document like it.
pub(crate) fn expected_of(query: &Query, tree: &Tree) -> Option<Verdict> {
    // In JSON both have the same reason, and elements that hold them would agree.
    let has_elements = query.pointers.iter().any(|pointer| pointer.contains(['*', '[']));
    let is_of_another_type = |tree: &Tree| matches!(tree, Tree::Bytes(_) | Tree::Extension(..) | Tree::Tagged(..));
    let has_controls = |tree: &Tree| matches!(tree, Tree::Text(text) if text.chars().any(char::is_control));
    if has_elements && any_value(tree, &is_of_another_type) && any_value(tree, &has_controls) {
        return None;
    }
    let mut json = String::new();
    write_json(tree, &mut json)?;
    // The oracle would take it for half of a surrogate pair.
    if json.contains(LONE) {
        return None;
    }
    Some(simplify(expected(query, json.as_bytes())))
}

fn any_value(tree: &Tree, is: &impl Fn(&Tree) -> bool) -> bool {
    is(tree)
        || match tree {
            Tree::Array(elements) => elements.iter().any(|element| any_value(element, is)),
            Tree::Map(members) => members.iter().any(|(_, value)| any_value(value, is)),
            Tree::Tagged(_, inner) => any_value(inner, is),
            _ => false,
        }
}

/// Errors without their offset; one reason instead of those that stand for types that JSON does not have.
pub(crate) fn simplify(verdict: Verdict) -> Verdict {
    let held = |held| match held {
        Held::Unusable(Reason::KeyMalformed) => Held::Unusable(Reason::KeyControlCharacter),
        held => held,
    };
    verdict.map(|all| all.into_iter().map(held).collect()).map_err(|(reason, _)| (reason, 0))
}

fn write_json(tree: &Tree, out: &mut String) -> Option<()> {
    let inner = untagged(tree);
    let is_tagged = !std::ptr::eq(inner, tree);
    match inner {
        Tree::Null => out.push_str("null"),
        Tree::Boolean(value) => out.push_str(&value.to_string()),
        Tree::Float(_) => out.push_str("0.5"),
        Tree::Integer(n) if *n < i64::MIN.into() => out.push_str("0.5"),
        Tree::Bytes(_) | Tree::Extension(..) => out.push_str("\"\\u0001\""),
        Tree::Integer(_) | Tree::Text(_) if is_tagged => out.push_str("\"\\u0001\""),
        Tree::Integer(n) => out.push_str(&n.to_string()),
        Tree::Text(text) => out.push_str(&serde_json::to_string(text).unwrap()),
        Tree::Array(elements) => {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                write_json(element, out)?;
            }
            out.push(']');
        }
        Tree::Map(members) => {
            out.push('{');
            let mut separator = "";
            for (name, value) in members {
                for name in json_names(name)? {
                    out.push_str(separator);
                    out.push_str(&serde_json::to_string(&name).unwrap());
                    out.push(':');
                    write_json(value, out)?;
                    separator = ",";
                }
            }
            out.push('}');
        }
        Tree::InvalidText => return None,
        Tree::Tagged(..) => unreachable!(),
    }
    Some(())
}

/// Names in JSON with the same effect.
fn json_names(name: &Tree) -> Option<Vec<String>> {
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphabetic());
    Some(match name {
        Tree::Text(text) => vec![text.clone()],
        // A look-alike.
        Tree::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) if !text.is_empty() && is_plain(text) => vec![swap_case(text)],
            _ => return None,
        },
        Tree::Integer(n) if !(0..100).contains(n) => vec![n.to_string()],
        Tree::Float(n) if n.fract() != 0.0 => vec![n.to_string()],
        Tree::Null | Tree::Boolean(_) => vec!["other".into()],
        // Every name, ended by a NUL.
        Tree::Tagged(..) | Tree::Extension(..) => {
            let tokens: BTreeSet<_> =
                POINTERS.iter().chain(EACH_POINTERS).flat_map(|pointer| pointer.split('/')).collect();
            tokens.into_iter().map(|token| format!("{token}\0")).collect()
        }
        _ => return None,
    })
}

fn swap_case(text: &str) -> String {
    let swap = |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    text.chars().map(swap).collect()
}

fn untagged(mut tree: &Tree) -> &Tree {
    while let Tree::Tagged(_, inner) = tree {
        tree = inner;
    }
    tree
}

/// The result that a scanner gives when the document comes in chunks that end at `cuts` (ascending; the last one is
/// implied). Checks on the way that a settled value changes only to a conflict, and that errors are final.
pub(crate) fn scanned(mut scanner: impl BodyScanner, query: &Query, document: &[u8], cuts: &[usize]) -> Verdict {
    let held = |candidate: Candidate<'_>| match candidate {
        Candidate::Missing => Held::Missing,
        Candidate::Found(key) => Held::Found(key.to_owned()),
        Candidate::Unusable(reason) => Held::Unusable(reason),
    };
    let mut settled: Vec<Option<Held>> = vec![None; query.pointers.len()];
    let mut start = 0;
    for end in cuts.iter().copied().chain([document.len()]) {
        if let Err(error) = scanner.push(&document[start..end]) {
            assert!(error.expected.starts_with("expected "));
            assert!(error.offset < document.len() as u64, "{error:?}");
            assert_eq!((scanner.push(b" "), scanner.finish()), (Err(error), Err(error)), "an error is final");
            return Err((error.reason, error.offset));
        }
        start = end;
        for (index, before) in settled.iter_mut().enumerate() {
            let now = held(scanner.candidate(index));
            if let Some(before) = before {
                let is_conflict = matches!(now, Held::Unusable(reason) if reason.is_conflict());
                assert!(now == *before || is_conflict, "{before:?} became {now:?}");
            }
            *before = scanner.is_settled(index).then_some(now);
            assert!(before.is_none() || query.duplicates != Duplicates::Last);
        }
    }
    scanner.finish().map_err(|error| (error.reason, error.offset))?;
    assert_eq!(scanner.candidate(query.pointers.len()), Candidate::Missing);
    Ok((0..query.pointers.len()).map(|index| held(scanner.candidate(index))).collect())
}

/// The result for the whole document, which must be the same byte by byte and when the document is cut in two anywhere
/// (in a long one, in 150 places).
pub(crate) fn scanned_every_way<S: BodyScanner>(scanner: impl Fn() -> S, query: &Query, document: &[u8]) -> Verdict {
    let whole = scanned(scanner(), query, document, &[]);
    let bytes: Vec<usize> = (0..document.len()).collect();
    assert_eq!(scanned(scanner(), query, document, &bytes), whole, "byte by byte: {}", document.escape_ascii());
    for cut in (0..=document.len()).step_by(1 + document.len() / 150) {
        let found = scanned(scanner(), query, document, &[cut]);
        assert_eq!(found, whole, "cut at {cut}: {}", document.escape_ascii());
    }
    whole
}

/// How often each verdict comes for documents of which every second one is damaged.
pub(crate) fn verdicts(
    kind: Kind,
    scan: impl Fn(&Query, &Tree, &[u8], &[Damage]) -> Verdict,
) -> BTreeMap<String, usize> {
    let mut seen = BTreeMap::new();
    let mut runner = TestRunner::deterministic();
    let inputs = (queries(), trees(kind), vec(any::<u8>(), 0..60), vec(damage(), 0..2));
    for _ in 0..2500 {
        let (query, tree, widths, damage) = inputs.new_tree(&mut runner).unwrap().current();
        let reached = match scan(&query, &tree, &widths, &damage) {
            Err((reason, _)) => vec![reason.to_string()],
            Ok(all) => all
                .into_iter()
                .map(|held| match held {
                    Held::Found(_) => "found".to_owned(),
                    Held::Missing => "missing".to_owned(),
                    Held::Unusable(reason) => reason.to_string(),
                })
                .collect(),
        };
        reached.into_iter().for_each(|verdict| *seen.entry(verdict).or_insert(0) += 1);
    }
    seen
}
