//! Tokens: the names of HTTP methods, headers, media types and cookies (RFC 9110, 5.6.2).

/// Whether a text is a token.
#[must_use]
pub fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_spaces_and_non_ascii_are_not_in_tokens() {
        assert!(is_token(b"X-Tenant_id.1"));
        for other in ["", "a b", "a:b", "a/b", "a=b", "a;b", "a\"", "é", "a\n"] {
            assert!(!is_token(other.as_bytes()), "{other:?}");
        }
    }
}
