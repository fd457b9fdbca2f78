//! Encodes trees as MessagePack in every width, and decodes them with rmpv and rmp-serde.
#![allow(dead_code, reason = "the fuzzer encodes nothing")]
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test that is wrong may panic")]

use std::sync::Arc;

use cellgate_routing::Reason;
use cellgate_routing::document::DocumentQuery;
use cellgate_routing::msgpack::MsgpackScanner;

use crate::oracle::{Query, Verdict};
use crate::tree::{Tree, Widths, expected_of, scanned_every_way, simplify};

/// Encodes a document; `widths` choose among the encodings of each item.
pub(crate) fn encode(tree: &Tree, widths: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    write(tree, &mut Widths(widths), &mut out);
    out
}

fn write(tree: &Tree, widths: &mut Widths<'_>, out: &mut Vec<u8>) {
    match tree {
        Tree::Null => out.push(0xc0),
        Tree::Boolean(value) => out.push(0xc2 + u8::from(*value)),
        Tree::Float(n) if f64::from(*n as f32) == *n && widths.next(2) == 0 => {
            out.push(0xca);
            out.extend((*n as f32).to_be_bytes());
        }
        Tree::Float(n) => {
            out.push(0xcb);
            out.extend(n.to_be_bytes());
        }
        Tree::Integer(n) => integer(*n, widths, out),
        Tree::Text(text) => {
            length(text.len(), (0xa0, 0x20), &[(0xd9, 1), (0xda, 2), (0xdb, 4)], widths, out);
            out.extend(text.bytes());
        }
        Tree::Bytes(bytes) => {
            length(bytes.len(), (0, 0), &[(0xc4, 1), (0xc5, 2), (0xc6, 4)], widths, out);
            out.extend(bytes);
        }
        Tree::Extension(tag, data) => {
            let fixed = [1, 2, 4, 8, 16].iter().position(|length| *length == data.len());
            match fixed.filter(|_| widths.next(3) > 0) {
                Some(fixed) => out.push(0xd4 + fixed as u8),
                None => length(data.len(), (0, 0), &[(0xc7, 1), (0xc8, 2), (0xc9, 4)], widths, out),
            }
            out.push(*tag as u8);
            out.extend(data);
        }
        Tree::Array(elements) => {
            length(elements.len(), (0x90, 0x10), &[(0xdc, 2), (0xdd, 4)], widths, out);
            elements.iter().for_each(|element| write(element, widths, out));
        }
        Tree::Map(members) => {
            length(members.len(), (0x80, 0x10), &[(0xde, 2), (0xdf, 4)], widths, out);
            for (name, value) in members {
                write(name, widths, out);
                write(value, widths, out);
            }
        }
        Tree::InvalidText | Tree::Tagged(..) => panic!("MessagePack has no {tree:?}"),
    }
}

/// A length in one of the widths that fit, or in the first byte.
fn length(n: usize, (fix, fix_end): (u8, usize), heads: &[(u8, usize)], widths: &mut Widths<'_>, out: &mut Vec<u8>) {
    if n < fix_end && widths.next(3) > 0 {
        return out.push(fix | n as u8);
    }
    let fitting: Vec<_> = heads.iter().filter(|(_, bytes)| n < 1 << (8 * bytes)).collect();
    let (head, bytes) = fitting[widths.next(fitting.len())];
    out.push(*head);
    out.extend(&(n as u64).to_be_bytes()[8 - bytes..]);
}

fn integer(n: i128, widths: &mut Widths<'_>, out: &mut Vec<u8>) {
    if (-32..128).contains(&n) && widths.next(3) > 0 {
        return out.push(n as u8);
    }
    let bits = [8, 16, 32, 64];
    let unsigned = bits.iter().zip(0xccu8..).filter(|(bits, _)| n >= 0 && n < 1 << **bits);
    let signed = bits.iter().zip(0xd0u8..).filter(|(bits, _)| n >= -(1 << (**bits - 1)) && n < 1 << (**bits - 1));
    let fitting: Vec<_> = unsigned.chain(signed).collect();
    let (bits, head) = fitting[widths.next(fitting.len())];
    out.push(head);
    out.extend(&n.to_be_bytes()[16 - bits / 8..]);
}

/// The result of a scan, however the document is cut.
pub(crate) fn scan(query: &Query, document: &[u8]) -> Verdict {
    let pointers = query.pointers.iter().map(|text| text.parse().unwrap()).collect();
    let compiled = Arc::new(DocumentQuery::new(pointers, query.duplicates, query.depth, query.key_bytes));
    scanned_every_way(|| MsgpackScanner::new(Arc::clone(&compiled)), query, document)
}

/// Checks that the scanner accepts a document if rmpv decodes it and nothing follows, and finds the same keys.
pub(crate) fn check(query: &Query, document: &[u8]) {
    match (decode(document), scan(query, document)) {
        // rmpv accepts names that are not UTF-8.
        (None, Err(_)) | (Some(_), Err((Reason::BodyInvalidUtf8, _))) => {}
        (None, Ok(found)) => panic!("rmpv refuses {}: {found:?}", document.escape_ascii()),
        (Some(tree), found) => match expected_of(query, &tree) {
            Some(expected) => assert_eq!(simplify(found), expected, "{}", document.escape_ascii()),
            None => assert!(matches!(found, Ok(_) | Err((Reason::BodyTooDeep, _))), "{}", document.escape_ascii()),
        },
    }
}

/// Decodes a whole document.
pub(crate) fn decode(document: &[u8]) -> Option<Tree> {
    let mut rest = document;
    // The scanner's own limit is lower, however many levels this one counts for a container.
    let value = rmpv::decode::read_value_with_max_depth(&mut rest, 500).ok()?;
    // rmpv reads 0xc1 as nil.
    rmp_serde::from_slice::<serde::de::IgnoredAny>(document).ok()?;
    rest.is_empty().then(|| tree(value))
}

fn tree(value: rmpv::Value) -> Tree {
    match value {
        rmpv::Value::Nil => Tree::Null,
        rmpv::Value::Boolean(value) => Tree::Boolean(value),
        rmpv::Value::Integer(n) => Tree::Integer(n.as_u64().map_or_else(|| n.as_i64().unwrap().into(), i128::from)),
        rmpv::Value::F32(n) => Tree::Float(n.into()),
        rmpv::Value::F64(n) => Tree::Float(n),
        rmpv::Value::String(text) => match std::str::from_utf8(text.as_bytes()) {
            Ok(text) => Tree::Text(text.into()),
            Err(_) => Tree::InvalidText,
        },
        rmpv::Value::Binary(bytes) => Tree::Bytes(bytes),
        rmpv::Value::Ext(tag, data) => Tree::Extension(tag, data),
        rmpv::Value::Array(elements) => Tree::Array(elements.into_iter().map(tree).collect()),
        rmpv::Value::Map(members) => {
            Tree::Map(members.into_iter().map(|(name, value)| (tree(name), tree(value))).collect())
        }
    }
}
