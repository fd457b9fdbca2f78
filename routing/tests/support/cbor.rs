//! Encodes trees as CBOR in every width, with definite and indefinite lengths, and decodes them with ciborium.
#![allow(dead_code, reason = "the fuzzer encodes nothing")]
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test that is wrong may panic")]

use ciborium::Value;

use std::sync::Arc;

use cellgate_routing::Reason;
use cellgate_routing::cbor::CborScanner;
use cellgate_routing::document::DocumentQuery;

use crate::oracle::{Query, Verdict};
use crate::tree::{Tree, Widths, expected_of, scanned_every_way, simplify};
use crate::well_formed;

const INDEFINITE: u8 = 31;
const BREAK: u8 = 0xff;

/// Encodes a document; `widths` choose among the encodings of each item.
pub(crate) fn encode(tree: &Tree, widths: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write(tree, &mut Widths(widths), &mut out);
    out
}

fn write(tree: &Tree, widths: &mut Widths<'_>, out: &mut Vec<u8>) {
    match tree {
        Tree::Boolean(value) => out.push(0xf4 + u8::from(*value)),
        Tree::Null => out.push(0xf6 + u8::from(widths.next(4) == 3)),
        Tree::Float(n) => float(*n, widths, out),
        Tree::Integer(n) if *n < 0 => head(1, u64::try_from(-1 - n).unwrap(), widths, out),
        Tree::Integer(n) => head(0, u64::try_from(*n).unwrap(), widths, out),
        Tree::Bytes(bytes) => string(2, bytes, |_| true, widths, out),
        Tree::Text(text) => string(3, text.as_bytes(), |at| text.is_char_boundary(at), widths, out),
        Tree::Tagged(tag, inner) => {
            head(6, *tag, widths, out);
            write(inner, widths, out);
        }
        Tree::Array(elements) => {
            let is_indefinite = container(4, elements.len(), widths, out);
            elements.iter().for_each(|element| write(element, widths, out));
            out.extend(is_indefinite.then_some(BREAK));
        }
        Tree::Map(members) => {
            let is_indefinite = container(5, members.len(), widths, out);
            for (name, value) in members {
                write(name, widths, out);
                write(value, widths, out);
            }
            out.extend(is_indefinite.then_some(BREAK));
        }
        Tree::Extension(..) | Tree::InvalidText => panic!("CBOR has no {tree:?}"),
    }
}

/// Begins a container. Returns whether a break must end it.
fn container(major: u8, length: usize, widths: &mut Widths<'_>, out: &mut Vec<u8>) -> bool {
    let is_indefinite = widths.next(3) == 2;
    if is_indefinite {
        out.push(major << 5 | INDEFINITE);
    } else {
        head(major, length as u64, widths, out);
    }
    is_indefinite
}

fn string(major: u8, bytes: &[u8], may_cut: impl Fn(usize) -> bool, widths: &mut Widths<'_>, out: &mut Vec<u8>) {
    if widths.next(4) < 3 {
        head(major, bytes.len() as u64, widths, out);
        return out.extend(bytes);
    }
    out.push(major << 5 | INDEFINITE);
    let mut start = 0;
    while start < bytes.len() || widths.next(4) == 3 {
        let at_least = if widths.0.is_empty() { bytes.len() } else { start + widths.next(20) };
        let end = (at_least..=bytes.len()).find(|at| may_cut(*at)).unwrap_or(bytes.len());
        head(major, (end - start) as u64, widths, out);
        out.extend(&bytes[start..end]);
        start = end;
    }
    out.push(BREAK);
}

/// A head in one of the widths that fit.
fn head(major: u8, n: u64, widths: &mut Widths<'_>, out: &mut Vec<u8>) {
    if n < 24 && widths.next(3) > 0 {
        return out.push(major << 5 | n as u8);
    }
    let fitting: Vec<usize> = [1, 2, 4, 8].into_iter().filter(|bytes| *bytes == 8 || n < 1 << (8 * bytes)).collect();
    let bytes = fitting[widths.next(fitting.len())];
    out.push(major << 5 | (24 + bytes.ilog2() as u8));
    out.extend(&n.to_be_bytes()[8 - bytes..]);
}

fn float(n: f64, widths: &mut Widths<'_>, out: &mut Vec<u8>) {
    let half = half::f16::from_f64(n);
    match widths.next(3) {
        0 if half.to_f64() == n => {
            out.push(0xf9);
            out.extend(half.to_be_bytes());
        }
        1 if f64::from(n as f32) == n => {
            out.push(0xfa);
            out.extend((n as f32).to_be_bytes());
        }
        _ => {
            out.push(0xfb);
            out.extend(n.to_be_bytes());
        }
    }
}

/// The result of a scan, however the document is cut.
pub(crate) fn scan(query: &Query, document: &[u8]) -> Verdict {
    let pointers = query.pointers.iter().map(|text| text.parse().unwrap()).collect();
    let compiled = Arc::new(DocumentQuery::new(pointers, query.duplicates, query.depth, query.key_bytes));
    scanned_every_way(|| CborScanner::new(Arc::clone(&compiled)), query, document)
}

/// Checks that the scanner refuses what the RFC's algorithm refuses and text that is not UTF-8, and finds the keys of
/// what ciborium decodes. ciborium does not decode every simple value.
pub(crate) fn check(query: &Query, document: &[u8]) {
    let found = scan(query, document);
    let (tags, decoded) = (well_formed::tags(document), decode(document));
    match &found {
        Err((Reason::BodyInvalidUtf8, _)) => assert!(decoded.is_none(), "{}", document.escape_ascii()),
        Err((Reason::BodyTooDeep, _)) => {}
        Err(_) => assert!(tags.is_none(), "{}: {found:?}", document.escape_ascii()),
        Ok(_) => assert!(tags.is_some(), "{}: {found:?}", document.escape_ascii()),
    }
    // ciborium makes integers of tagged byte strings.
    let has_same_tree = tags.is_some_and(|tags| !tags.iter().any(|tag| [2, 3].contains(tag)));
    if let Some(expected) = decoded.filter(|_| has_same_tree).and_then(|tree| expected_of(query, &tree)) {
        assert_eq!(simplify(found), expected, "{}", document.escape_ascii());
    }
}

/// Decodes a whole document.
pub(crate) fn decode(document: &[u8]) -> Option<Tree> {
    let mut rest = document;
    let value: Value = ciborium::from_reader(&mut rest).ok()?;
    rest.is_empty().then(|| tree(value))
}

fn tree(value: Value) -> Tree {
    match value {
        Value::Null => Tree::Null,
        Value::Bool(value) => Tree::Boolean(value),
        Value::Integer(n) => Tree::Integer(n.into()),
        Value::Float(n) => Tree::Float(n),
        Value::Text(text) => Tree::Text(text),
        Value::Bytes(bytes) => Tree::Bytes(bytes),
        Value::Tag(tag, inner) => Tree::Tagged(tag, tree(*inner).into()),
        Value::Array(elements) => Tree::Array(elements.into_iter().map(tree).collect()),
        Value::Map(members) => Tree::Map(members.into_iter().map(|(name, value)| (tree(name), tree(value))).collect()),
        other => panic!("a new type: {other:?}"),
    }
}
