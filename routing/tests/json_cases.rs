//! JSON documents by hand, in the manner of JSONTestSuite: whether each is accepted, or why and where it is refused.
//!
//! Every case is scanned whole and in every pair of chunks.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "support/oracle.rs"]
mod oracle;

use cellgate_routing::body::{BodyScanner, Candidate};
use cellgate_routing::document::{DocumentQuery, Pointer};
use cellgate_routing::json::JsonScanner;
use cellgate_routing::{Duplicates, Reason};
use oracle::Held::{self, Found, Missing, Unusable};
use oracle::{Query, Verdict, expected, scanned};

fn query(pointers: &[&str], duplicates: Duplicates) -> Query {
    Query {
        pointers: pointers.iter().map(|text| (*text).to_owned()).collect(),
        duplicates,
        depth: 4,
        key_bytes: 8,
        ..Query::default()
    }
}

/// The verdict. Checks that it is the oracle's, and that no cut changes it.
fn verdict(query: &Query, document: &[u8]) -> Verdict {
    let verdict = scanned(query, document, &[]);
    assert_eq!(verdict, expected(query, document), "{}", document.escape_ascii());
    for cut in 0..=document.len() {
        assert_eq!(scanned(query, document, &[cut]), verdict, "{} cut at {cut}", document.escape_ascii());
    }
    verdict
}

fn key(duplicates: Duplicates, pointer: &str, document: &str) -> Held {
    verdict(&query(&[pointer], duplicates), document.as_bytes()).unwrap().remove(0)
}

fn found(key: &str) -> Held {
    Found(key.to_owned())
}

#[test]
fn well_formed_documents_are_accepted() {
    let documents = [
        "0",
        "-0",
        "1",
        "10",
        "-1.5",
        "1e1",
        "1E+1",
        "1e-1",
        "0e0",
        "1e999",
        "-1e-999",
        "0.1e2",
        "\"\"",
        "true",
        "false",
        "null",
        "[]",
        "{}",
        "[[]]",
        "[{}]",
        "{\"\":{}}",
        " [ ] ",
        "\t\r\n{ \"a\" : 1 , \"b\" : [ 1 , 2 ] }\n",
        "[[[[1]]]]",
        r#""\"\\\/\b\f\n\r\t""#,
        r#""\u0000\uABCD\uabcd""#,
        r#""\ud83d\ude00""#,
        r#""\uD800\uDC00\uDBFF\uDFFF""#,
        "\"é\u{800}\u{ffff}\u{10000}\u{10ffff}\u{7f}\u{85}\"",
        r#"{"a":1,"a":1}"#,
        r#"{"a":{},"a":[]}"#,
        "[1e400,0.0000001]",
        "\"\u{feff}\"",
        "123456789012345678901234567890",
    ];
    for document in documents {
        assert!(verdict(&query(&[], Duplicates::Reject), document.as_bytes()).is_ok(), "{document}");
    }
}

#[test]
fn malformed_documents_are_refused_at_the_first_wrong_byte() {
    let documents: &[(&str, u64)] = &[
        ("x", 0),
        ("]", 0),
        ("}", 0),
        (",", 0),
        (":", 0),
        ("'a'", 0),
        ("\u{a0}1", 0),
        ("é", 0),
        ("\u{c}1", 0),
        ("\u{b}", 0),
        ("+1", 0),
        (".5", 0),
        ("-x", 1),
        ("--1", 1),
        ("01", 1),
        ("-01", 2),
        ("1.", 2),
        ("1.e1", 2),
        ("1ex", 2),
        ("1e+-1", 3),
        ("0x1", 1),
        ("1_0", 1),
        ("1 2", 2),
        ("-Infinity", 1),
        ("NaN", 0),
        ("Infinity", 0),
        ("1.5.5", 3),
        ("1e5.5", 3),
        ("tru", 3),
        ("truE", 3),
        ("nulL", 3),
        ("True", 0),
        ("falsehood", 5),
        ("nullnull", 4),
        ("undefined", 0),
        ("[1,]", 3),
        ("[,1]", 1),
        ("[1 2]", 3),
        ("[1:2]", 2),
        ("[}", 1),
        ("[1}", 2),
        ("[]]", 2),
        ("[][]", 2),
        ("[a]", 1),
        ("{]", 1),
        ("{1:2}", 1),
        ("{\"a\"}", 4),
        ("{\"a\",1}", 4),
        ("{\"a\":}", 5),
        ("{\"a\":1,}", 7),
        ("{\"a\":1]", 6),
        ("{\"a\":1 \"b\":2}", 7),
        ("{,}", 1),
        ("{a:1}", 1),
        ("{\"a\"::1}", 5),
        ("{}x", 2),
        ("{} // c", 3),
        ("/**/{}", 0),
        ("{\"a\":1;}", 6),
        ("{{}}", 1),
        ("{[]:1}", 1),
        ("{\"a\" \"b\"}", 5),
        ("{'a':1}", 1),
        ("[\"a\":1]", 4),
        ("[1}]", 2),
        ("\"\n\"", 1),
        ("\"\u{0}\"", 1),
        ("\"a\u{1f}\"", 2),
        ("\"\t\"", 1),
        ("\"\\x\"", 2),
        ("\"\\a\"", 2),
        ("\"\\\n\"", 2),
        ("\"\\'\"", 2),
        ("\"\\U0041\"", 2),
        ("\"\\u00g0\"", 5),
        ("\"\\u 041\"", 3),
        ("\"\\u\"\"", 3),
        ("\"\"\"", 2),
        ("\"a\"b", 3),
        ("1,2", 1),
        ("{}{}", 2),
    ];
    for (document, offset) in documents {
        let at_end = *offset == document.len() as u64;
        let reason = if at_end { Reason::BodyTruncated } else { Reason::BodyMalformed };
        let verdict = verdict(&query(&[""], Duplicates::Reject), document.as_bytes());
        assert_eq!(verdict, Err((reason, *offset)), "{document}");
    }
}

#[test]
fn unfinished_documents_are_truncated_at_their_end() {
    let documents = [
        "",
        " ",
        "[",
        "{",
        "[1",
        "[1,",
        "{\"a",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "\"",
        "\"\\",
        "\"\\u",
        "\"\\u00",
        "\"\\ud800",
        "\"\\ud800\\",
        "\"\\ud800\\u",
        "\"\\ud800\\udc0",
        "-",
        "1.",
        "1e",
        "1e+",
        "t",
        "fals",
        "nul",
        "[[]",
        "[\"a\"",
    ];
    for document in documents {
        let verdict = verdict(&query(&[""], Duplicates::Reject), document.as_bytes());
        assert_eq!(verdict, Err((Reason::BodyTruncated, document.len() as u64)), "{document}");
    }
}

#[test]
fn invalid_utf8_is_refused_at_the_start_of_the_sequence() {
    let documents: &[(&[u8], Reason, u64)] = &[
        (b"\"\x80\"", Reason::BodyInvalidUtf8, 1),
        (b"\"a\xff\"", Reason::BodyInvalidUtf8, 2),
        (b"\"\xc0\x80\"", Reason::BodyInvalidUtf8, 1),
        (b"\"\xe0\x9f\xbf\"", Reason::BodyInvalidUtf8, 1),
        (b"\"\xed\xa0\x80\"", Reason::BodyInvalidUtf8, 1),
        (b"\"\xf4\x90\x80\x80\"", Reason::BodyInvalidUtf8, 1),
        (b"\"\xf5\x80\x80\x80\"", Reason::BodyInvalidUtf8, 1),
        (b"\"\xe2\x82\"", Reason::BodyInvalidUtf8, 1),
        (b"\"\xe2\x82\\n\"", Reason::BodyInvalidUtf8, 1),
        (b"\"\xe2\x82\x01\"", Reason::BodyInvalidUtf8, 1),
        (b"\"\xc3\xa9\xc3\"", Reason::BodyInvalidUtf8, 3),
        (b"\"\xe2\x82", Reason::BodyTruncated, 3),
        (b"\"\xf0\x9f\x98", Reason::BodyTruncated, 4),
        (b"{\"\xff\":1}", Reason::BodyInvalidUtf8, 2),
        (b"\xff", Reason::BodyMalformed, 0),
        (b"[\xc3\xa9]", Reason::BodyMalformed, 1),
    ];
    for (document, reason, offset) in documents {
        let verdict = verdict(&query(&[""], Duplicates::Reject), document);
        assert_eq!(verdict, Err((*reason, *offset)), "{}", document.escape_ascii());
    }
}

#[test]
fn a_byte_order_mark_has_its_own_reason() {
    let of = |document: &[u8]| verdict(&query(&[], Duplicates::Reject), document).unwrap_err();
    assert_eq!(of(b"\xef\xbb\xbf{}"), (Reason::BodyByteOrderMark, 0));
    assert_eq!(of(b"\xef\xbb\xbf"), (Reason::BodyByteOrderMark, 0));
    assert_eq!(of(b" \xef\xbb\xbf{}"), (Reason::BodyMalformed, 1));
    assert_eq!(of(b"\xef\xbb{}"), (Reason::BodyMalformed, 0));
    assert_eq!(of(b"\xef\xbb"), (Reason::BodyMalformed, 0));
    assert_eq!(of(b"\xef"), (Reason::BodyMalformed, 0));
    assert_eq!(of(b"\xff\xfe{\0"), (Reason::BodyMalformed, 0));
}

#[test]
fn the_bracket_beyond_the_depth_is_refused() {
    let of = |document: &str| verdict(&query(&["/a"], Duplicates::Reject), document.as_bytes());
    assert!(of("[[[[]]]]").is_ok());
    assert_eq!(of("[[[[[]]]]]"), Err((Reason::BodyTooDeep, 4)));
    assert_eq!(of("{\"a\":[{\"a\":[{}]}]}"), Err((Reason::BodyTooDeep, 12)));
    assert_eq!(of("[[[[1,x"), Err((Reason::BodyMalformed, 6)));
    assert!(of("[[],[[]],[[[]]],{},[{}]]").is_ok());
    // The deepest nesting that a query can allow, through every word of the stack.
    let mut deep = query(&["/0"], Duplicates::Reject);
    deep.depth = 5000;
    for (depth, is_ok) in [(1023, true), (1024, true), (1025, false)] {
        let document = ["[".repeat(depth), "]".repeat(depth)].concat();
        let found = scanned(&deep, document.as_bytes(), &[]);
        assert_eq!(found.is_ok(), is_ok, "{depth}");
        assert_eq!(scanned(&deep, document.as_bytes(), &(0..depth).collect::<Vec<_>>()), found);
        let mismatch = ["[".repeat(depth), "]".repeat(depth - 1), "}".to_owned()].concat();
        assert!(scanned(&deep, mismatch.as_bytes(), &[]).is_err());
    }
}

#[test]
fn each_kind_of_value_is_a_key_or_has_a_reason() {
    let values = [
        ("\"acme\"", found("acme")),
        ("\"\\u0061\\ud83d\\ude00\"", found("a\u{1f600}")),
        ("\"12345678\"", found("12345678")),
        ("\"123456789\"", Unusable(Reason::KeyTooLong)),
        ("\"ééééé\"", Unusable(Reason::KeyTooLong)),
        ("\"\\udbff\\udfff\"", found("\u{10ffff}")),
        ("\"\"", Unusable(Reason::KeyEmpty)),
        ("\"a\\u0000\"", Unusable(Reason::KeyControlCharacter)),
        ("\"\u{7f}\"", Unusable(Reason::KeyControlCharacter)),
        ("\"\\u0085\"", Unusable(Reason::KeyControlCharacter)),
        ("0", found("0")),
        ("-7", found("-7")),
        ("12345678", found("12345678")),
        ("123456789", Unusable(Reason::KeyTooLong)),
        ("-0", Unusable(Reason::KeyFloat)),
        ("1.0", Unusable(Reason::KeyFloat)),
        ("1e2", Unusable(Reason::KeyFloat)),
        ("18446744073709551616", Unusable(Reason::KeyFloat)),
        ("18446744073709551615", Unusable(Reason::KeyTooLong)),
        ("-9223372036854775809", Unusable(Reason::KeyFloat)),
        ("1e999", Unusable(Reason::KeyFloat)),
        ("null", Unusable(Reason::KeyNull)),
        ("true", Unusable(Reason::KeyBoolean)),
        ("false", Unusable(Reason::KeyBoolean)),
        ("{}", Unusable(Reason::KeyObject)),
        ("[\"acme\"]", Unusable(Reason::KeyArray)),
    ];
    for (value, held) in values {
        assert_eq!(key(Duplicates::Reject, "/k", &format!("{{\"k\":{value}}}")), held, "{value}");
        assert_eq!(key(Duplicates::Last, "", value), held, "{value}");
        assert_eq!(key(Duplicates::First, "/1", &format!("[0, {value} ]")), held, "{value}");
    }
}

#[test]
fn pointers_follow_names_and_indices() {
    let found_at = |pointer, document| key(Duplicates::Reject, pointer, document);
    assert_eq!(found_at("/t/id", r#"{"x":{"t":{"id":"no"}},"t":{"x":1,"id":"acme"}}"#), found("acme"));
    assert_eq!(found_at("/t/id", r#"{"\u0074":{"i\u0064":"acme"}}"#), found("acme"));
    assert_eq!(found_at("/t/id", r#"{"t":[{"id":"acme"}]}"#), Missing);
    assert_eq!(found_at("/t/id", r#"{"t":"id"}"#), Missing);
    assert_eq!(found_at("/t/id", r#"[{"t":{"id":"acme"}}]"#), Missing);
    assert_eq!(found_at("/items/0/id", r#"{"items":[{"id":"a"},{"id":"b"}]}"#), found("a"));
    assert_eq!(found_at("/items/1/id", r#"{"items":[[{"id":"no"}],{"id":"b"}]}"#), found("b"));
    assert_eq!(found_at("/items/10", r#"{"items":[0,1,2,3,4,5,6,7,8,9,"ten"]}"#), found("ten"));
    assert_eq!(found_at("/items/01", r#"{"items":["a","b"]}"#), Missing);
    assert_eq!(found_at("/items/-", r#"{"items":["a"]}"#), Missing);
    assert_eq!(found_at("/items/0", r#"{"items":{"0":"name"}}"#), found("name"));
    assert_eq!(found_at("/items/-", r#"{"items":{"-":"name"}}"#), found("name"));
    assert_eq!(found_at("/a~1b/~0", r#"{"a/b":{"~":"x"}}"#), found("x"));
    assert_eq!(found_at("/", r#"{"":"x"}"#), found("x"));
    assert_eq!(found_at("//", r#"{"":{"":"x"}}"#), found("x"));
    assert_eq!(found_at("/tenant", r#"{"tenan":"a","tenants":"b"}"#), Missing);
    let folded = r#"{"Tenant":"c"}"#;
    assert_eq!(found_at("/tenant", folded), Unusable(Reason::KeyAmbiguous));
    assert_eq!(key(Duplicates::First, "/tenant", folded), Missing);
    assert_eq!(key(Duplicates::Last, "/tenant", folded), Missing);
    // json-c and cJSON keep names as C strings, which end at the NUL.
    for cut in [r#"{"tenant\u0000x":"c"}"#, r#"{"tenant":"a","TENANT\u0000":"c"}"#] {
        assert_eq!(found_at("/tenant", cut), Unusable(Reason::KeyAmbiguous), "{cut}");
    }
    // Parsers of protobuf's JSON mapping take both spellings, and Go's `encoding/json/v2` ignores `_` and `-`.
    for twin in [r#"{"tenant_id":"c"}"#, r#"{"tenantId":"a","tenant-ID":"c"}"#, r#"{"TENANTID_":"c","tenantId":"a"}"#] {
        assert_eq!(found_at("/tenantId", twin), Unusable(Reason::KeyAmbiguous), "{twin}");
    }
    assert_eq!(found_at("/tenant_id", r#"{"tenantId":"c","tenant_id":"a"}"#), Unusable(Reason::KeyAmbiguous));
    assert_eq!(key(Duplicates::First, "/tenant_id", r#"{"tenantId":"c","tenant_id":"a"}"#), found("a"));
    // MongoDB's documents have both.
    assert_eq!(found_at("/id", r#"{"_id":"c","id":"a"}"#), found("a"));
    assert_eq!(found_at("/_id", r#"{"_id":"c","id":"a"}"#), found("c"));
    let many = query(&["/a/b", "/a", "/a/c", "/a/b", ""], Duplicates::Reject);
    let held = verdict(&many, br#"{"a":{"b":"x","c":7}}"#).unwrap();
    let object = Unusable(Reason::KeyObject);
    assert_eq!(held, [found("x"), object.clone(), found("7"), found("x"), object]);
}

/// A configuration may have a source for each spelling. A document with both is read in two ways.
#[test]
fn two_sources_with_names_alike_are_ambiguous_together() {
    let both = |duplicates| query(&["/tenantId/a", "/tenant_id/a", "/x"], duplicates);
    let held = |duplicates, document: &str| {
        let query = both(duplicates);
        let held = scanned(&query, document.as_bytes(), &[]);
        for cut in 0..=document.len() {
            assert_eq!(scanned(&query, document.as_bytes(), &[cut]), held, "{document} cut at {cut}");
        }
        held.unwrap()
    };
    let ambiguous = Unusable(Reason::KeyAmbiguous);
    assert_eq!(held(Duplicates::Reject, r#"{"tenant_id":{"a":"b"}}"#), [Missing, found("b"), Missing]);
    assert_eq!(held(Duplicates::Reject, r#"{"tenantId":{"a":"b"}}"#), [found("b"), Missing, Missing]);
    for document in [
        r#"{"tenant_id":{"a":"b"},"tenantId":{"a":"c"},"x":"y"}"#,
        r#"{"tenantId":{"a":"c"},"x":"y","tenant_id":{}}"#,
        r#"{"tenantId":null,"x":"y","tenant_id":{"a":"c"},"tenantId":{"a":"c"}}"#,
    ] {
        assert_eq!(
            held(Duplicates::Reject, document),
            [ambiguous.clone(), ambiguous.clone(), found("y")],
            "{document}"
        );
    }
    let document = r#"{"tenant_id":{"a":"b"},"tenantId":{"a":"c"}}"#;
    assert_eq!(held(Duplicates::Last, document), [found("c"), found("b"), Missing]);
}

#[test]
fn duplicates_on_the_path_count_as_configured() {
    use Duplicates::{First, Last, Reject};
    let duplicated = Unusable(Reason::KeyDuplicated);
    let cases = [
        (r#"{"t":{"id":"a","id":"b"}}"#, duplicated.clone(), found("a"), found("b")),
        (r#"{"t":{"id":"a"},"t":{"id":"b"}}"#, duplicated.clone(), found("a"), found("b")),
        (r#"{"t":{"id":"a"},"\u0074":{"id":"b"}}"#, duplicated.clone(), found("a"), found("b")),
        (r#"{"t":{"id":"a"},"t":{}}"#, duplicated.clone(), found("a"), Missing),
        (r#"{"t":{},"t":{"id":"b"}}"#, duplicated.clone(), Missing, found("b")),
        (r#"{"t":1,"t":{"id":"b"}}"#, duplicated.clone(), Missing, found("b")),
        (r#"{"t":{"id":"a"},"t":null}"#, duplicated.clone(), found("a"), Missing),
        (r#"{"t":null,"t":null}"#, duplicated.clone(), Missing, Missing),
        (r#"{"t":{"id":"a","id":"a"},"t":{"id":"a"}}"#, duplicated, found("a"), found("a")),
        (r#"{"t":{"id":"a","x":1,"x":2},"x":1,"x":2}"#, found("a"), found("a"), found("a")),
        (r#"{"t":{"x":{"id":1},"id":"a"},"id":2}"#, found("a"), found("a"), found("a")),
    ];
    for (document, reject, first, last) in cases {
        assert_eq!(key(Reject, "/t/id", document), reject, "{document}");
        assert_eq!(key(First, "/t/id", document), first, "{document}");
        assert_eq!(key(Last, "/t/id", document), last, "{document}");
    }
    assert_eq!(key(Reject, "/0/id", r#"[{"id":"a"},{"id":"b"}]"#), found("a"), "another object is no duplicate");
}

#[test]
fn a_key_is_settled_with_its_last_byte_unless_the_last_duplicate_counts() {
    let cases = [
        (r#"{"t":{"id":"acme"}}"#, 17),
        (r#"{"t":{"id":null}}"#, 15),
        (r#"{"t":{"id":42 }}"#, 14),
        (r#"{"t":{"id":{}}}"#, 12),
        (r#"{"t":{"id":[1]}}"#, 12),
    ];
    for (document, settled_after) in cases {
        for duplicates in [Duplicates::Reject, Duplicates::First, Duplicates::Last] {
            let pointer: Pointer = "/t/id".parse().unwrap();
            let json = DocumentQuery::new(vec![pointer], duplicates, 8, 8);
            let mut scanner = JsonScanner::new(json.into());
            for (index, byte) in document.bytes().enumerate() {
                let is_settled = duplicates != Duplicates::Last && index >= settled_after;
                assert_eq!(scanner.is_settled(0), is_settled, "{document} before {index}");
                assert_eq!(
                    scanner.candidate(0) != Candidate::Missing,
                    index >= settled_after,
                    "{document} before {index}"
                );
                scanner.push(&[byte]).unwrap();
            }
        }
    }
}

/// The structure cache compares many bytes at a time. Every error must be found wherever it lies.
#[test]
fn errors_are_found_at_every_place() {
    let valid = r#"{"id":1,"b":[true,"x",{}],"c":-1.5e3,"d":{"e":null}}"#;
    let wrong = [
        r#"{"id":1,"b":[true,"x",{}],"c":-1.5e3,"d":{"e":nul}}"#,
        r#"{"id":01,"b":[true,"x",{}]}"#,
        r#"{"id":1 "b":2}"#,
        r#"{"id":1,"b":[true,"x",{}},"c":1}"#,
        r#"{"id":1,"b":[true "x"]}"#,
        r#"{"id":1,,"b":2}"#,
        r#"{"id":1.}"#,
        r#"{"id":}"#,
        r#"{"id":1,"b":["x":1]}"#,
        r#"{"id":1,"b"}"#,
        r#"{"id":1,2}"#,
        r#"{"id":1}}"#,
        r#"[1,]"#,
        r#"{"id":1,}"#,
        r#"["a""b"]"#,
        r#"[1"b"]"#,
        r#"["a"1]"#,
        r#"[{}{}]"#,
        r#"[[]1]"#,
        r#"{"a":"b":1}"#,
        "[\"\t\"]",
        r#"["\x"]"#,
        r#"{,"a":1}"#,
        r#"{:1}"#,
        r#"{1}"#,
        r#"{[1]}"#,
        r#"{{}}"#,
        r#"[,1]"#,
        r#"[:1]"#,
        r#"{"a":,}"#,
        r#"{"a",1}"#,
        r#"{"a":1:2}"#,
        r#"{"a":1,{}}"#,
        r#"{"a"{}}"#,
        r#"{"a"[]}"#,
        r#"[[],,[]]"#,
        r#"{"a":1"b":2}"#,
        r#"[1{}]"#,
        r#"["a"[]]"#,
        "[tru,1]",
        "[1 1]",
        "[-]",
    ];
    let query = Query { depth: 8, ..query(&["/tenant"], Duplicates::Reject) };
    for wrong in wrong {
        for padding in 0..70 {
            let space = " ".repeat(padding);
            let document = format!(r#"{{"x":[{valid},{space}{wrong},{valid},{valid}],"tenant":"a"}}"#);
            // The longer one uses the structure cache.
            for document in [format!("{document}{}", " ".repeat(1600)), document] {
                let expected = expected(&query, document.as_bytes());
                assert!(expected.is_err(), "{document}");
                assert_eq!(scanned(&query, document.as_bytes(), &[]), expected, "{document}");
            }
        }
    }
}

/// The same bytes in the same containers have another meaning if a pointer goes through one of the containers.
#[test]
fn gaps_learnt_off_a_path_are_not_used_on_one() {
    let record = r#"{"p":[1,2]}"#;
    let others = [record; 9].join(",");
    let rest = "x".repeat(1600);
    let document = format!(r#"{{"x":[{others}],"a":[{record},{{"p":[1,2],"id":"acme"}},{others}],"rest":"{rest}"}}"#);
    assert_eq!(key(Duplicates::Reject, "/a/1/id", &document), found("acme"));
    let document = format!(r#"[{others},[{record}],{others},{{"p":[1,2],"id":"acme"}},"{rest}"]"#);
    assert_eq!(key(Duplicates::Reject, "/19/id", &document), found("acme"));
}
