//! Path templates: `/orgs/{key}`, `/*/tenants/{key}`.

use std::fmt;
use std::str::FromStr;

use super::encoding::{Plus, decode_valid};
use crate::reason::Reason;

/// A path template. `{key}` captures one segment, `*` matches any one segment, and other text matches itself. A path may
/// continue after the template's last segment. A [`pattern`](Template::pattern) has no `{key}`.
///
/// `/orgs/` does not match `/orgs/{key}`: to servers it is `/orgs`, or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: Box<str>,
    segments: Vec<TemplateSegment>,
    escaped_slashes: EscapedSlashes,
}

/// The meaning of an escaped slash or backslash (`%2F`, `%5C`) in a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EscapedSlashes {
    /// Servers differ on it, so the path has no valid key.
    #[default]
    Reject,
    /// It is a character of its segment, as to servers that split the path before they decode it.
    Keep,
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
    /// It has a `{key}`, and nothing is captured here.
    #[error("`{{key}}` captures nothing here: write `*` for any one segment")]
    CapturesNothing,
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
        let template = Self::parse(text)?;
        if template.keys() == 1 { Ok(template) } else { Err(BadTemplate::NotOneKey) }
    }
}

impl Template {
    /// A template without `{key}`, to tell paths apart.
    ///
    /// # Errors
    /// The text is not such a template.
    pub fn pattern(text: &str) -> Result<Self, BadTemplate> {
        let template = Self::parse(text)?;
        if template.keys() == 0 { Ok(template) } else { Err(BadTemplate::CapturesNothing) }
    }

    fn keys(&self) -> usize {
        self.segments.iter().filter(|segment| **segment == TemplateSegment::Key).count()
    }

    fn parse(text: &str) -> Result<Self, BadTemplate> {
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
        Ok(Self { text: text.into(), segments, escaped_slashes: EscapedSlashes::default() })
    }

    /// The template with this meaning of escaped slashes.
    #[must_use]
    pub fn with_escaped_slashes(self, escaped_slashes: EscapedSlashes) -> Self {
        Self { escaped_slashes, ..self }
    }

    /// The meaning of escaped slashes.
    #[must_use]
    pub fn escaped_slashes(&self) -> EscapedSlashes {
        self.escaped_slashes
    }

    /// The segment at `{key}`, still percent-encoded, if the path matches.
    ///
    /// Servers read some paths in different ways. If one of them may read a key, the path has no valid one:
    ///
    /// - Dot segments (RFC 3986, 5.2.4) move any segment to another place, wherever they are, also between escaped slashes.
    /// - Some servers merge slashes, take a backslash for a slash, or decode `%2F` before they split the path. Another
    ///   segment may then be at `{key}`. With [`EscapedSlashes::Keep`], the servers behind Envoy do not decode it before.
    /// - Some servers ignore path parameters (`/orgs;v=1/acme`, RFC 3986, 3.3).
    /// - Literal text may match in another case, or decoded.
    #[must_use]
    pub fn capture<'a>(&self, path: &'a [u8]) -> Option<Result<&'a [u8], Reason>> {
        self.find(path)?.transpose()
    }

    /// Whether a path matches. An error is a path that one server may match and another one not, as for
    /// [`Template::capture`].
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> Option<Result<(), Reason>> {
        Some(self.find(path)?.map(|_| ()))
    }

    fn find<'a>(&self, path: &'a [u8]) -> Option<Result<Option<&'a [u8]>, Reason>> {
        let mut rest = path.strip_prefix(b"/")?;
        if has_dot_segment(rest) {
            return Some(Err(Reason::KeyMalformed));
        }
        let (mut key, mut differs) = (None, false);
        let mut is_complete = false;
        for (index, segment) in self.segments.iter().enumerate() {
            if is_complete {
                return None;
            }
            let (actual, behind) = split_segment(rest);
            if self.splits_differently(actual) || (actual.is_empty() && behind.is_some()) {
                return self.may_match(index, rest).then_some(Err(Reason::KeyMalformed));
            }
            let plain = without_parameters(actual);
            differs |= plain.len() < actual.len();
            match segment {
                TemplateSegment::Literal(literal) if literal.as_bytes() == plain => {}
                TemplateSegment::Literal(literal) if is_alike(plain, literal) => differs = true,
                TemplateSegment::Literal(_) => return None,
                // The end of `/orgs/`.
                TemplateSegment::Any | TemplateSegment::Key if actual.is_empty() => return None,
                TemplateSegment::Any => {}
                TemplateSegment::Key => key = Some(plain),
            }
            is_complete = behind.is_none();
            rest = behind.unwrap_or_default();
        }
        if differs { Some(Err(Reason::KeyMalformed)) } else { Some(Ok(key)) }
    }

    /// Whether a server may take this segment for more than one.
    fn splits_differently(&self, segment: &[u8]) -> bool {
        let is_separator = |bytes: &[u8]| matches!(bytes, [b'%', b'2', b'f' | b'F'] | [b'%', b'5', b'c' | b'C']);
        let has_escaped = || segment.windows(3).any(is_separator);
        segment.contains(&b'\\') || (self.escaped_slashes == EscapedSlashes::Reject && has_escaped())
    }

    /// Whether the template may match from its segment `index` on, by a server that splits the path in its own way: whether
    /// its literal text comes in this order.
    #[cold]
    fn may_match(&self, index: usize, path: &[u8]) -> bool {
        let decoded = decode_valid(path, Plus::Plus);
        let mut segments = decoded.split(|byte| matches!(byte, b'/' | b'\\')).map(without_parameters);
        let mut literals = self.segments.iter().skip(index).filter_map(|segment| match segment {
            TemplateSegment::Literal(literal) if !literal.is_empty() => Some(literal),
            TemplateSegment::Literal(_) | TemplateSegment::Any | TemplateSegment::Key => None,
        });
        literals.all(|literal| segments.any(|segment| is_alike(segment, literal)))
    }
}

/// The first segment, and the path behind its slash if there is one.
fn split_segment(path: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'/', path) {
        None => (path, None),
        Some(slash) => (path.get(..slash).unwrap_or_default(), path.get(slash + 1..)),
    }
}

fn without_parameters(segment: &[u8]) -> &[u8] {
    segment.split(|byte| *byte == b';').next().unwrap_or_default()
}

/// Whether a server may take the segment for the literal text: one that ignores case, or compares decoded paths.
fn is_alike(segment: &[u8], literal: &str) -> bool {
    segment.eq_ignore_ascii_case(literal.as_bytes())
        || (segment.contains(&b'%') || literal.contains('%')) && {
            let decoded = |text| decode_valid(text, Plus::Plus);
            decoded(segment).eq_ignore_ascii_case(&decoded(literal.as_bytes()))
        }
}

/// Whether a server may find a segment `.` or `..` in the path.
fn has_dot_segment(path: &[u8]) -> bool {
    let may_have =
        |path: &[u8]| path.first() == Some(&b'.') || path.windows(2).any(|bytes| matches!(bytes, [b'/' | b'\\', b'.']));
    let is_dots = |segment: &[u8]| matches!(without_parameters(segment), b"." | b"..");
    let has_dots = |path: &[u8]| may_have(path) && path.split(|byte| matches!(byte, b'/' | b'\\')).any(is_dots);
    has_dots(path) || (path.contains(&b'%') && has_dots(&decode_valid(path, Plus::Plus)))
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
        capture_by(&template.parse().unwrap(), path)
    }

    fn capture_kept<'a>(template: &str, path: &'a str) -> Option<&'a str> {
        capture_by(&template.parse::<Template>().unwrap().with_escaped_slashes(EscapedSlashes::Keep), path)
    }

    fn capture_by<'a>(template: &Template, path: &'a str) -> Option<&'a str> {
        let key = template.capture(path.as_bytes())?;
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

    /// Envoy resolves dot segments with `normalize_path`, also `%2e`. Without it, the upstream may.
    #[test]
    fn a_path_with_a_dot_segment_has_no_valid_key() {
        for path in [
            "/v1/a/../b",
            "/v1/./a",
            "/v1/a/.",
            "/v1/a/x/../../../v1/b",
            "/x/../v1/b",
            "/./v1/b",
            "/v1/a/%2e%2E/b",
            "/v1/a/.%2e/b",
            "/v1/a/..%2fb",
            "/v1/a%2f..%2fb",
            "/v1/a/..\\b",
            "/v1/a/..;x=y/b",
            "/v1/..",
        ] {
            assert_eq!(capture("/v1/{key}", path), Some("malformed"), "{path}");
        }
        for path in ["/v1/a/.well-known/...", "/v1/a/..b/c./.d", "/v1/a/x.y/%2ea", "/v1/a?/../b"] {
            let path = path.split('?').next().unwrap();
            assert_eq!(capture("/v1/{key}", path), Some("a"), "{path}");
        }
    }

    /// Servers on WSGI and CGI split the decoded path. IIS takes a backslash for a slash.
    #[test]
    fn a_path_that_servers_split_differently_has_no_valid_key() {
        for (template, path) in [
            ("/v1/{key}", "/v1/a%2Fb"),
            ("/v1/{key}", "/v1/a%2fb/c"),
            ("/v1/{key}", "/v1%2Fb/a"),
            ("/v1/{key}", "//v1/b"),
            ("/v1/{key}", "/v1/a\\b"),
            ("/v1/{key}", "/v1%5cb"),
            ("/v1/{key}", "/%2Fv1/b"),
            ("/x/v1/{key}", "/x//v1/b"),
            ("/x/v1/{key}", "/x%2fV1/b"),
            ("/*/v1/{key}", "/a%2Fv1/v1/b"),
        ] {
            assert_eq!(capture(template, path), Some("malformed"), "{template} on {path}");
        }
        for path in ["/files/a%2Fb/v1", "//files/a", "/files//v1/a", "/x%2Fy/z"] {
            assert_eq!(capture("/v1/{key}", path), None, "{path}");
        }
        assert_eq!(capture("/v1/{key}", "/v1/a/b%2Fc//d\\e;f"), Some("a"));
    }

    /// GitLab and Express split the path before they decode it.
    #[test]
    fn an_escaped_slash_that_is_kept_is_part_of_its_segment() {
        for (template, path, key) in [
            ("/projects/{key}", "/projects/group%2Fname", "group%2Fname"),
            ("/projects/{key}/issues", "/projects/group%2fname/issues/7", "group%2fname"),
            ("/projects/{key}", "/projects/group%5Cname", "group%5Cname"),
            ("/sites/{key}", "/sites/https%3A%2F%2Facme.example%2F/pages", "https%3A%2F%2Facme.example%2F"),
            ("/*/projects/{key}", "/a%2Fb/projects/name", "name"),
        ] {
            assert_eq!(capture_kept(template, path), Some(key), "{template} on {path}");
            assert_eq!(capture(template, path), Some("malformed"), "{template} on {path}");
        }
        assert_eq!(capture_kept("/a%2Fb/{key}", "/a%2Fb/name"), Some("name"));
        for path in ["/v1%2Fb/a", "/%2Fv1/b", "/v1%5cb", "/v1%2Fa"] {
            assert_eq!(capture_kept("/v1/{key}", path), None, "{path}");
        }
    }

    #[test]
    fn other_paths_that_servers_read_differently_have_no_valid_key_if_escaped_slashes_are_kept() {
        for path in [
            "/v1/%2e%2e%2fb",
            "/v1/..%2Fb",
            "/v1/..%5Cb",
            "/v1/a%2F..%2Fb",
            "/v1/a%2f%2E%2e%5cb",
            "/v1/a%5C..",
            "/v1/a%2F.",
            "/v1/.%2Fa",
            "/v1/a%2F..%3Bx%2Fb",
            "/v1/a%2Fb;x=y",
            "/v1/a;x=y%2Fb",
            "/v1/a\\b",
            "/v1/a%2Fb/../c",
            "/v1/..",
            "//v1/a%2Fb",
            "/V1/a%2Fb",
        ] {
            assert_eq!(capture_kept("/v1/{key}", path), Some("malformed"), "{path}");
        }
        assert_eq!(capture_kept("/a%2Fb/{key}", "/a%2fb/c"), Some("malformed"));
        assert_eq!(capture_kept("/v1/{key}", "/v1/a%2F..b%2F.c%2F..."), Some("a%2F..b%2F.c%2F..."));
    }

    #[test]
    fn a_literal_in_another_spelling_has_no_valid_key() {
        for path in ["/%76%31/a", "/V1/a", "/v%31;x=y/a"] {
            assert_eq!(capture("/v1/{key}", path), Some("malformed"), "{path}");
        }
        assert_eq!(capture("/v1/{key}", "/%76%32/a"), None);
        assert_eq!(capture("/caf%C3%A9/{key}", "/caf%C3%A9/a"), Some("a"));
        assert_eq!(capture("/caf%C3%A9/{key}", "/caf%c3%a9/a"), Some("malformed"));
        assert_eq!(capture("/v1/{key}/", "/v1/a/"), Some("a"));
        assert_eq!(capture("/v1/{key}/", "/v1/a"), None);
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
