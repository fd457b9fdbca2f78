//! The bodies of the soak test: valid ones in several shapes, and bad ones.

use cellgate_bench_documents::{KeyAt, Kind, document};

/// The content of a valid body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// JSON full of small objects.
    Dense,
    /// JSON that is one long string.
    LongString,
    /// JSON that is one long string full of escapes.
    Escapes,
    /// A URL-encoded form.
    Form,
}

/// The fault of a bad body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// No source has a key.
    Missing,
    /// A key at the start and another one at the end.
    Duplicated,
    /// A key at the start, and malformed JSON at the end.
    Malformed,
    /// A `content-encoding` of compressed data.
    Encoded,
}

impl Shape {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dense => "JSON, objects",
            Self::LongString => "JSON, one string",
            Self::Escapes => "JSON, escapes",
            Self::Form => "form",
        }
    }
}

impl Flaw {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Missing => "no key",
            Self::Duplicated => "two keys",
            Self::Malformed => "malformed",
            Self::Encoded => "encoded",
        }
    }

    /// The status and code of the default policy.
    pub(crate) fn answer(self) -> (u16, &'static str) {
        match self {
            Self::Missing => (400, "key_missing"),
            Self::Duplicated => (400, "key_duplicated"),
            Self::Malformed => (400, "body_malformed"),
            Self::Encoded => (415, "body_encoded"),
        }
    }
}

/// A body of exactly `size` bytes (at least 100) that has `tenant` once.
pub(crate) fn body(shape: Shape, size: usize, key: KeyAt, tenant: &str) -> String {
    match (shape, key) {
        (Shape::Dense, key) => document(Kind::Objects, size, key, tenant),
        (Shape::LongString, key) => document(Kind::Text, size, key, tenant),
        (Shape::Escapes, key) => document(Kind::Escaped, size, key, tenant),
        (Shape::Form, KeyAt::First) => padded(&format!("tenant_id={tenant}&a="), "field=some%20value+more&", "", size),
        (Shape::Form, KeyAt::Last) => padded("a=", "field=some%20value+more&", &format!("&tenant_id={tenant}"), size),
    }
}

/// A body of about `size` bytes.
pub(crate) fn flawed(flaw: Flaw, size: usize) -> String {
    let good = document(Kind::Objects, size, KeyAt::First, "acme");
    let open = good.strip_suffix('}').unwrap_or(&good);
    match flaw {
        Flaw::Missing => padded(r#"{"tenant":{"name":"acme"},"text":""#, "lorem ipsum ", r#""}"#, size),
        Flaw::Duplicated => format!(r#"{open},"tenant":{{"id":"globex"}}}}"#),
        Flaw::Malformed => format!("{open},]"),
        Flaw::Encoded => good,
    }
}

/// `start`, then repetitions of `filling` up to `size` bytes, then `end`. Letters replace a last repetition that does
/// not fit.
fn padded(start: &str, filling: &str, end: &str, size: usize) -> String {
    let room = size.saturating_sub(start.len() + end.len());
    let whole = filling.repeat(room / filling.len());
    format!("{start}{whole}{}{end}", "p".repeat(room - whole.len()))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn valid_bodies_have_the_tenant_once_and_the_requested_length() {
        for (size, key) in [(256, KeyAt::First), (257, KeyAt::Last), (65_536, KeyAt::Last)] {
            for shape in [Shape::Dense, Shape::LongString, Shape::Escapes] {
                let body = body(shape, size, key, "acme");
                assert_eq!(body.len(), size);
                assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["tenant"]["id"], "acme");
            }
            let form = body(Shape::Form, size, key, "acme");
            assert_eq!(form.len(), size);
            assert_eq!(form.split('&').filter(|pair| pair.starts_with("tenant_id=acme")).count(), 1);
        }
    }

    #[test]
    fn every_flaw_makes_a_body_bad() {
        let parsed = |flaw| serde_json::from_str::<Value>(&flawed(flaw, 4096));
        assert_eq!(parsed(Flaw::Missing).unwrap()["tenant"]["id"], Value::Null);
        assert_eq!(flawed(Flaw::Duplicated, 4096).matches(r#""tenant":{"id":"#).count(), 2);
        assert!(parsed(Flaw::Malformed).is_err());
    }
}
