//! A part of a value: `Bearer sk_{key}_*`, `*@{key}`.
//!
//! Readers split a value in different ways: at the first `@` or at the last one. So a key is taken only if every way to
//! split the value by the template gives the same one. The rule for that needs no search for all ways: a wildcard may not
//! contain the characters that end and begin it.

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use super::literal_text::LiteralText;
use crate::reason::Reason;

/// The most `*` of a template.
const MAX_STARS: usize = 8;

/// A template for a value. `{key}` captures the key, `*` stands for any text, and other text matches itself.
///
/// Text between two wildcards ends the first and begins the second. The first must not contain the first character of this
/// text, nor the second its last character. A `*` that ends the template may contain anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueTemplate {
    text: Box<str>,
    /// The text before the first wildcard.
    start: Box<str>,
    wildcards: Vec<Wildcard>,
}

/// `{key}` or `*`, and the text behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wildcard {
    is_key: bool,
    after: LiteralText,
}

/// The text is not a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadValueTemplate {
    /// It does not have exactly one `{key}`.
    #[error("expected exactly one `{{key}}`, such as `*@{{key}}`")]
    NotOneKey,
    /// It has a brace outside of `{key}`.
    #[error("`{{` and `}}` are allowed only in `{{key}}`: write `*` where the value has a brace")]
    Brace,
    /// Two wildcards have no text between them.
    #[error("expected text between two wildcards, such as `:` in `*:{{key}}`, because nothing else ends the first one")]
    NoText,
    /// It has too many `*`.
    #[error("expected at most {MAX_STARS} `*`")]
    Stars,
}

impl FromStr for ValueTemplate {
    type Err = BadValueTemplate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (before, after) = text.split_once("{key}").ok_or(BadValueTemplate::NotOneKey)?;
        if after.contains("{key}") {
            return Err(BadValueTemplate::NotOneKey);
        }
        if [before, after].iter().any(|side| side.contains(['{', '}'])) {
            return Err(BadValueTemplate::Brace);
        }
        let (before, after): (Vec<_>, Vec<_>) = (before.split('*').collect(), after.split('*').collect());
        let key = before.len() - 1;
        if key + after.len() - 1 > MAX_STARS {
            return Err(BadValueTemplate::Stars);
        }
        let mut texts = before.into_iter().chain(after);
        let start = texts.next().unwrap_or_default().into();
        let wildcards: Vec<_> = texts
            .enumerate()
            .map(|(index, text)| Wildcard { is_key: index == key, after: LiteralText::new(text) })
            .collect();
        let inner = wildcards.split_last().map_or(&[][..], |(_, inner)| inner);
        if inner.iter().any(|wildcard| wildcard.after.text().is_empty()) {
            return Err(BadValueTemplate::NoText);
        }
        Ok(Self { text: text.into(), start, wildcards })
    }
}

impl ValueTemplate {
    /// The part of the value at `{key}`. `None` if the value does not match, in whatever way it is split.
    ///
    /// `is_credentials`: the value is that of `Authorization`. Its first word is compared without regard to case, and may be
    /// followed by more than one space (RFC 9110, 11.1 and 11.4).
    pub(crate) fn capture<'a>(&self, value: &'a [u8], is_credentials: bool) -> Option<Result<&'a [u8], Reason>> {
        let (last, inner) = self.wildcards.split_last()?;
        let wild = self.strip_start(value, is_credentials)?.strip_suffix(last.after.text().as_bytes())?;
        if let Some(key) = strict(inner, last, wild) {
            return Some(Ok(key));
        }
        let is_match = inner.iter().try_fold(wild, |rest, wildcard| wildcard.after.after_first(rest)).is_some();
        is_match.then_some(Err(Reason::KeyMalformed))
    }

    /// The rest of a value that begins like the template.
    pub(crate) fn strip_start<'a>(&self, value: &'a [u8], is_credentials: bool) -> Option<&'a [u8]> {
        if !is_credentials {
            return value.strip_prefix(self.start.as_bytes());
        }
        let (scheme, more) = match self.start.split_once(' ') {
            Some((scheme, more)) => (scheme, Some(more)),
            None => (&*self.start, None),
        };
        let (actual, rest) = value.split_at_checked(scheme.len())?;
        if !actual.eq_ignore_ascii_case(scheme.as_bytes()) {
            return None;
        }
        let Some(more) = more else { return Some(rest) };
        skip_spaces(rest.strip_prefix(b" ")?).strip_prefix(skip_spaces(more.as_bytes()))
    }
}

/// The key, if no wildcard contains a character that ends or begins it. There is at most one way to match so.
fn strict<'a>(inner: &[Wildcard], last: &Wildcard, wild: &'a [u8]) -> Option<&'a [u8]> {
    let (mut key, mut rest, mut begins) = (None, wild, None);
    for wildcard in inner {
        let text = wildcard.after.text();
        let end = position(rest, text.chars().next()?)?;
        let (taken, after) = rest.split_at_checked(end)?;
        if begins.is_some_and(|begins| position(taken, begins).is_some()) {
            return None;
        }
        if wildcard.is_key {
            key = Some(taken);
        }
        rest = after.strip_prefix(text.as_bytes())?;
        begins = text.chars().next_back();
    }
    let takes_any = !last.is_key && last.after.text().is_empty();
    if !takes_any && begins.is_some_and(|begins| position(rest, begins).is_some()) {
        return None;
    }
    if last.is_key { Some(rest) } else { key }
}

/// Where a character first occurs.
fn position(text: &[u8], character: char) -> Option<usize> {
    let mut bytes = [0; 4];
    let character = character.encode_utf8(&mut bytes).as_bytes();
    text.windows(character.len()).position(|window| window == character)
}

fn skip_spaces(text: &[u8]) -> &[u8] {
    let spaces = text.iter().take_while(|byte| **byte == b' ').count();
    text.get(spaces..).unwrap_or_default()
}

impl fmt::Display for ValueTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
