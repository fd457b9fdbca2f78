//! Whole bodies, cut at every place.

use std::sync::Arc;

use super::*;
use crate::body::BodyScanner;
use crate::format::ScanLimits;
use crate::key::Duplicates;
use crate::reason::Reason;
use crate::source::Place;
use crate::value::{Case, KeyRule, ValueRule};

const LIMITS: ScanLimits = ScanLimits {
    duplicates: Duplicates::Reject,
    depth: 8,
    key_bytes: 8,
    accepted: crate::document::AcceptedFaults::NONE,
};

type Value = Option<Result<String, Reason>>;

/// The values of the sources, or the reason of the error and its offset. The same however the body is cut.
fn scan(sources: &[(&str, &ValueRule)], limits: ScanLimits, body: &[u8]) -> Result<Vec<Value>, (Reason, u64)> {
    let whole = scan_in_chunks(sources, limits, body, &[]);
    let all: Vec<usize> = (0..body.len()).collect();
    assert_eq!(scan_in_chunks(sources, limits, body, &all), whole, "byte by byte: {}", body.escape_ascii());
    for cut in 0..body.len() {
        let found = scan_in_chunks(sources, limits, body, &[cut]);
        assert_eq!(found, whole, "cut at {cut}: {}", body.escape_ascii());
    }
    whole
}

fn scan_in_chunks(
    sources: &[(&str, &ValueRule)],
    limits: ScanLimits,
    body: &[u8],
    cuts: &[usize],
) -> Result<Vec<Value>, (Reason, u64)> {
    let fields = sources.iter().map(|(name, rule)| ((*name).into(), KeyRule::new(rule, limits))).collect();
    let mut scanner = MultipartScanner::new(Arc::new(FieldQuery::with_rules(fields, limits)), b"x-y");
    let mut start = 0;
    let mut pushed = Ok(());
    for end in cuts.iter().copied().chain([body.len()]) {
        pushed = pushed.and_then(|()| scanner.push(&body[start..end]));
        start = end;
    }
    pushed.and_then(|()| scanner.finish()).map_err(|error| (error.reason, error.offset))?;
    let value = |index| scanner.candidate(index).found().map(|found| found.map(str::to_owned));
    Ok((0..sources.len()).map(value).collect())
}

/// A body of these parts. `¶` stands for CRLF in each.
fn body(parts: &[&str]) -> Vec<u8> {
    let parts: String = parts.iter().map(|part| format!("--x-y¶{part}¶")).collect();
    format!("{parts}--x-y--¶").replace('¶', "\r\n").into_bytes()
}

/// A body of one part.
fn part(disposition: &str, other: &str, content: &str) -> Vec<u8> {
    body(&[&format!("Content-Disposition: {disposition}¶{other}¶{content}")])
}

fn tenant(content: &str) -> String {
    format!("Content-Disposition: form-data; name=\"tenant\"¶¶{content}")
}

/// The value of the field `tenant`.
fn find(body: &[u8]) -> Result<Value, Reason> {
    find_by(Duplicates::Reject, body)
}

fn find_by(duplicates: Duplicates, body: &[u8]) -> Result<Value, Reason> {
    let found = scan(&[("tenant", &ValueRule::default())], ScanLimits { duplicates, ..LIMITS }, body);
    found.map(|values| values[0].clone()).map_err(|(reason, _)| reason)
}

fn key(key: &str) -> Result<Value, Reason> {
    Ok(Some(Ok(key.into())))
}

fn unusable(reason: Reason) -> Result<Value, Reason> {
    Ok(Some(Err(reason)))
}

const FILE: &str =
    "Content-Disposition: form-data; name=\"file\"; filename=\"a.bin\"¶Content-Type: application/octet-stream¶¶";

#[test]
fn a_field_is_found_before_and_after_a_file() {
    let file = format!("{FILE}--x-\r\n--x\r\n\r\n--\r\r\n-\n{}", "\0".repeat(90));
    let none = Ok(None);
    for (parts, expected) in [
        (vec![tenant("acme")], key("acme")),
        (vec![tenant("acme"), file.clone()], key("acme")),
        (vec![file.clone(), tenant("acme")], key("acme")),
        (vec![file.clone(), tenant("a\rb")], unusable(Reason::KeyControlCharacter)),
        (vec![tenant("")], unusable(Reason::KeyEmpty)),
        (vec![tenant("å")], key("å")),
        (vec![tenant("123456789")], unusable(Reason::KeyTooLong)),
        (vec![tenant("acme¶")], unusable(Reason::KeyControlCharacter)),
        (vec![tenant("acme"), tenant("acme")], unusable(Reason::KeyDuplicated)),
        (vec![file], none.clone()),
        (vec![], none),
    ] {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        assert_eq!(find(&body(&parts)), expected, "{parts:?}");
    }
}

#[test]
fn the_delimiters_are_those_that_every_parser_takes_for_one() {
    let good = "--x-y¶Content-Disposition: form-data; name=tenant¶¶acme¶--x-y--";
    let (malformed, truncated) = (Err(Reason::BodyMalformed), Err(Reason::BodyTruncated));
    for (text, expected) in [
        (good.into(), key("acme")),
        (format!("{good}¶"), key("acme")),
        (format!("{good}¶¶"), key("acme")),
        (format!("¶{good}¶"), key("acme")),
        ("--x-y--".into(), Ok(None)),
        // A preamble.
        (format!("¶¶{good}"), malformed.clone()),
        (format!("text¶{good}"), malformed.clone()),
        (format!(" {good}"), malformed.clone()),
        // Data after the end, where PHP looks for more parts.
        (format!("{good} "), malformed.clone()),
        (format!("{good}¶x"), malformed.clone()),
        (format!("{good}\n"), malformed.clone()),
        (format!("{good}¶{good}"), malformed.clone()),
        (good.replace("--x-y--", "--x-y-- ¶"), malformed.clone()),
        (good.replace("--x-y--", "--x-y-x"), malformed.clone()),
        // Padding.
        (good.replacen("--x-y¶", "--x-y ¶", 1), malformed.clone()),
        (good.replacen("--x-y¶", "--x-y\t¶", 1), malformed.clone()),
        // Bare line feeds.
        (good.replacen("--x-y¶", "--x-y\n", 1), malformed.clone()),
        (good.replace("acme¶", "acme\n"), malformed.clone()),
        (good.replace("acme¶", "acme\r"), malformed.clone()),
        (good.replace("tenant¶¶", "tenant\n\n"), malformed.clone()),
        (good.replace("tenant¶¶", "tenant¶\n"), malformed.clone()),
        // The boundary at other places.
        (good.replace("acme", "ac--x-yme"), malformed.clone()),
        (good.replace("acme", "acme¶--x-yz"), malformed.clone()),
        (good.replace("acme¶", ""), malformed.clone()),
        (good.replacen("tenant", "\"a--x-y\"", 1), malformed.clone()),
        // Almost the boundary.
        (good.replace("acme", "--x-Y"), key("--x-Y")),
        (good.replace("acme", "-x¶--x"), unusable(Reason::KeyControlCharacter)),
        // The end is missing.
        (good.replace("¶--x-y--", ""), truncated.clone()),
        (good.replace("--x-y--", "--x-y"), truncated.clone()),
        (good.replace("--x-y--", "--x-y-"), truncated.clone()),
        (good.replace("--x-y--", "--x-y¶"), truncated.clone()),
        (format!("{good}\r"), truncated.clone()),
        ("--x-y¶Content-Dispo".into(), truncated.clone()),
        ("--x".into(), truncated.clone()),
        (good.replace("x-y", "z"), malformed),
    ] {
        let text = text.replace('¶', "\r\n");
        assert_eq!(find(text.as_bytes()), expected, "{text:?}");
    }
}

#[test]
fn the_disposition_is_one_that_every_parser_reads_alike() {
    for good in [
        "form-data; name=\"tenant\"",
        "Form-Data;name=tenant",
        "form-data; NAME=\"tenant\"; x=y",
        "form-data ; x=\"a;b\"; name=\"tenant\";",
        "form-data;\tname=\"tenant\" ",
    ] {
        assert_eq!(find(&part(good, "", "acme")), key("acme"), "{good}");
    }
    for other in
        ["name=\"\"", "name=\"tenant \"", "name=\"tenant[]\"", "name=\"tenan\"", "name=\"a%22b\"; filename=\"a\\b\""]
    {
        assert_eq!(find(&part(&format!("form-data; {other}"), "", "acme")), Ok(None), "{other}");
    }
    for bad in [
        "",
        "form-data",
        "attachment; name=\"tenant\"",
        "form-data; filename=\"x\"",
        "form-data; name=\"tenant",
        "form-data; name='tenant'",
        "form-data; name =\"tenant\"",
        "form-data; name= \"tenant\"",
        "form-data; name=\"tenant\" x",
        "form-data name=\"tenant\"",
        "form-data; name=\"x\"; name=\"tenant\"",
        "form-data; name=\"tenant\"; Name=\"tenant\"",
        "form-data; name*=utf-8''tenant",
        "form-data; name=\"x\"; name*=utf-8''tenant",
        "form-data; name*0=ten; name*1=ant",
        "form-data; name=\"te\\\"nant\"",
        "form-data; name=\"x\"; filename=\"a\\\"; name=\"tenant\"",
        "form-data; filename=\"a\\\"; name=\"tenant\"",
        "form-data; name=\"x\"; filename=\"; name=tenant\"",
        "form-data; name=\"=?utf-8?Q?tenant?=\"",
        "form-data; name=\"x\0\"",
    ] {
        assert_eq!(find(&part(bad, "", "acme")), Err(Reason::BodyMalformed), "{bad}");
    }
    // A quote in a file name, as Go's and Python's clients write it: no parser finds another name.
    let quoted = part("form-data; name=\"x\"; filename=\"a\\\"b.txt\"", "", "acme");
    assert_eq!(find(&quoted), Ok(None));
    let latin1 = [&b"--x-y\r\nContent-Disposition: form-data; name=\"\xe5\"\r\n\r\nx\r\n--x-y--"[..]].concat();
    assert_eq!(find(&latin1), Err(Reason::BodyInvalidUtf8));
    let latin1_file =
        [&b"--x-y\r\nContent-Disposition: form-data; name=f; filename=\"\xe5\"\r\n\r\nx\r\n--x-y--"[..]].concat();
    assert_eq!(find(&latin1_file), Ok(None));
}

#[test]
fn the_header_of_a_part_is_one_that_every_parser_reads_alike() {
    let disposition = "Content-Disposition: form-data; name=\"tenant\"";
    for header in [
        format!("{disposition}¶{disposition}"),
        format!("{disposition}¶ folded"),
        format!("{disposition}¶\tfolded: x"),
        format!(" {disposition}"),
        disposition.replace(": ", " : "),
        format!("{disposition}¶no colon"),
        format!("{disposition}¶: x"),
        format!("{disposition}¶X: a\rb"),
        format!("{disposition}¶X: a\nb"),
        format!("{disposition}¶X: a\0b"),
        "X: y".into(),
        disposition.replace("Content-", "Content_"),
    ] {
        assert_eq!(find(&body(&[&format!("{header}¶¶acme")])), Err(Reason::BodyMalformed), "{header}");
    }
    assert_eq!(find(&body(&["¶acme"])), Err(Reason::BodyMalformed));
    let good = "X-Other: 1¶content-disposition:form-data; name=\"tenant\"¶Content-Length: 4¶¶acme";
    assert_eq!(find(&body(&[good])), key("acme"));
}

#[test]
fn the_header_of_a_part_is_bounded() {
    let header = |fields: usize, value: usize| {
        let others = format!("X: {}¶", "v".repeat(value)).repeat(fields);
        body(&[&format!("{others}{}", tenant("acme"))])
    };
    let in_chunks = |body: &[u8], cuts: &[usize]| {
        scan_in_chunks(&[("tenant", &ValueRule::default())], LIMITS, body, cuts).map(|mut values| values.remove(0))
    };
    assert_eq!(find(&header(15, 9)), key("acme"));
    assert_eq!(find(&header(16, 9)), Err(Reason::BodyMalformed));
    assert_eq!(in_chunks(&header(1, 8000), &[5000]), Ok(Some(Ok("acme".into()))));
    // 1 MB, whole and in pieces: the error is at the first byte beyond the limit.
    let body = header(1, 1_000_000);
    let cuts: Vec<usize> = (0..body.len()).step_by(100).collect();
    for cuts in [&[][..], &[8000], &[8199], &[8200], &cuts] {
        assert_eq!(in_chunks(&body, cuts), Err((Reason::BodyMalformed, 7 + 8192)), "{}", cuts.len());
    }
}

#[test]
fn the_field_is_unusable_if_parsers_may_read_another_value() {
    let disposition = "form-data; name=\"tenant\"";
    for (other, expected) in [
        ("Content-Type: text/plain", key("acme")),
        ("Content-Type: text/plain; charset=\"UTF-8\"", key("acme")),
        ("Content-Type: application/json", key("acme")),
        ("Content-Transfer-Encoding: 8bit", key("acme")),
        ("Content-Type: text/plain; charset=utf-7", unusable(Reason::CharsetUnsupported)),
        ("Content-Type: text/plain; charset*=utf-7", unusable(Reason::CharsetUnsupported)),
        ("Content-Type: application/octet-stream", unusable(Reason::KeyMalformed)),
        ("Content-Type: multipart/mixed; boundary=z", unusable(Reason::KeyMalformed)),
        ("Content-Type: message/rfc822", unusable(Reason::KeyMalformed)),
        ("Content-Type: text", unusable(Reason::KeyMalformed)),
        ("Content-Type: text/plain; charset", unusable(Reason::KeyMalformed)),
        ("Content-Type: text/plain¶Content-Type: text/plain", unusable(Reason::KeyMalformed)),
        ("Content-Transfer-Encoding: base64", unusable(Reason::KeyMalformed)),
        ("content-transfer-encoding: Quoted-Printable", unusable(Reason::KeyMalformed)),
        ("Content-Transfer-Encoding: 8bit¶Content-Transfer-Encoding: 8bit", unusable(Reason::KeyMalformed)),
    ] {
        assert_eq!(find(&part(disposition, &format!("{other}¶"), "acme")), expected, "{other}");
        // In another field, none of these matters.
        let other_field = format!("Content-Disposition: form-data; name=other¶{other}¶¶YWNtZQ==");
        assert_eq!(find(&body(&[&other_field, &tenant("acme")])), key("acme"), "{other}");
    }
}

#[test]
fn a_file_with_the_name_of_the_field_is_not_a_key() {
    let file = "Content-Disposition: form-data; name=\"tenant\"; filename=\"x\"¶¶evil";
    for (parts, reject, first, last) in [
        (vec![file.to_owned()], Reason::KeyMalformed, unusable(Reason::KeyMalformed), unusable(Reason::KeyMalformed)),
        (vec![file.to_owned(), tenant("acme")], Reason::KeyDuplicated, unusable(Reason::KeyMalformed), key("acme")),
        (vec![tenant("acme"), file.to_owned()], Reason::KeyDuplicated, key("acme"), unusable(Reason::KeyMalformed)),
    ] {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let body = body(&parts);
        assert_eq!(find_by(Duplicates::Reject, &body), unusable(reject), "{parts:?}");
        assert_eq!(find_by(Duplicates::First, &body), first, "{parts:?}");
        assert_eq!(find_by(Duplicates::Last, &body), last, "{parts:?}");
    }
    for disposition in ["form-data; name=tenant; filename*=utf-8''x", "form-data; FileName=\"\"; name=tenant"] {
        assert_eq!(find(&part(disposition, "", "acme")), unusable(Reason::KeyMalformed), "{disposition}");
    }
}

#[test]
fn a_name_that_some_parsers_take_for_the_fields_makes_its_key_ambiguous() {
    for (name, reject, first) in [
        ("Tenant", unusable(Reason::KeyAmbiguous), key("acme")),
        // PHP drops spaces before a name.
        (" tenant", unusable(Reason::KeyAmbiguous), key("acme")),
        ("ten\\ant", unusable(Reason::KeyAmbiguous), unusable(Reason::KeyAmbiguous)),
        ("%74enant", unusable(Reason::KeyAmbiguous), unusable(Reason::KeyAmbiguous)),
        ("%54en\\ant", unusable(Reason::KeyAmbiguous), key("acme")),
        ("tenant%", key("acme"), key("acme")),
        ("tenants", key("acme"), key("acme")),
    ] {
        let other = format!("Content-Disposition: form-data; name=\"{name}\"¶¶evil");
        let (before, after) = (body(&[&other, &tenant("acme")]), body(&[&tenant("acme"), &other]));
        assert_eq!(find(&before), reject, "{name} before");
        assert_eq!(find(&after), reject, "{name} after");
        assert_eq!(find_by(Duplicates::First, &before), first, "{name} before, first");
        assert_eq!(find_by(Duplicates::First, &after), key("acme"), "{name} after, first");
    }
}

#[test]
fn the_field_charset_names_utf_8() {
    let charset = |charset: &str| format!("Content-Disposition: form-data; name=\"_charset_\"¶¶{charset}");
    for (name, expected) in [
        ("UTF-8", key("acme")),
        ("us-ascii", key("acme")),
        ("utf-7", Err(Reason::CharsetUnsupported)),
        ("", Err(Reason::CharsetUnsupported)),
        ("UTF-8 and much text behind it", Err(Reason::CharsetUnsupported)),
    ] {
        assert_eq!(find(&body(&[&charset(name), &tenant("acme")])), expected, "{name}");
        assert_eq!(find(&body(&[&tenant("acme"), &charset(name)])), expected, "{name}");
    }
    assert_eq!(find(&body(&[&charset("utf-8"), &charset("utf-16"), &tenant("a")])), Err(Reason::CharsetUnsupported));
}

#[test]
fn each_source_of_one_field_has_its_own_rule() {
    let nested = |place| ValueRule { then: Some(Box::new(place)), ..ValueRule::default() };
    let (team, user) = (nested(Place::Json("/team/id".parse().unwrap())), nested(Place::Form("user".into())));
    let (whole, lower) = (ValueRule::default(), ValueRule { case: Case::Lower, ..ValueRule::default() });
    let sources = [("json", &team), ("form", &user), ("t", &whole), ("t", &lower), ("json", &whole)];
    let parts = [
        // As a browser sends a Blob.
        "Content-Disposition: form-data; name=\"json\"; filename=\"blob\"¶Content-Type: application/json¶¶\
            {\"team\":{\"id\":\"T1\"},\"items\":[1,2,3]}",
        "Content-Disposition: form-data; name=\"form\"¶¶a=1&user=%55+1",
        "Content-Disposition: form-data; name=\"t\"¶¶AcMe",
    ];
    let expected = ["T1", "U 1", "AcMe", "acme"].map(|key| Some(Ok(key.to_owned()))).to_vec();
    let expected = [expected, vec![Some(Err(Reason::KeyMalformed))]].concat();
    assert_eq!(scan(&sources, LIMITS, &body(&parts)), Ok(expected));
    let first = ScanLimits { duplicates: Duplicates::First, ..LIMITS };
    let found = scan(&sources[..1], first, &body(&parts[..1]));
    assert_eq!(found, Ok(vec![Some(Err(Reason::KeyMalformed))]), "a second part may be the field");
    for (document, reason) in
        [("{\"team\":", Reason::BodyTruncated), ("[}", Reason::BodyMalformed), ("", Reason::KeyEmpty)]
    {
        let part = format!("Content-Disposition: form-data; name=\"json\"¶¶{document}");
        assert_eq!(scan(&sources[..1], LIMITS, &body(&[&part])), Ok(vec![Some(Err(reason))]), "{document}");
    }
}

#[test]
fn a_field_is_settled_at_the_delimiter_behind_it() {
    for (duplicates, settles) in [(Duplicates::Reject, true), (Duplicates::First, true), (Duplicates::Last, false)] {
        let query = FieldQuery::new(vec!["tenant".into()], duplicates, 8);
        let mut scanner = MultipartScanner::new(Arc::new(query), b"x-y");
        let body = body(&[&tenant("acme"), &tenant("evil")]);
        let first = body.windows(5).skip(3).position(|window| window == b"--x-y").unwrap() + 3 + 5;
        scanner.push(&body[..first - 1]).unwrap();
        assert!(!scanner.is_settled(0));
        scanner.push(&body[first - 1..first]).unwrap();
        assert_eq!(scanner.is_settled(0), settles, "{duplicates:?}");
        scanner.push(&body[first..]).unwrap();
        scanner.finish().unwrap();
        let found = scanner.candidate(0).found();
        let expected = match duplicates {
            Duplicates::Reject => Err(Reason::KeyDuplicated),
            Duplicates::First => Ok("acme"),
            Duplicates::Last => Ok("evil"),
        };
        assert_eq!(found, Some(expected));
    }
}
