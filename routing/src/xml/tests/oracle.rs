//! Comparison with roxmltree, which reads the whole document into a tree.

use proptest::prelude::*;
use roxmltree::{Document, Node};

use super::super::ElementPath;
use super::*;
use crate::key::{self, StoredKey};

/// Pieces of documents, correct and wrong ones.
const PIECES: &[&str] = &[
    "<a>",
    "</a>",
    "<b>",
    "</b>",
    "<b/>",
    "<c>x</c>",
    "<c>y</c>",
    "<c> x\n</c>",
    "<c/>",
    "<a><b><c>x</c></b></a>",
    "<b xmlns='urn:b'>",
    "<p:b xmlns:p='urn:b'>",
    "</p:b>",
    "<p:b/>",
    "<a xmlns:p='urn:b'>",
    "<b d='x'/>",
    "<b d='x' p:d='y'>",
    "<b d = \"y\" xmlns:p='urn:d' p:d='x' >",
    "<b d='&#x78;'/>",
    "<b d='a\tb'/>",
    "<b d='x' d='x'/>",
    "<b d='<'/>",
    "<b d=x/>",
    "<b d/>",
    "x",
    "y",
    " ",
    "\n",
    "\r\n",
    "\r",
    "å",
    "\u{fffe}",
    "\u{1}",
    "]",
    "]]",
    "]]>",
    ">",
    "&lt;",
    "&#x78;",
    "&#120;",
    "&#0;",
    "&",
    "&z;",
    "<![CDATA[",
    "<![CDATA[x]]>",
    "<![CDATA[<a>]]]]>",
    "<!--",
    "-->",
    "<!-- <a> -->",
    "<!---->",
    "--",
    "<!-- -- -->",
    "<?t x?>",
    "<?t?>",
    "<?",
    "?>",
    "<",
    "/>",
    "<!",
    "<!DOCTYPE a>",
    "<e:e:e/>",
    "<xmlns:a/>",
    "<b xml:d='x'/>",
    "<A>",
    "</A>",
];

const PATHS: &[&str] =
    &["/a/b/c", "/a/{*}b/c", "/a/*/c", "/a/{urn:b}b/@d", "/a/b/@d", "/a/*", "/a/*/*", "/a/b/@{*}d", "/a/b", "/a"];

/// Any pieces, and an element around them more often than not.
fn document() -> impl Strategy<Value = String> {
    let pieces = prop::collection::vec(prop::sample::select(PIECES), 0..12).prop_map(|pieces| pieces.concat());
    prop_oneof![
        1 => pieces.clone(),
        3 => pieces.clone().prop_map(|pieces| format!("<a>{pieces}</a>")),
        3 => pieces.prop_map(|pieces| format!("<a xmlns:p='urn:b'>{pieces}</a>")),
    ]
}

/// A document whose elements are well nested.
fn nested() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(PIECES.get(4..9).unwrap()).prop_map(str::to_owned);
    let names =
        prop::sample::select(&[("b", ""), ("b", " d='x'"), ("p:b", " xmlns:p='urn:b'"), ("c", ""), ("i", "")][..]);
    let tree = leaf.prop_recursive(4, 24, 4, move |inner| {
        (names.clone(), prop::collection::vec(inner, 0..4))
            .prop_map(|((name, attributes), inner)| format!("<{name}{attributes}>{}</{name}>", inner.concat()))
    });
    prop::collection::vec(tree, 0..4).prop_map(|trees| format!("<a>{}</a>", trees.concat()))
}

/// The value of a path in a tree.
fn value(node: Node<'_, '_>, path: &ElementPath, step: usize, duplicates: Duplicates) -> StoredKey {
    let Some(test) = path.elements.get(step) else { return end(node, path, duplicates) };
    let children: Vec<_> = node
        .children()
        .filter(Node::is_element)
        .filter(|child| test.matches(child.tag_name().namespace().unwrap_or_default(), child.tag_name().name()))
        .collect();
    if test.is_any() {
        let mut all = StoredKey::Missing;
        children.into_iter().for_each(|child| all.agree(value(child, path, step + 1, duplicates)));
        return all;
    }
    match duplicates.pick(children.into_iter()) {
        None => StoredKey::Missing,
        Some(Ok(child)) => value(child, path, step + 1, duplicates),
        Some(Err(reason)) => StoredKey::Unusable(reason),
    }
}

fn end(node: Node<'_, '_>, path: &ElementPath, duplicates: Duplicates) -> StoredKey {
    let text = match &path.attribute {
        Some(test) => {
            let matching =
                node.attributes().filter(|each| test.matches(each.namespace().unwrap_or_default(), each.name()));
            match duplicates.pick(matching.map(|attribute| attribute.value().to_owned())) {
                None => return StoredKey::Missing,
                Some(Err(reason)) => return StoredKey::Unusable(reason),
                Some(Ok(text)) => text,
            }
        }
        None if node.children().any(|child| child.is_element()) => return StoredKey::Unusable(Reason::KeyObject),
        None => {
            let text: String = node.children().filter(Node::is_text).filter_map(|child| child.text()).collect();
            text.trim_matches([' ', '\t', '\r', '\n']).to_owned()
        }
    };
    key::check(text.as_bytes(), 16).map_or_else(StoredKey::Unusable, |key| StoredKey::Found(key.into()))
}

fn compare(document: &str) -> Result<(), TestCaseError> {
    for duplicates in [Duplicates::Reject, Duplicates::First, Duplicates::Last] {
        let query = query(PATHS, duplicates);
        let (values, error) = match duplicates {
            Duplicates::Reject => scan_everywhere(&query, document.as_bytes()),
            _ => scan(&query, document.as_bytes().chunks(7)),
        };
        let tree = match Document::parse(document) {
            Ok(tree) => tree,
            Err(other) => {
                prop_assert!(error.is_some(), "{document:?}: only roxmltree refuses it: {other}");
                continue;
            }
        };
        if matches!(error, Some(BodyError { reason: Reason::BodyTooDeep, .. })) {
            continue;
        }
        prop_assert_eq!(error, None, "{:?}: only Cellgate refuses it", document);
        for (path, found) in PATHS.iter().zip(values) {
            let expected = match value(tree.root(), &path.parse().unwrap(), 0, duplicates) {
                StoredKey::Missing => None,
                StoredKey::Found(key) => Some(Ok(key.into_string())),
                StoredKey::Unusable(reason) => Some(Err(reason)),
            };
            // roxmltree joins texts, and Cellgate refuses those of several nodes.
            let may_be_split = ["<!", "<?"].iter().any(|markup| document.contains(markup));
            if may_be_split && matches!(found, Some(Err(Reason::KeyMalformed | Reason::KeyConflict))) {
                continue;
            }
            prop_assert_eq!(found, expected, "{:?}: {} with {:?}", document, path, duplicates);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn another_parser_agrees_on_any_pieces(document in document()) {
        compare(&document)?;
    }

    #[test]
    fn another_parser_agrees_on_values(document in nested()) {
        compare(&document)?;
    }

    /// No input causes a panic, and results never depend on cuts.
    #[test]
    fn any_bytes_have_one_result(mut document in nested().prop_map(String::into_bytes), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        for (at, byte) in changes {
            let at = at.index(document.len());
            document[at] = byte;
        }
        scan_everywhere(&query(PATHS, Duplicates::Reject), &document);
    }
}
