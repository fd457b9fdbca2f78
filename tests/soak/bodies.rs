//! The bodies: good ones in three shapes, and bad ones.

use cellgate_bench_documents::{KeyAt, Kind, document};

/// What a good body looks like.
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

/// What is wrong with a bad one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// No source holds a key.
    Missing,
    /// The key stands at the beginning, and another one at the end.
    Duplicated,
    /// The key stands at the beginning, and the end is no JSON.
    Malformed,
    /// It says that it is compressed.
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

    /// The status and code that the documentation's default policy gives it.
    pub(crate) fn answer(self) -> (u16, &'static str) {
        match self {
            Self::Missing => (421, "key_missing"),
            Self::Duplicated => (400, "key_duplicated"),
            Self::Malformed => (400, "body_malformed"),
            Self::Encoded => (415, "body_encoded"),
        }
    }
}

/// A body of exactly `size` bytes, of at least 100, that names `tenant` once.
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

/// `start`, then as much of `filling` again and again as makes `size` bytes, then `end`. A piece that does not fit
/// whole gives way to letters.
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
    fn good_bodies_name_the_tenant_once_and_are_as_long_as_asked_for() {
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
    fn bad_bodies_are_bad() {
        let parsed = |flaw| serde_json::from_str::<Value>(&flawed(flaw, 4096));
        assert_eq!(parsed(Flaw::Missing).unwrap()["tenant"]["id"], Value::Null);
        assert_eq!(flawed(Flaw::Duplicated, 4096).matches(r#""tenant":{"id":"#).count(), 2);
        assert!(parsed(Flaw::Malformed).is_err());
    }
}
