use proptest::prelude::*;

use super::*;
use crate::key::Duplicates;

const LIMITS: ScanLimits = ScanLimits {
    duplicates: Duplicates::Reject,
    depth: 8,
    key_bytes: 16,
    accepted: crate::document::AcceptedFaults::NONE,
};

fn rule(part: Option<&str>, case: Case, then: Option<&str>) -> KeyRule {
    let part = part.map(|text| text.parse().unwrap());
    let then = then.map(|pointer| Box::new(Place::Json(pointer.parse().unwrap())));
    KeyRule::new(&ValueRule { then, part, case }, LIMITS)
}

fn read(rule: &KeyRule, value: &[u8]) -> Option<Result<String, Reason>> {
    rule.read(value).map(|found| found.map(Cow::into_owned))
}

fn read_in_pieces(rule: &KeyRule, value: &[u8], size: usize) -> Option<Result<String, Reason>> {
    let mut reader = rule.reader();
    value.chunks(size).for_each(|piece| reader.push(piece));
    reader.finish(rule)
}

#[test]
fn only_ascii_letters_become_lower_case() {
    let lower = rule(None, Case::Lower, None);
    assert_eq!(read(&lower, "ACME-Å1".as_bytes()), Some(Ok("acme-Å1".to_owned())));
    assert_eq!(read(&lower, "İSTANBUL".as_bytes()), Some(Ok("İstanbul".to_owned())));
    assert_eq!(read(&rule(None, Case::Exact, None), b"ACME"), Some(Ok("ACME".to_owned())));
}

#[test]
fn a_part_is_checked_like_a_key() {
    let part = rule(Some("t:{key}:*"), Case::Exact, None);
    for (value, expected) in [
        ("t:acme:x", Some(Ok("acme"))),
        ("t::x", Some(Err(Reason::KeyEmpty))),
        ("t:acme", None),
        ("t:12345678901234567:", Some(Err(Reason::KeyTooLong))),
        ("t:a\n:", Some(Err(Reason::KeyControlCharacter))),
    ] {
        assert_eq!(read(&part, value.as_bytes()), expected.map(|found| found.map(str::to_owned)), "{value:?}");
    }
    assert_eq!(read(&part, b"t:\xff:"), Some(Err(Reason::KeyInvalidUtf8)));
    assert_eq!(read(&part, b"t:a:\xff"), Some(Ok("a".to_owned())));
}

#[test]
fn a_value_that_is_too_long_counts_if_it_begins_like_the_template() {
    let part = rule(Some("t:{key}:*"), Case::Exact, None);
    for (start, expected) in [("t:a:", Some(Err(Reason::KeyTooLong))), ("u:a:", None)] {
        let value = format!("{start}{}", "x".repeat(MAX_VALUE));
        assert_eq!(read(&part, value.as_bytes()), expected, "{start}");
        for size in [1, 1000, MAX_VALUE, MAX_VALUE + 1] {
            assert_eq!(read_in_pieces(&part, value.as_bytes(), size), expected, "{start} in pieces of {size}");
        }
        let mut reader = part.reader();
        (0..1000).for_each(|_| reader.push(&[b'x'; 1000]));
        assert!(matches!(reader, ValueReader::Text { bytes, .. } if bytes.len() == MAX_VALUE + 1));
    }
}

proptest! {
    #[test]
    fn a_value_in_pieces_is_read_like_a_whole_one(
        value in r#"(t:|a|:|é|[{]"k":|"|[}]|A){0,12}"#,
        size in 1..8_usize,
        lower: bool,
        kind in 0..3,
    ) {
        let case = if lower { Case::Lower } else { Case::Exact };
        let rule = match kind {
            0 => rule(None, case, None),
            1 => rule(Some("t:{key}:*"), case, None),
            _ => rule(None, case, Some("/k")),
        };
        prop_assert_eq!(read_in_pieces(&rule, value.as_bytes(), size), read(&rule, value.as_bytes()));
    }
}
