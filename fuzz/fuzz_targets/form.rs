//! Forms, at every cut. A key that is found is the one that the crate `form_urlencoded` finds.
#![no_main]

mod every_cut;

use std::sync::LazyLock;

use cellgate_routing::{Decider, SourceValue};
use libfuzzer_sys::fuzz_target;

static DECIDER: LazyLock<Decider> = LazyLock::new(|| every_cut::decider(r#"[{"form":"t"}]"#));

fuzz_target!(|body: &[u8]| {
    let (_, values) = every_cut::decide(&DECIDER, &every_cut::head("application/x-www-form-urlencoded"), body);
    let fields = form_urlencoded::parse(body).filter(|(name, _)| name == "t").map(|(_, value)| value);
    let fields: Vec<_> = fields.collect();
    match values.first() {
        Some(SourceValue::Key(key)) => assert_eq!(fields, [key.as_str()]),
        Some(SourceValue::Nothing) => assert!(fields.is_empty(), "{fields:?}"),
        _ => {}
    }
});
