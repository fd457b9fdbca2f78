//! Templates of values and hosts. A key that is found, put into its template, gives the value again.
//!
//! The first line of the input is a host, the second a header's value.
#![no_main]

mod every_cut;

use std::sync::LazyLock;

use cellgate_routing::{Decider, SourceValue};
use libfuzzer_sys::fuzz_target;

/// The templates of the header's value, and the text before and after the key. The text may have `*` at its outer end.
const VALUES: [(&str, &str, &str); 4] =
    [("Bearer sk_{key}_*", "Bearer sk_", "_*"), ("*@{key}", "*@", ""), ("{key}", "", ""), ("t:{key}/*", "t:", "/*")];

static VALUE_DECIDERS: LazyLock<Vec<Decider>> = LazyLock::new(|| {
    VALUES.map(|(template, _, _)| every_cut::decider(&format!(r#"[{{"header":"x-t","value":"{template}"}}]"#))).into()
});

static HOST_DECIDER: LazyLock<Decider> = LazyLock::new(|| every_cut::decider(r#"[{"host":"t-{key}.*.example.com"}]"#));

fuzz_target!(|input: &[u8]| {
    let mut lines = input.splitn(2, |byte| *byte == b'\n');
    let (host, value) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    // White space around a field's value does not belong to it (RFC 9110, 5.5).
    let value = value.trim_ascii();
    let mut head = every_cut::head("text/plain");
    head.push((":authority", host.to_vec()));
    head.push(("x-t", value.to_vec()));

    if let Some(SourceValue::Key(key)) = every_cut::decide(&HOST_DECIDER, &head, b"").1.first() {
        let host = String::from_utf8_lossy(host).to_ascii_lowercase();
        let rest = host.strip_prefix(&format!("t-{key}.")).unwrap_or_else(|| panic!("{key} is not in {host}"));
        assert!(!key.contains('.') && rest.contains(".example.com"), "{key} in {host}");
    }
    for (decider, (template, before, after)) in VALUE_DECIDERS.iter().zip(VALUES) {
        let Some(SourceValue::Key(key)) = every_cut::decide(decider, &head, b"").1.first().cloned() else { continue };
        let middle = [before.trim_start_matches('*'), &key, after.trim_end_matches('*')].concat();
        let middle = middle.as_bytes();
        // A comma separates values, and those that do not match do not count.
        let is_match = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).any(|value| {
            match (before.starts_with('*'), after.ends_with('*')) {
                (false, false) => value == middle,
                (true, false) => value.ends_with(middle),
                (false, true) => value.starts_with(middle),
                (true, true) => value.windows(middle.len()).any(|window| window == middle),
            }
        });
        assert!(is_match, "{key} by {template} in {}", value.escape_ascii());
    }
});
