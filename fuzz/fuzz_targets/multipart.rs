//! Multipart forms, at every cut. The boundary is `b`.
#![no_main]

mod every_cut;

use std::sync::LazyLock;

use cellgate_routing::Decider;
use libfuzzer_sys::fuzz_target;

static DECIDER: LazyLock<Decider> = LazyLock::new(|| every_cut::decider(r#"[{"multipart":"t"}]"#));

fuzz_target!(|body: &[u8]| {
    every_cut::decide(&DECIDER, &every_cut::head("multipart/form-data; boundary=b"), body);
});
