//! XML documents, at every cut. Each document that is accepted is one that roxmltree accepts, and a key that is found is
//! the text that it has there.
#![no_main]

mod every_cut;

use std::sync::LazyLock;

use cellgate_routing::{Decider, SourceValue};
use libfuzzer_sys::fuzz_target;

static DECIDER: LazyLock<Decider> = LazyLock::new(|| every_cut::decider(r#"[{"xml":"/a/t"},{"xml":"/a/@t"}]"#));

fuzz_target!(|body: &[u8]| {
    let (_, values) = every_cut::decide(&DECIDER, &every_cut::head("application/xml"), body);
    // A refused document has no values, and an empty body is no document.
    if values.is_empty() || body.is_empty() {
        return;
    }
    let text = std::str::from_utf8(body).expect("an accepted document is UTF-8");
    let document = roxmltree::Document::parse(text).unwrap_or_else(|error| panic!("roxmltree refuses it: {error}"));
    let root = document.root_element();
    if let Some(SourceValue::Key(key)) = values.first() {
        let elements: Vec<_> = root.children().filter(|node| is_plain(*node, "t")).collect();
        assert!(is_plain(root, "a") && elements.len() == 1, "{key}");
        let texts = elements[0].children().filter(|node| node.is_text());
        let text: String = texts.filter_map(|node| node.text()).collect();
        assert_eq!(text.trim_matches([' ', '\t', '\r', '\n']), key);
    }
});

/// Whether a node is an element of this name without a namespace.
fn is_plain(node: roxmltree::Node<'_, '_>, name: &str) -> bool {
    node.is_element() && node.tag_name().name() == name && node.tag_name().namespace().is_none()
}
