use super::*;
use crate::format::ScanLimits;
use crate::key::Duplicates;
use crate::reason::Reason;
use crate::source::Place;
use crate::value::{Case, KeyRule, ValueRule};

fn scan(body: &str, duplicates: Duplicates, cut: usize) -> Option<Result<String, Reason>> {
    let query = FieldQuery::new(vec!["other".into(), "tenant id".into()], duplicates, 8);
    let mut scanner = FormScanner::new(Arc::new(query));
    for chunk in body.as_bytes().chunks(cut) {
        scanner.push(chunk).unwrap();
    }
    scanner.finish().unwrap();
    match scanner.candidate(1) {
        Candidate::Missing => None,
        Candidate::Found(key) => Some(Ok(key.to_owned())),
        Candidate::Unusable(reason) => Some(Err(reason)),
    }
}

#[test]
fn the_result_does_not_depend_on_chunk_boundaries() {
    let cases: &[(&str, Option<Result<&str, Reason>>)] = &[
        ("tenant+id=acme", Some(Ok("acme"))),
        ("a=b&&tenant%20id=%61c%C3%A5+1&c", Some(Ok("acå 1"))),
        ("tenant id=a=b", Some(Ok("a=b"))),
        ("tenant+id", Some(Err(Reason::KeyEmpty))),
        ("tenant+id=&x=1", Some(Err(Reason::KeyEmpty))),
        ("tenant+id=a&tenant%20id=a", Some(Err(Reason::KeyDuplicated))),
        ("tenant+id=%zz", Some(Err(Reason::KeyMalformed))),
        ("tenant+id=%ff", Some(Err(Reason::KeyInvalidUtf8))),
        ("tenant+id=%0a", Some(Err(Reason::KeyControlCharacter))),
        ("tenant+id=123456789", Some(Err(Reason::KeyTooLong))),
        ("tenant+id=%31%32%33%34%35%36%37%38", Some(Ok("12345678"))),
        ("x=tenant+id=acme", None),
        ("tenant+id%=acme", None),
        ("=&==&&", None),
        ("", None),
    ];
    for (body, expected) in cases {
        for cut in 1..=body.len().max(1) {
            let expected = expected.map(|found| found.map(str::to_owned));
            assert_eq!(scan(body, Duplicates::Reject, cut), expected, "{body} cut at {cut}");
        }
    }
}

#[test]
fn the_configured_rule_picks_a_duplicate() {
    let body = "tenant+id=a&tenant+id=b&tenant+id=c";
    assert_eq!(scan(body, Duplicates::First, 3), Some(Ok("a".to_owned())));
    assert_eq!(scan(body, Duplicates::Last, 3), Some(Ok("c".to_owned())));
}

#[test]
fn the_buffer_is_bounded() {
    let mut scanner = FormScanner::new(Arc::new(FieldQuery::new(vec!["t".into()], Duplicates::Reject, 8)));
    for _ in 0..1000 {
        scanner.push(&[b'n'; 1000]).unwrap();
    }
    scanner.push(b"&t=").unwrap();
    for _ in 0..1000 {
        scanner.push(&[b'v'; 1000]).unwrap();
    }
    assert!(scanner.name.capacity() < 100);
    scanner.finish().unwrap();
    assert_eq!(scanner.candidate(0), Candidate::Unusable(Reason::KeyTooLong));
}

fn limits(duplicates: Duplicates) -> ScanLimits {
    ScanLimits { duplicates, depth: 8, key_bytes: 8, accepted: crate::document::AcceptedFaults::NONE }
}

/// The values of several sources, each a field and the rule for its value.
fn scan_rules(
    sources: &[(&str, &ValueRule)],
    body: &str,
    duplicates: Duplicates,
    cut: usize,
) -> Vec<Option<Result<String, Reason>>> {
    let limits = limits(duplicates);
    let fields = sources.iter().map(|(name, rule)| ((*name).into(), KeyRule::new(rule, limits))).collect();
    let mut scanner = FormScanner::new(Arc::new(FieldQuery::with_rules(fields, limits)));
    body.as_bytes().chunks(cut).for_each(|chunk| scanner.push(chunk).unwrap());
    scanner.finish().unwrap();
    (0..sources.len()).map(|index| scanner.candidate(index).found().map(|found| found.map(str::to_owned))).collect()
}

fn json(pointer: &str) -> ValueRule {
    ValueRule { then: Some(Box::new(Place::Json(pointer.parse().unwrap()))), ..ValueRule::default() }
}

#[test]
fn a_field_may_hold_a_document_that_is_scanned_as_it_arrives() {
    let rule = json("/team/id");
    let cases: &[(&str, Option<Result<&str, Reason>>)] = &[
        ("a=1&payload=%7B%22team%22%3A%7B%22id%22%3A%22T0%22%7D%7D&b=2", Some(Ok("T0"))),
        ("payload={%22team%22:{%22id%22:%22T+1%22},%22x%22:[1,2]}", Some(Ok("T 1"))),
        ("payload=%7B%22team%22%3A%7B%7D%7D", None),
        ("payload=%7B%22team%22%3A%7B%22id%22%3Anull%7D%7D", Some(Err(Reason::KeyNull))),
        ("payload=%7B%22team%22%3A%7B%22id%22%3A%22T0%22%7D", Some(Err(Reason::BodyTruncated))),
        ("payload=%7B%22team%22%3A%5D", Some(Err(Reason::BodyMalformed))),
        ("payload=%7B%22team%22%3A%7B%22id%22%3A%22T0%22%7D%7D%", Some(Err(Reason::KeyMalformed))),
        ("payload=", Some(Err(Reason::KeyEmpty))),
        ("payload=%7B%7D&payload=%7B%7D", Some(Err(Reason::KeyDuplicated))),
        ("x=%7B%22team%22%3A%7B%22id%22%3A%22T0%22%7D%7D", None),
    ];
    for (body, expected) in cases {
        for cut in 1..=body.len() {
            let expected = expected.map(|found| found.map(str::to_owned));
            let found = scan_rules(&[("payload", &rule)], body, Duplicates::Reject, cut);
            assert_eq!(found, [expected], "{body} cut at {cut}");
        }
    }
}

#[test]
fn each_source_of_one_field_has_its_own_rule() {
    // The cause: the scanner looked for the first source with the name of the field, and never found the others.
    let (whole, lower) = (ValueRule::default(), ValueRule { case: Case::Lower, ..ValueRule::default() });
    let (team, user) = (json("/team"), json("/user"));
    let sources = [("t", &whole), ("t", &lower), ("p", &team), ("p", &user)];
    let found = scan_rules(&sources, "t=AcMe&p=%7B%22user%22:%22U%22%7D", Duplicates::Reject, 5);
    assert_eq!(found, [Some(Ok("AcMe".into())), Some(Ok("acme".into())), None, Some(Ok("U".into()))]);
    let found = scan_rules(&sources, "t=a&t=a&p=%7B%7D", Duplicates::Reject, 5);
    assert_eq!(found, [Some(Err(Reason::KeyDuplicated)), Some(Err(Reason::KeyDuplicated)), None, None]);
}

#[test]
fn a_field_that_holds_no_key_still_counts_as_a_duplicate() {
    let (rule, body) = (json("/t"), "p=%7B%7D&p=%7B%22t%22:%22a%22%7D");
    for (duplicates, expected) in [
        (Duplicates::Reject, Some(Err(Reason::KeyDuplicated))),
        (Duplicates::First, None),
        (Duplicates::Last, Some(Ok("a".to_owned()))),
    ] {
        assert_eq!(scan_rules(&[("p", &rule)], body, duplicates, 4), [expected], "{duplicates:?}");
    }
}

#[test]
fn a_field_is_settled_once_its_document_is_complete() {
    let limits = limits(Duplicates::Reject);
    let query = FieldQuery::with_rules(vec![("p".into(), KeyRule::new(&json("/t"), limits))], limits);
    let mut scanner = FormScanner::new(Arc::new(query));
    scanner.push(b"p=%7B%22t%22:%22a%22%7D").unwrap();
    assert!(!scanner.is_settled(0));
    scanner.push(b"&").unwrap();
    assert!(scanner.is_settled(0));
    scanner.push(b"p=").unwrap();
    assert_eq!(scanner.candidate(0), Candidate::Unusable(Reason::KeyDuplicated));
}

#[test]
fn a_name_that_differs_only_in_case_makes_the_key_ambiguous() {
    // ASP.NET reads the fields of a form without regard to the case of their names.
    for body in ["Tenant+id=a", "tenant+id=a&TENANT%20ID=b", "TENANT%20ID=b&tenant+id=a", "tenant+iD=&tenant+Id="] {
        for cut in 1..=body.len() {
            let found = scan(body, Duplicates::Reject, cut);
            assert_eq!(found, Some(Err(Reason::KeyAmbiguous)), "{body} cut at {cut}");
        }
    }
    assert_eq!(scan("tenant+id=a&Tenant+id=b", Duplicates::First, 4), Some(Ok("a".to_owned())));
}

#[test]
fn a_name_that_php_takes_for_the_fields_makes_the_key_ambiguous() {
    let spaces = format!("tenant+id=a&{}tenant_id=b", "+".repeat(100));
    let escaped = format!("tenant+id=a&{}%74enant_id=b", "%20".repeat(100));
    let shifted = escaped.replacen("%20", "+%20", 1);
    let twice = escaped.replacen("%20", "++%20", 1);
    let long = format!("tenant+id=a&%74%65%6E%61%6E%74%20%69%64%00{}=b", "x".repeat(100));
    for body in [
        "tenant_id=b",
        "tenant+id=a&tenant.id=b",
        "tenant[id=b&tenant+id=a",
        "tenant+id=a&+tenant+id=b",
        "tenant+id=a&tenant+id%00x=b",
        "tenant+id=a&tenant%5fid%00%=b",
        &spaces,
        &escaped,
        &shifted,
        &twice,
        &long,
    ] {
        for cut in 1..=body.len() {
            let found = scan(body, Duplicates::Reject, cut);
            assert_eq!(found, Some(Err(Reason::KeyAmbiguous)), "{body} cut at {cut}");
        }
        let first = scan(body, Duplicates::First, 4);
        assert_eq!(first, body.contains("tenant+id=a").then(|| Ok("a".to_owned())), "{body}");
    }
    let long = format!("{}x=b&tenant+id=a", "+".repeat(100));
    for body in ["tenant+id=a&tenant[id]=b", "tenant+id=a&tenant+id[]=b", "tenant+id=a&tenant_id%zz=b"] {
        assert_eq!(scan(body, Duplicates::Reject, 3), Some(Ok("a".to_owned())), "{body}");
    }
    assert_eq!(
        scan(&long, Duplicates::Reject, 7),
        Some(Err(Reason::KeyAmbiguous)),
        "the name behind the spaces is not kept"
    );
}

#[test]
fn a_pair_that_cannot_matter_is_passed_over_and_no_other() {
    for first in 0..=u8::MAX {
        let name = [&[first], &b"enant id"[..]].concat();
        let encoded = format!("%{first:02x}enant+id=b");
        let plain = [&name[..], b"=b"].concat();
        let bodies = if matches!(first, b'%' | b'+' | b'&' | b'=') {
            vec![encoded.into_bytes()]
        } else {
            vec![encoded.into_bytes(), plain]
        };
        let expected = match first {
            b't' => Some(Err(Reason::KeyDuplicated)),
            b'T' => Some(Err(Reason::KeyAmbiguous)),
            _ => Some(Ok("a".to_owned())),
        };
        for body in bodies {
            let body = [&b"tenant+id=a&"[..], &body].concat();
            let query = FieldQuery::new(vec!["tenant id".into()], Duplicates::Reject, 8);
            let mut scanner = FormScanner::new(Arc::new(query));
            body.chunks(5).for_each(|chunk| scanner.push(chunk).unwrap());
            scanner.finish().unwrap();
            let found = scanner.candidate(0).found().map(|found| found.map(str::to_owned));
            assert_eq!(found, expected, "{}", body.escape_ascii());
        }
    }
}
