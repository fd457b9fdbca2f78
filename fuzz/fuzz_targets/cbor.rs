//! The CBOR scanner against the RFC's algorithm, ciborium and the oracle of the JSON scanner, at every cut.
//!
//! The first byte of the input chooses the query, and the rest is the document.
#![no_main]

#[path = "../../routing/tests/support/cbor.rs"]
mod cbor;
#[allow(dead_code, reason = "the scanner of JSON is not run here")]
#[path = "../../routing/tests/support/oracle.rs"]
mod oracle;
#[path = "../../routing/tests/support/tree.rs"]
mod tree;
#[path = "../../routing/tests/support/well_formed.rs"]
mod well_formed;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Some((choice, document)) = input.split_first() {
        cbor::check(&tree::query(*choice), document);
    }
});
