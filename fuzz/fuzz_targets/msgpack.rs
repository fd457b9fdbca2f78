//! The MessagePack scanner against rmpv, rmp-serde and the oracle of the JSON scanner, at every cut.
//!
//! The first byte of the input chooses the query, and the rest is the document.
#![no_main]

#[path = "../../routing/tests/support/msgpack.rs"]
mod msgpack;
#[allow(dead_code, reason = "the scanner of JSON is not run here")]
#[path = "../../routing/tests/support/oracle.rs"]
mod oracle;
#[path = "../../routing/tests/support/tree.rs"]
mod tree;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Some((choice, document)) = input.split_first() {
        msgpack::check(&tree::query(*choice), document);
    }
});
