//! Path templates: `/orgs/{key}`, `/*/tenants/{key}`.

use std::fmt;
use std::str::FromStr;

use crate::reason::Reason;

/// A path template. `{key}` captures one segment, `*` matches any one segment, and other text matches itself. A path may
/// continue after the template's last segment.
///
/// `/orgs/` does not match `/orgs/{key}`: to servers it is `/orgs`, or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: Box<str>,
    segments: Vec<TemplateSegment>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum TemplateSegment {
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
    /// It does not have exactly one `{key}`.
    #[error("expected exactly one `{{key}}` segment, such as `/orgs/{{key}}`")]
    NotOneKey,
    /// A segment has a brace, star, question mark or hash as literal text.
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
                "{key}" => Ok(TemplateSegment::Key),
                "*" => Ok(TemplateSegment::Any),
                literal if literal.contains(['{', '}', '*', '?', '#']) => Err(BadTemplate::BadSegment(literal.into())),
                literal => Ok(TemplateSegment::Literal(literal.into())),
            })
            .collect::<Result<Vec<_>, _>>()?;
        if segments.iter().filter(|segment| **segment == TemplateSegment::Key).count() != 1 {
            return Err(BadTemplate::NotOneKey);
        }
        Ok(Self { text: text.into(), segments })
    }
}

impl Template {
    /// The segment at `{key}`, still percent-encoded, if the path matches.
    ///
    /// Some servers ignore path parameters (`/orgs;v=1/acme`, RFC 3986, 3.3) and others do not. So a path that matches without
    /// its parameters has no valid key. The same is true of an empty segment at `{key}` or `*`: some servers merge slashes, and
    /// the others find nothing there.
    #[must_use]
    pub fn capture<'a>(&self, path: &'a [u8]) -> Option<Result<&'a [u8], Reason>> {
        let mut rest = path.strip_prefix(b"/")?.split(|byte| *byte == b'/').peekable();
        let (mut key, mut differs) = (None, false);
        for segment in &self.segments {
            let actual = rest.next()?;
            let plain = actual.split(|byte| *byte == b';').next().unwrap_or_default();
            differs |= plain.len() < actual.len();
            if actual.is_empty() && !matches!(segment, TemplateSegment::Literal(_)) {
                // Without a slash behind it, the segment is the end of `/orgs/`.
                rest.peek()?;
                differs = true;
            }
            match segment {
                TemplateSegment::Literal(literal) if literal.as_bytes() != plain => return None,
                TemplateSegment::Literal(_) | TemplateSegment::Any => {}
                TemplateSegment::Key => key = Some(plain),
            }
        }
        if differs { Some(Err(Reason::KeyMalformed)) } else { key.map(Ok) }
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
    fn one_segment_is_captured() {
        assert_eq!(capture("/{key}", "/a"), Some("a"));
        for (template, path) in [("/{key}", "/"), ("/v1/{key}", "/v1/"), ("/v1/*/{key}", "/v1/x/"), ("/*/{key}", "/")] {
            assert_eq!(capture(template, path), None, "{template} on {path}");
        }
        for (template, path) in
            [("/{key}", "//a"), ("/v1/{key}", "/v1//"), ("/v1/{key}", "/v1//a"), ("/*/{key}", "//a")]
        {
            assert_eq!(capture(template, path), Some("malformed"), "{template} on {path}");
        }
        assert_eq!(capture("/v1/{key}/x", "/v1//y"), None);
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
