//! The path to an element's text or to an attribute.

use std::fmt;
use std::str::FromStr;

use super::characters::is_local_name;

/// A path of elements from the root inwards, and an attribute at its end if `@` says so.
///
/// A step is `name` (in no namespace), `{NAMESPACE}name`, `{*}name` (in any namespace or none), or `*` (any element).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElementPath {
    pub(super) elements: Vec<NameTest>,
    pub(super) attribute: Option<NameTest>,
}

/// Which names a step of a path stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NameTest {
    /// The namespace's name, empty for none. `None` stands for any.
    namespace: Option<Box<str>>,
    /// `None` stands for any.
    pub(super) local: Option<Box<str>>,
}

/// The text is not a path of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadElementPath {
    /// It has no leading slash, or no element.
    #[error("expected a path of elements such as `/order/tenant` or `/order/@tenant`")]
    NoElement,
    /// A step is not a name.
    #[error("expected `name`, `{{NAMESPACE}}name`, `{{*}}name` or `*` in each step of a path of elements")]
    BadName,
    /// A name has a prefix.
    #[error(
        "a path of elements has no prefixes, because documents choose their own: write `{{NAMESPACE}}name`, or `{{*}}name` \
         for any namespace"
    )]
    Prefix,
    /// A `{` has no `}`.
    #[error("expected `}}` behind the namespace in a path of elements")]
    OpenBrace,
    /// A step before the last one is an attribute.
    #[error("expected an attribute only at the end of a path of elements")]
    AttributeNotLast,
    /// More steps than [`ElementPath::MAX_STEPS`].
    #[error("expected at most {} steps in a path of elements", ElementPath::MAX_STEPS)]
    TooLong,
}

impl ElementPath {
    /// The most steps that a path may have, an attribute included.
    pub const MAX_STEPS: usize = 16;
}

impl NameTest {
    /// Whether any element passes. Elements that do are the items of a list.
    pub(super) fn is_any(&self) -> bool {
        self.local.is_none()
    }

    /// `namespace` is empty for a name in no namespace.
    pub(super) fn matches(&self, namespace: &str, local: &str) -> bool {
        self.local.as_deref().is_none_or(|wanted| wanted == local)
            && self.namespace.as_deref().is_none_or(|wanted| wanted == namespace)
    }

    /// Reads a step at the beginning of `text`. Returns the rest, which is empty or begins with a slash.
    fn read(text: &str) -> Result<(Self, &str), BadElementPath> {
        let (namespace, text) = match text.strip_prefix('{') {
            Some(text) => {
                let (namespace, text) = text.split_once('}').ok_or(BadElementPath::OpenBrace)?;
                (Some(namespace), text)
            }
            None => (None, text),
        };
        let (name, rest) = text.split_at(text.find('/').unwrap_or(text.len()));
        let local = match name {
            "*" => None,
            _ if is_local_name(name) => Some(name.into()),
            _ if name.split(':').all(is_local_name) => return Err(BadElementPath::Prefix),
            _ => return Err(BadElementPath::BadName),
        };
        let namespace = match namespace {
            Some("*") => None,
            Some(namespace) => Some(namespace.into()),
            None if local.is_none() => None,
            None => Some("".into()),
        };
        Ok((Self { namespace, local }, rest))
    }
}

impl FromStr for ElementPath {
    type Err = BadElementPath;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut path = Self { elements: Vec::new(), attribute: None };
        let mut rest = text;
        while !rest.is_empty() {
            rest = rest.strip_prefix('/').ok_or(BadElementPath::NoElement)?;
            if path.attribute.is_some() {
                return Err(BadElementPath::AttributeNotLast);
            }
            if path.elements.len() == Self::MAX_STEPS {
                return Err(BadElementPath::TooLong);
            }
            let name = rest.strip_prefix('@');
            let (test, after) = NameTest::read(name.unwrap_or(rest))?;
            rest = after;
            match name {
                None => path.elements.push(test),
                Some(_) if test.is_any() => return Err(BadElementPath::BadName),
                Some(_) => path.attribute = Some(test),
            }
        }
        if path.elements.is_empty() { Err(BadElementPath::NoElement) } else { Ok(path) }
    }
}

impl fmt::Display for NameTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.namespace.as_deref(), self.local.as_deref()) {
            (None, None) => f.write_str("*"),
            (None, Some(local)) => write!(f, "{{*}}{local}"),
            (Some(""), Some(local)) => f.write_str(local),
            (Some(namespace), local) => write!(f, "{{{namespace}}}{}", local.unwrap_or("*")),
        }
    }
}

impl fmt::Display for ElementPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.elements.iter().try_for_each(|test| write!(f, "/{test}"))?;
        self.attribute.iter().try_for_each(|test| write!(f, "/@{test}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_back() {
        for path in [
            "/order/tenant",
            "/order/@tenant",
            "/{http://schemas.xmlsoap.org/soap/envelope/}Envelope/{*}Body/*/tenant",
            "/{urn:a/b}*/@{urn:c}d",
            "/order/@{*}tenant",
            "/été",
        ] {
            assert_eq!(path.parse::<ElementPath>().unwrap().to_string(), path);
        }
        assert_eq!("/{}a/{*}*".parse::<ElementPath>(), "/a/*".parse());
        assert!("/a".repeat(16).parse::<ElementPath>().is_ok());
    }

    #[test]
    fn other_texts_have_an_error() {
        for (path, error) in [
            ("", BadElementPath::NoElement),
            ("order", BadElementPath::NoElement),
            ("/@tenant", BadElementPath::NoElement),
            ("/", BadElementPath::BadName),
            ("/a/", BadElementPath::BadName),
            ("//a", BadElementPath::BadName),
            ("/a/@*", BadElementPath::BadName),
            ("/a[1]", BadElementPath::BadName),
            ("/a/text()", BadElementPath::BadName),
            ("/1", BadElementPath::BadName),
            ("/{urn:a}", BadElementPath::BadName),
            ("/soap:Envelope", BadElementPath::Prefix),
            ("/a/@xml:lang", BadElementPath::Prefix),
            ("/{urn:a", BadElementPath::OpenBrace),
            ("/a/@b/c", BadElementPath::AttributeNotLast),
        ] {
            assert_eq!(path.parse::<ElementPath>(), Err(error), "{path}");
        }
        assert_eq!("/a".repeat(17).parse::<ElementPath>(), Err(BadElementPath::TooLong));
        assert_eq!(format!("{}/@b", "/a".repeat(16)).parse::<ElementPath>(), Err(BadElementPath::TooLong));
    }

    #[test]
    fn a_name_without_a_namespace_is_in_none() {
        let test = |text| NameTest::read(text).unwrap().0;
        assert!(test("a").matches("", "a") && !test("a").matches("urn:x", "a") && !test("a").matches("", "A"));
        assert!(test("{urn:x}a").matches("urn:x", "a") && !test("{urn:x}a").matches("", "a"));
        assert!(test("{*}a").matches("urn:x", "a") && test("{*}a").matches("", "a") && !test("{*}a").matches("", "b"));
        assert!(test("*").matches("urn:x", "a") && test("*").matches("", "b"));
        assert!(test("{urn:x}*").matches("urn:x", "a") && !test("{urn:x}*").matches("", "a"));
    }
}
