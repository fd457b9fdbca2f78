//! Head sources: headers, cookies, query parameters and path segments.

use std::borrow::Cow;

use super::Template;
use super::encoding::{Plus, decode};
use crate::format::Format;
use crate::head::Head;
use crate::key::Duplicates;
use crate::reason::Reason;
use crate::scope::{path_of, query_of};
use crate::value::KeyRule;

type FoundBytes<'a> = Option<Result<Cow<'a, [u8]>, Reason>>;

/// The value of a header. A comma separates two values, because Envoy and the proxies before it may join fields with the
/// same name (RFC 9110, 5.3). A value in which the rule finds nothing does not count.
///
/// A header with a document has one value for each field, because documents have commas of their own. Two documents that
/// were joined are not a document.
pub(super) fn header<'a, H: Head + ?Sized>(
    head: &'a H,
    name: &str,
    duplicates: Duplicates,
    rule: &KeyRule,
) -> FoundBytes<'a> {
    let is_document = rule.nested_format().is_some();
    let values = head.values(name).flat_map(|field| field.split(move |byte| *byte == b',' && !is_document));
    let values = values.map(<[u8]>::trim_ascii).filter(|value| rule.concerns(value));
    duplicates.pick(values.map(Cow::Borrowed))
}

/// The value of a cookie. Servers differ on quotes, escapes and spaces, so a value with one cannot be a key.
///
/// JSON is percent-encoded, because its quotes are not allowed in a cookie (RFC 6265, 4.1.1). A server that does not decode
/// it has no JSON. Some servers read `+` as a space.
pub(super) fn cookie<'a, H: Head + ?Sized>(
    head: &'a H,
    name: &str,
    duplicates: Duplicates,
    rule: &KeyRule,
) -> FoundBytes<'a> {
    let is_encoded = matches!(rule.nested_format(), Some(Format::Json | Format::Ndjson));
    let pairs = head.values("cookie").flat_map(|value| value.split(|byte| *byte == b';'));
    let values = pairs.filter_map(|pair| {
        let (pair_name, value) = split_pair(pair);
        if pair_name.trim_ascii() == name.as_bytes() { value } else { None }
    });
    Some(duplicates.pick(values)?.and_then(|value| {
        let differs = |byte: &u8| match byte {
            b'"' | b',' | b'\\' | b' ' | b'\t' => true,
            b'%' => !is_encoded,
            b'+' => is_encoded,
            _ => false,
        };
        if value.iter().any(differs) {
            Err(Reason::KeyMalformed)
        } else if is_encoded {
            decode(value, Plus::Plus)
        } else {
            Ok(Cow::Borrowed(value))
        }
    }))
}

pub(super) fn query<'a, H: Head + ?Sized>(head: &'a H, name: &str, duplicates: Duplicates) -> FoundBytes<'a> {
    let pairs = query_of(head).split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(split_pair);
    // A parameter without `=` has an empty value.
    let values =
        pairs.filter(|(pair_name, _)| decode(pair_name, Plus::Space).is_ok_and(|decoded| *decoded == *name.as_bytes()));
    let picked = duplicates.pick(values.map(|(_, value)| value.unwrap_or_default()))?;
    Some(picked.and_then(|value| decode(value, Plus::Space)))
}

pub(super) fn path<'a, H: Head + ?Sized>(head: &'a H, template: &Template) -> FoundBytes<'a> {
    template.capture(path_of(head)).map(|segment| decode(segment?, Plus::Plus))
}

fn split_pair(pair: &[u8]) -> (&[u8], Option<&[u8]>) {
    match pair.iter().position(|byte| *byte == b'=') {
        Some(equals) => {
            let (name, rest) = pair.split_at(equals);
            (name, rest.get(1..))
        }
        None => (pair, None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Place, Source};
    use super::*;

    fn find(source: &Source, fields: &[(&str, &str)], duplicates: Duplicates) -> Option<Result<String, Reason>> {
        source.find(fields, duplicates, &KeyRule::whole(32))
    }

    fn reject(source: &Source, fields: &[(&str, &str)]) -> Option<Result<String, Reason>> {
        find(source, fields, Duplicates::Reject)
    }

    fn ok(key: &str) -> Option<Result<String, Reason>> {
        Some(Ok(key.to_owned()))
    }

    #[test]
    fn a_header_has_one_value_per_field_and_comma() {
        let source = Source::from(Place::Header("x-tenant".into()));
        assert_eq!(reject(&source, &[("x-tenant", "a")]), ok("a"));
        assert_eq!(reject(&source, &[("x-tenants", "a")]), None);
        assert_eq!(reject(&source, &[("x-tenant", "")]), Some(Err(Reason::KeyEmpty)));
        let twice = [("x-tenant", "a"), ("x-tenant", "b")];
        assert_eq!(reject(&source, &twice), Some(Err(Reason::KeyDuplicated)));
        assert_eq!(find(&source, &twice, Duplicates::First), ok("a"));
        assert_eq!(find(&source, &twice, Duplicates::Last), ok("b"));
        assert_eq!(reject(&source, &[("x-tenant", "a, b")]), Some(Err(Reason::KeyDuplicated)));
        assert_eq!(find(&source, &[("x-tenant", "a, b")], Duplicates::Last), ok("b"));
    }

    #[test]
    fn a_query_parameter_is_decoded() {
        let source = Source::from(Place::Query("t id".into()));
        assert_eq!(reject(&source, &[(":path", "/?a=1&t+id=x%20y&b")]), ok("x y"));
        assert_eq!(reject(&source, &[(":path", "/?t%20id")]), Some(Err(Reason::KeyEmpty)));
        assert_eq!(reject(&source, &[(":path", "/?t%20id=%f")]), Some(Err(Reason::KeyMalformed)));
        assert_eq!(reject(&source, &[(":path", "/?t+id=a&t%20id=a")]), Some(Err(Reason::KeyDuplicated)));
        assert_eq!(reject(&source, &[(":path", "/t+id=a")]), None);
        assert_eq!(reject(&source, &[(":path", "/?t+id=%ff")]), Some(Err(Reason::KeyInvalidUtf8)));
    }

    #[test]
    fn a_cookie_is_not_decoded() {
        let source = Source::from(Place::Cookie("tenant".into()));
        assert_eq!(reject(&source, &[("cookie", "a=\"b\"; tenant=x=y; c")]), ok("x=y"));
        assert_eq!(reject(&source, &[("cookie", "tenant")]), None);
        assert_eq!(reject(&source, &[("cookie", "tenant=")]), Some(Err(Reason::KeyEmpty)));
        for spelled in ["tenant=\"a\"", "tenant= a", "tenant=%61", "tenant=a b", "tenant=a,b", "tenant=a\\b"] {
            assert_eq!(reject(&source, &[("cookie", spelled)]), Some(Err(Reason::KeyMalformed)), "{spelled}");
        }
        assert_eq!(reject(&source, &[("cookie", "tenant =b; tenant=a")]), Some(Err(Reason::KeyDuplicated)));
        let twice = [("cookie", "tenant=a"), ("cookie", "tenant=b")];
        assert_eq!(reject(&source, &twice), Some(Err(Reason::KeyDuplicated)));
    }

    #[test]
    fn a_path_segment_is_decoded() {
        let source = Source::from(Place::Path("/orgs/{key}".parse().unwrap()));
        assert_eq!(reject(&source, &[(":path", "/orgs/a+b%2Fc/users?x=/orgs/z")]), ok("a+b/c"));
        for missing in ["/orgs", "/orgs/", "/orgs/?x"] {
            assert_eq!(reject(&source, &[(":path", missing)]), None, "{missing}");
        }
        assert_eq!(reject(&source, &[(":path", "/users/a")]), None);
    }
}
