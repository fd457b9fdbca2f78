//! Path templates: `/orgs/{key}`, `/*/tenants/{key}`.

use std::fmt;
use std::str::FromStr;

use crate::reason::Reason;

/// A path template. `{key}` captures one segment, `*` stands for any one segment, everything else for itself.
/// A path that goes on after the template's last segment matches too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: Box<str>,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    Any,
    Key,
}

/// The text is not a template.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    /// It has no leading slash.
    #[error("expected a path template that starts with `/`, such as `/orgs/{{key}}`")]
    NoSlash,
    /// `{key}` does not occur exactly once.
    #[error("expected exactly one `{{key}}` segment, such as `/orgs/{{key}}`")]
    NotOneKey,
    /// A segment has a stray brace, star, question mark or hash.
    #[error("segment `{0}`: expected `{{key}}`, `*` or literal text without `{{`, `}}`, `*`, `?` and `#`")]
    BadSegment(Box<str>),
}

impl FromStr for Template {
    type Err = BadTemplate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = text.strip_prefix('/').ok_or(BadTemplate::NoSlash)?;
        let segments = path
            .split('/')
            .map(|segment| match segment {
                "{key}" => Ok(Segment::Key),
                "*" => Ok(Segment::Any),
                literal if literal.contains(['{', '}', '*', '?', '#']) => Err(BadTemplate::BadSegment(literal.into())),
                literal => Ok(Segment::Literal(literal.into())),
            })
            .collect::<Result<Vec<_>, _>>()?;
        if segments.iter().filter(|segment| **segment == Segment::Key).count() != 1 {
            return Err(BadTemplate::NotOneKey);
        }
        Ok(Self { text: text.into(), segments })
    }
}

impl Template {
    /// The segment at `{key}`, still percent-encoded, if the path matches.
    ///
    /// Servers with path parameters (`/orgs;v=1/acme`, RFC 3986, 3.3) read a path without them, others with them; so a path
    /// that matches without them has them, and no key.
    #[must_use]
    pub fn capture<'a>(&self, path: &'a [u8]) -> Option<Result<&'a [u8], Reason>> {
        let mut rest = path.strip_prefix(b"/")?.split(|byte| *byte == b'/');
        let (mut key, mut has_parameters) = (None, false);
        for segment in &self.segments {
            let actual = rest.next()?;
            let plain = actual.split(|byte| *byte == b';').next().unwrap_or_default();
            has_parameters |= plain.len() < actual.len();
            match segment {
                Segment::Literal(literal) if literal.as_bytes() != plain => return None,
                Segment::Literal(_) | Segment::Any => {}
                Segment::Key => key = Some(plain),
            }
        }
        if has_parameters { Some(Err(Reason::KeyMalformed)) } else { key.map(Ok) }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture<'a>(template: &str, path: &'a str) -> Option<&'a str> {
        let key = template.parse::<Template>().unwrap().capture(path.as_bytes())?;
        Some(key.map_or("malformed", |key| std::str::from_utf8(key).unwrap()))
    }

    #[test]
    fn captures_one_segment() {
        assert_eq!(capture("/{key}", "/a"), Some("a"));
        assert_eq!(capture("/{key}", "/"), Some(""));
        assert_eq!(capture("/v1/*/{key}/x", "/v1/any/a/x/more"), Some("a"));
        assert_eq!(capture("/v1/*/{key}/x", "/v1/any/a/y"), None);
        assert_eq!(capture("/v1/{key}", "/v1"), None);
        assert_eq!(capture("/v1/{key}", "v1/a"), None);
        assert_eq!(capture("/v1/{key}", "/v1;x=y/a"), Some("malformed"));
        assert_eq!(capture("/v1/{key}", "/v1/a;x=y"), Some("malformed"));
        assert_eq!(capture("/v1/{key}", "/v1/a/b;x=y"), Some("a"));
        assert_eq!(capture("/v1/{key}", "/v2;x=y/a"), None);
    }

    #[test]
    fn bad_templates_are_refused() {
        assert_eq!("orgs/{key}".parse::<Template>(), Err(BadTemplate::NoSlash));
        assert_eq!("/orgs".parse::<Template>(), Err(BadTemplate::NotOneKey));
        assert_eq!("/{key}/{key}".parse::<Template>(), Err(BadTemplate::NotOneKey));
        assert_eq!("/a{key}".parse::<Template>(), Err(BadTemplate::BadSegment("a{key}".into())));
        assert_eq!("/{id}/{key}".parse::<Template>(), Err(BadTemplate::BadSegment("{id}".into())));
    }
}
