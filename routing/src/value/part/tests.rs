use proptest::prelude::*;

use super::*;

fn capture<'a>(template: &str, value: &'a str) -> Option<Result<&'a str, Reason>> {
    let template: ValueTemplate = template.parse().unwrap_or_else(|error| panic!("{template}: {error}"));
    Some(template.capture(value.as_bytes(), false)?.map(|key| std::str::from_utf8(key).unwrap()))
}

const MALFORMED: Option<Result<&str, Reason>> = Some(Err(Reason::KeyMalformed));

#[test]
fn the_part_at_the_key_is_captured() {
    for (template, value, key) in [
        ("Bearer sk_{key}_*", "Bearer sk_acme_5c", "acme"),
        ("Bearer sk_{key}_*", "Bearer sk_acme_5_c", "acme"),
        ("Bearer sk_{key}_*", "Bearer sk_acme_", "acme"),
        ("*@{key}", "jo@acme.example", "acme.example"),
        ("arn:aws:*:*:{key}:*", "arn:aws:sqs:eu-west-1:123456789012:a:b", "123456789012"),
        ("arn:aws:*:*:{key}:*", "arn:aws:s3::123456789012:", "123456789012"),
        ("urn:tenant:{key}:*", "urn:tenant:acme:order:7", "acme"),
        ("{key}/*", "acme/orders/7", "acme"),
        ("{key}/*", "/orders", ""),
        ("*/{key}", "/", ""),
        ("tenant-{key}", "tenant-8d5c-41aa", "8d5c-41aa"),
        ("{key}.example", "a.example.example", "a.example"),
        ("<*>{key}</*>", "<a>acme</a>", "acme"),
        ("{key}", "any", "any"),
        ("*→{key}", "a→å", "å"),
        ("*é{key}", "àéà", "à"),
    ] {
        assert_eq!(capture(template, value), Some(Ok(key)), "{template} on {value}");
    }
}

#[test]
fn a_value_that_does_not_match_holds_nothing() {
    for (template, value) in [
        ("Bearer sk_{key}_*", "Bearer sk_acme"),
        ("Bearer sk_{key}_*", "bearer sk_acme_1"),
        ("Bearer sk_{key}_*", "Basic am86eA=="),
        ("*@{key}", "jo"),
        ("*@{key}", ""),
        ("arn:aws:*:*:{key}:*", "arn:aws:sqs:eu-west-1:123456789012"),
        ("tenant-{key}", "Tenant-a"),
        ("ab{key}ba", "aba"),
        ("{key}aa*", "a"),
    ] {
        assert_eq!(capture(template, value), None, "{template} on {value}");
    }
}

#[test]
fn a_value_that_can_be_split_in_two_ways_is_malformed() {
    for (template, value) in [
        ("*@{key}", "a@b@c"),
        ("*@{key}", "@@"),
        ("*/{key}", "a/b/c"),
        ("*: {key}", "a: b c"),
        ("a:*:{key}", "a:b:c:d"),
        ("*-{key}-x", "a-b-c-x"),
    ] {
        assert_eq!(capture(template, value), MALFORMED, "{template} on {value}");
    }
}

/// RFC 9110, 11.1: the scheme is case-insensitive; 11.4: one space or more follow it.
#[test]
fn the_scheme_of_credentials_is_compared_without_case() {
    let read = |template: &str, value: &'static str| {
        let template: ValueTemplate = template.parse().unwrap();
        template.capture(value.as_bytes(), true).map(|key| key.map(|key| std::str::from_utf8(key).unwrap()))
    };
    for value in ["Bearer sk_a_1", "bearer sk_a_1", "BEARER   sk_a_1"] {
        assert_eq!(read("Bearer sk_{key}_*", value), Some(Ok("a")), "{value}");
    }
    assert_eq!(read("bearer  sk_{key}_*", "Bearer sk_a_1"), Some(Ok("a")));
    assert_eq!(read("Bearer {key}", "BEARER  a"), Some(Ok("a")));
    for other in ["Bearer SK_a_1", "Bearersk_a_1", "Bearer\tsk_a_1", "Bear", "Basic sk_a_1"] {
        assert_eq!(read("Bearer sk_{key}_*", other), None, "{other}");
    }
    assert_eq!(read("*_{key}", "x_a"), Some(Ok("a")));
}

#[test]
fn bad_templates_are_refused() {
    let error = |text: &str| text.parse::<ValueTemplate>().unwrap_err();
    for text in ["", "*", "Bearer", "{Key}", "{key}:{key}"] {
        assert_eq!(error(text), BadValueTemplate::NotOneKey, "{text}");
    }
    for text in ["{{key}}", "{id}/{key}", "{key}}", "a{{key}"] {
        assert_eq!(error(text), BadValueTemplate::Brace, "{text}");
    }
    for text in ["**{key}", "*{key}", "{key}*", "a**:{key}", "{key}:**"] {
        assert_eq!(error(text), BadValueTemplate::NoText, "{text}");
    }
    assert_eq!(error("{key}:*:*:*:*:*:*:*:*:*"), BadValueTemplate::Stars);
    assert!("{key}:*:*:*:*:*:*:*:*".parse::<ValueTemplate>().is_ok());
}

/// A token of a template, for the oracle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Text(char),
    Star,
    Key,
}

fn tokens(template: &str) -> Vec<Token> {
    let text = template.replace("{key}", "\u{0}");
    text.chars()
        .map(|c| {
            if c == '\u{0}' {
                Token::Key
            } else if c == '*' {
                Token::Star
            } else {
                Token::Text(c)
            }
        })
        .collect()
}

/// One way to match: the text of each wildcard.
type Way = Vec<String>;

/// All ways in which a value matches, if wildcards take any text.
fn ways(tokens: &[Token], value: &str) -> Vec<Way> {
    let Some((first, rest)) = tokens.split_first() else {
        return if value.is_empty() { vec![Way::new()] } else { Vec::new() };
    };
    match first {
        Token::Text(c) => value.strip_prefix(*c).map_or_else(Vec::new, |value| ways(rest, value)),
        Token::Star | Token::Key => (0..=value.len())
            .filter(|at| value.is_char_boundary(*at))
            .flat_map(|at| {
                ways(rest, &value[at..]).into_iter().map(move |mut way| {
                    way.insert(0, value[..at].to_owned());
                    way
                })
            })
            .collect(),
    }
}

/// Whether no wildcard contains the character before it or behind it, where that is text between two wildcards.
fn is_strict(tokens: &[Token], way: &Way) -> bool {
    let wild: Vec<_> = (0..tokens.len()).filter(|at| !matches!(tokens[*at], Token::Text(_))).collect();
    let beside = |at: Option<usize>| match at.and_then(|at| tokens.get(at)) {
        Some(Token::Text(c)) => Some(*c),
        _ => None,
    };
    wild.iter().zip(way).enumerate().all(|(index, (at, text))| {
        let is_last = index + 1 == wild.len();
        let before = beside(at.checked_sub(1)).filter(|_| index > 0);
        let behind = beside(Some(at + 1)).filter(|_| !is_last);
        let takes_any = tokens[*at] == Token::Star && at + 1 == tokens.len();
        takes_any || ![before, behind].into_iter().flatten().any(|c| text.contains(c))
    })
}

fn template() -> impl Strategy<Value = String> {
    let piece = prop_oneof![Just("*"), Just("a"), Just("b"), Just("é"), Just("à"), Just("ab")];
    let side = prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat());
    (side.clone(), side).prop_map(|(before, after)| format!("{before}{{key}}{after}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// The capture is the one strict way among all ways. A value with ways, but without a strict one, is malformed.
    #[test]
    fn the_capture_is_the_only_strict_way(text in template(), value in "(a|b|ab|c|é|à){0,7}") {
        let Ok(parsed) = text.parse::<ValueTemplate>() else { return Ok(()) };
        let tokens = tokens(&text);
        let ways = ways(&tokens, &value);
        let strict: Vec<_> = ways.iter().filter(|way| is_strict(&tokens, way)).collect();
        prop_assert!(strict.len() <= 1, "{:?}", strict);
        let key = tokens.iter().filter(|token| !matches!(token, Token::Text(_))).position(|token| *token == Token::Key);
        let expected = match (strict.first(), ways.is_empty()) {
            (Some(way), _) => Some(Ok(way[key.unwrap()].as_bytes())),
            (None, false) => Some(Err(Reason::KeyMalformed)),
            (None, true) => None,
        };
        prop_assert_eq!(parsed.capture(value.as_bytes(), false), expected);
        // Without a `*` at the end, no reader can find another key.
        if !strict.is_empty() && tokens.last() != Some(&Token::Star) {
            prop_assert_eq!(ways.len(), 1);
        }
    }

    #[test]
    fn no_bytes_panic(text in template(), value: Vec<u8>, is_credentials: bool) {
        if let Ok(parsed) = text.parse::<ValueTemplate>() {
            let _captured = parsed.capture(&value, is_credentials);
        }
    }
}
