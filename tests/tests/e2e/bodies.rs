//! JSON bodies of an exact size with the key or the end at a chosen offset. The key is `acme`, whose cell is `cell-b`
//! (`options::sample_config`).

const TENANT: &str = r#""tenant":{"id":"acme"}"#;

/// `size` bytes with the key in the first 30, a string of padding, and `end` after its closing quote.
pub(crate) fn key_first_then(size: usize, end: &str) -> Vec<u8> {
    padded(&format!("{{{TENANT},\"x\":\""), &format!("\"{end}"), size)
}

/// `size` bytes with the first byte of the key at the offset `at`, and `end` after the padding's closing quote.
pub(crate) fn key_at(at: usize, size: usize, end: &str) -> Vec<u8> {
    let value = TENANT.find("acme").unwrap();
    let start = padded("{\"x\":\"", "\",", at - value);
    let rest = key_first_then(size - start.len() + 1, end);
    [&start, &rest[1..]].concat()
}

fn padded(start: &str, end: &str, size: usize) -> Vec<u8> {
    let mut body = start.as_bytes().to_vec();
    body.resize(size - end.len(), b'p');
    body.extend_from_slice(end.as_bytes());
    body
}

#[test]
fn sizes_and_offsets_are_exact() {
    for body in [key_first_then(100, "}"), key_at(60, 100, "}")] {
        assert_eq!(body.len(), 100);
        let document: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(document["tenant"]["id"], "acme");
    }
    assert_eq!(&key_at(60, 100, "}")[60..64], b"acme");
    assert!(key_at(60, 100, ",]").ends_with(b"p\",]"));
}
