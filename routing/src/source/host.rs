//! Host templates: `{key}.example.com`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::head::Head;
use crate::host::{has_excess_colons, possible_hosts};
use crate::key::Duplicates;
use crate::reason::Reason;

/// A template for the host of a request. `{key}` captures a label or a part of one, `*` matches any one label, and other
/// labels match themselves, in any case. A host with more or fewer labels does not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostTemplate {
    /// Lower case.
    text: Box<str>,
    labels: Vec<TemplateLabel>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum TemplateLabel {
    Literal(Box<str>),
    Any,
    /// `{key}`, and the text of the label before it and behind it.
    Key(Box<str>, Box<str>),
}

/// The text is not a host template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHostTemplate {
    /// It does not have exactly one `{key}`.
    #[error("expected a host with exactly one `{{key}}`, such as `{{key}}.example.com`")]
    NotOneKey,
    /// No label is literal.
    #[error("expected a label without `{{key}}` and `*`, such as `example` in `{{key}}.example.com`")]
    NoDomain,
    /// A label cannot be that of a host.
    #[error(
        "label `{0}`: expected `*`, or at most 63 letters, digits, `-` and `_`, with or without `{{key}}`, and no port or trailing dot"
    )]
    BadLabel(Box<str>),
}

impl FromStr for HostTemplate {
    type Err = BadHostTemplate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.matches("{key}").count() != 1 {
            return Err(BadHostTemplate::NotOneKey);
        }
        let labels = text.split('.').map(TemplateLabel::parse).collect::<Result<Vec<_>, _>>()?;
        if !labels.iter().any(|label| matches!(label, TemplateLabel::Literal(_))) {
            return Err(BadHostTemplate::NoDomain);
        }
        Ok(Self { text: text.to_ascii_lowercase().into(), labels })
    }
}

impl HostTemplate {
    /// The text at `{key}` in one host, if it matches.
    fn capture<'a>(&self, host: &'a [u8]) -> Option<Result<&'a [u8], Reason>> {
        let mut actual = host.split(|byte| *byte == b'.');
        let mut key = None;
        for label in &self.labels {
            let actual = actual.next()?;
            match label {
                TemplateLabel::Literal(literal) if actual.eq_ignore_ascii_case(literal.as_bytes()) => {}
                TemplateLabel::Any if is_label(actual) => {}
                TemplateLabel::Literal(_) | TemplateLabel::Any => return None,
                TemplateLabel::Key(before, behind) => {
                    key = Some(between(actual, before.as_bytes(), behind.as_bytes())?)
                }
            }
        }
        let key = key.filter(|_| actual.next().is_none())?;
        Some(if key.iter().copied().all(is_letter) { Ok(key) } else { Err(Reason::KeyMalformed) })
    }
}

impl TemplateLabel {
    fn parse(text: &str) -> Result<Self, BadHostTemplate> {
        if text == "*" {
            return Ok(TemplateLabel::Any);
        }
        let lower = |text: &str| Box::from(text.to_ascii_lowercase());
        let (before, behind) = text.split_once("{key}").map_or((text, None), |(before, behind)| (before, Some(behind)));
        let is_valid = [before, behind.unwrap_or_default()].iter().all(|part| part.bytes().all(is_letter));
        match behind {
            Some(behind) if is_valid && before.len() + behind.len() < MAX_LABEL => {
                Ok(TemplateLabel::Key(lower(before), lower(behind)))
            }
            None if is_label(text.as_bytes()) => Ok(TemplateLabel::Literal(lower(text))),
            _ => Err(BadHostTemplate::BadLabel(text.into())),
        }
    }
}

impl fmt::Display for HostTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The longest label, in bytes (RFC 1035, 2.3.4).
const MAX_LABEL: usize = 63;

/// The key in the host that Envoy shows (`:authority`), in lower case. It is malformed if two hosts that Envoy may read in
/// the authority have two keys, and if the authority is not that of a host.
pub(super) fn host<'a, H: Head + ?Sized>(
    head: &'a H,
    template: &HostTemplate,
) -> Option<Result<Cow<'a, [u8]>, Reason>> {
    let authorities = head.values(":authority").filter(|authority| !authority.is_empty());
    let authority = match Duplicates::Reject.pick(authorities)? {
        Ok(authority) if !has_excess_colons(authority) => authority,
        Ok(_) => return Some(Err(Reason::KeyMalformed)),
        Err(reason) => return Some(Err(reason)),
    };
    let mut found: Option<Result<&[u8], Reason>> = None;
    for captured in possible_hosts(authority).filter_map(|host| template.capture(host)) {
        found = Some(match (found, captured) {
            // The port is a part of the key, if nothing is behind the key.
            (None | Some(Err(_)), captured) => captured,
            (Some(Ok(key)), Err(_)) => Ok(key),
            (Some(Ok(one)), Ok(other)) if one.eq_ignore_ascii_case(other) => Ok(one),
            (Some(Ok(_)), Ok(_)) => Err(Reason::KeyMalformed),
        });
    }
    found.map(|found| found.map(|key| Cow::Owned(key.to_ascii_lowercase())))
}

/// The text between two others, compared without regard to case.
fn between<'a>(label: &'a [u8], before: &[u8], behind: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = label.split_at_checked(before.len())?;
    let (key, end) = rest.split_at_checked(rest.len().checked_sub(behind.len())?)?;
    (start.eq_ignore_ascii_case(before) && end.eq_ignore_ascii_case(behind)).then_some(key)
}

fn is_label(text: &[u8]) -> bool {
    (1..=MAX_LABEL).contains(&text.len()) && text.iter().copied().all(is_letter)
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Place, Source};
    use super::*;
    use crate::value::KeyRule;

    fn find(template: &str, authorities: &[&str]) -> Option<Result<String, Reason>> {
        let template = template.parse().unwrap_or_else(|error| panic!("{template}: {error}"));
        let fields: Vec<_> = authorities.iter().map(|authority| (":authority", *authority)).collect();
        Source::from(Place::Host(template)).find(fields.as_slice(), Duplicates::Last, &KeyRule::whole(32))
    }

    fn key(template: &str, authority: &str) -> String {
        match find(template, &[authority]) {
            None => "nothing".to_owned(),
            Some(found) => found.unwrap_or_else(|reason| reason.to_string()),
        }
    }

    #[test]
    fn the_key_is_a_label_in_every_spelling_of_the_host() {
        for authority in [
            "acme.example.com",
            "ACME.Example.COM",
            "acme.example.com.",
            "acme.example.com:8443",
            "acme.example.com.:80",
        ] {
            assert_eq!(key("{key}.example.com", authority), "acme", "{authority}");
        }
        // These are not valid ports, but Envoy may ignore them.
        for authority in ["acme.example.com:", "acme.example.com:http", "acme.example.com:1:2"] {
            assert_eq!(key("{key}.example.com", authority), "acme", "{authority}");
        }
        assert_eq!(key("{key}.Example.com", "a-b_1.example.com"), "a-b_1");
        assert_eq!(key("{key}.example.com", "xn--bcher-kva.example.com"), "xn--bcher-kva");
        assert_eq!(key("api.{key}.example", "api.acme.example"), "acme");
        assert_eq!(key("example.{key}", "example.acme:80"), "acme");
        assert_eq!(key("{key}.*.example.com", "acme.eu.example.com"), "acme");
    }

    #[test]
    fn the_key_may_be_a_part_of_a_label() {
        assert_eq!(key("Tenant-{key}.example.com", "TENANT-acme-1.example.com"), "acme-1");
        assert_eq!(key("{key}-api.example.com", "acme-api.example.com"), "acme");
        assert_eq!(key("t-{key}-t.example.com", "t-t.example.com"), "nothing");
        assert_eq!(key("t-{key}.example.com", "t-.example.com"), "key_empty");
        assert_eq!(key("t-{key}.example.com", "acme.example.com"), "nothing");
    }

    #[test]
    fn another_host_holds_nothing() {
        for other in [
            "example.com",
            "a.b.example.com",
            "acme.example.org",
            "acme.example.com.evil",
            "acmeexample.com",
            "[::1]:80",
            "10.0.0.1",
            ":80",
            ".",
            "acme.example.com..",
            "acme.example.com,b",
        ] {
            assert_eq!(key("{key}.example.com", other), "nothing", "{other}");
        }
        assert_eq!(key("{key}.*.com", "acme..com"), "nothing");
        assert_eq!(key("*.{key}.com", "a:1.acme.com"), "nothing");
        assert_eq!(find("{key}.example.com", &[]), None);
        assert_eq!(find("{key}.example.com", &[""]), None);
    }

    #[test]
    fn a_label_that_is_not_one_of_a_host_is_malformed() {
        for bad in
            ["u@acme.example.com", "a%2eb.example.com", "b\u{fc}cher.example.com", "a:1.example.com", "a b.example.com"]
        {
            assert_eq!(key("{key}.example.com", bad), "key_malformed", "{bad}");
        }
        assert_eq!(key("{key}.example.com", ".example.com"), "key_empty");
        assert_eq!(key("{key}.example.com", &format!("acme.example.com{}", ":".repeat(9))), "key_malformed");
        assert_eq!(find("{key}.x", &["a.x", "a.x"]), Some(Err(Reason::KeyDuplicated)));
    }

    #[test]
    fn bad_templates_are_refused() {
        let error = |text: &str| text.parse::<HostTemplate>().unwrap_err();
        for text in ["", "example.com", "*.example.com", "{KEY}.example.com", "{key}.{key}.com"] {
            assert_eq!(error(text), BadHostTemplate::NotOneKey, "{text}");
        }
        assert_eq!(error("{key}"), BadHostTemplate::NoDomain);
        assert_eq!(error("{key}.*"), BadHostTemplate::NoDomain);
        for (text, label) in [
            ("{key}.example.com:80", "com:80"),
            ("{key}.example.com.", ""),
            ("{key}..com", ""),
            ("a*.{key}.com", "a*"),
            ("{key}*.com", "{key}*"),
            ("{key}.b\u{fc}cher.com", "b\u{fc}cher"),
        ] {
            assert_eq!(error(text), BadHostTemplate::BadLabel(label.into()), "{text}");
        }
        let long = "a".repeat(63);
        assert!(format!("{{key}}.{long}").parse::<HostTemplate>().is_ok());
        assert!(format!("{long}{{key}}.a").parse::<HostTemplate>().is_err());
    }

    proptest! {
        /// The key is that of a host which Envoy may read in the authority, and no such host has another key.
        #[test]
        fn the_key_is_that_of_every_host_that_matches(
            template in r"(t[{]key[}]|[{]key[}])[.](a|[*])([.]b)?",
            authority in r"([abtAB]|[.:@]|[.]b|[.]a|:8){0,8}",
        ) {
            let Ok(template) = template.parse::<HostTemplate>() else { return Ok(()) };
            let fields = [(":authority", &*authority)];
            let found = host(&fields[..], &template);
            let keys: Vec<_> = possible_hosts(authority.as_bytes()).filter_map(|host| template.capture(host)).collect();
            match found {
                None => prop_assert!(keys.is_empty()),
                Some(Ok(key)) => {
                    prop_assert!(keys.iter().flatten().count() > 0);
                    prop_assert!(keys.iter().flatten().all(|other| other.to_ascii_lowercase() == *key));
                }
                Some(Err(_)) => prop_assert!(keys.iter().all(Result::is_err), "{:?}", keys),
            }
        }
    }
}
