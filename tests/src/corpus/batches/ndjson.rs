//! NDJSON bodies.

use super::Case;

pub(super) fn cases() -> Vec<Case> {
    let bodies = BODIES
        .iter()
        .map(|(name, body, expect)| Case::new(format!("ndjson: {name}"), expect).of_type("application/x-ndjson", body));
    let types = TYPES.iter().map(|(content_type, expect)| {
        let body = "{\"tenant\":{\"id\":\"acme\"}}\n{\"n\":2}\n";
        Case::new(format!("ndjson: type {content_type:?}"), expect).of_type(content_type, body)
    });
    let record = "{\"tenant\":{\"id\":\"acme\"},\"n\":1}\n";
    let (other, filler) = ("{\"tenant\":{\"id\":\"globex\"}}\n", "{\"a\":[1,2,3]}\n".repeat(4000));
    let sizes = [
        ("2000 records", record.repeat(2000), "cell-a exact"),
        ("2000 records, the last differs", record.repeat(2000) + other, "400 key_conflict"),
        ("2000 records, the last cut off", record.repeat(2000) + "{\"tenant\":", "400 body_truncated"),
        ("2000 records, a blank one", record.repeat(1000) + "\n\n" + &record.repeat(1000), "cell-a exact"),
        ("key behind 4000 records", filler.clone() + other, "cell-b exact"),
        ("key before 4000 records", other.to_owned() + &filler, "cell-b exact"),
        ("no key in 4000 records", filler, "400 key_missing"),
    ];
    let sizes = sizes.into_iter().map(|(name, body, expect)| {
        Case::new(format!("size: ndjson, {name}"), expect).of_type("application/x-ndjson", body)
    });
    let latin = Case::new("ndjson: Latin-1", "400 body_invalid_utf8")
        .of_type("application/x-ndjson", b"{\"tenant\":{\"id\":\"acme\"}}\n{\"a\":\"\xe5\"}\n");
    bodies.chain(types).chain(sizes).chain([latin]).collect()
}

const TYPES: &[(&str, &str)] = &[
    ("application/ndjson", "cell-a exact"),
    ("application/jsonl", "cell-a exact"),
    ("application/x-ndjson; charset=utf-8", "cell-a exact"),
    ("application/x-ndjson; charset=utf-16", "415 charset_unsupported"),
    ("application/json-seq", "415 content_type_unsupported"),
    ("application/x-jsonlines", "cell-a exact"),
    ("application/stream+json", "cell-a exact"),
    ("application/connect+json", "415 content_type_unsupported"),
    ("application/json", "400 body_malformed"),
];

const BODIES: &[(&str, &str, &str)] = &[
    ("one record", "{\"tenant\":{\"id\":\"acme\"}}\n", "cell-a exact"),
    ("no last line feed", "{\"tenant\":{\"id\":\"acme\"}}", "cell-a exact"),
    ("carriage returns", "{\"n\":1}\r\n{\"tenant\":{\"id\":\"acme\"}}\r\n", "cell-a exact"),
    ("blank lines", "\n \t\r\n{\"tenant\":{\"id\":\"acme\"}}\n\n{\"n\":1}\n\n", "cell-a exact"),
    ("white space in a line", " { \"tenant\" :\t{ \"id\" : \"acme\" } } \n", "cell-a exact"),
    ("records that agree", "{\"tenant\":{\"id\":\"acme\"}}\n{\"tenant\":{\"id\":\"acme\"}}\n", "cell-a exact"),
    ("records that differ", "{\"tenant\":{\"id\":\"acme\"}}\n{\"tenant\":{\"id\":\"globex\"}}\n", "400 key_conflict"),
    ("a key and a null", "{\"tenant\":{\"id\":\"acme\"}}\n{\"tenant\":{\"id\":null}}\n", "400 key_conflict"),
    ("a null and a key", "{\"tenant\":{\"id\":null}}\n{\"tenant\":{\"id\":\"acme\"}}\n", "400 key_conflict"),
    ("a null", "{\"tenant\":{\"id\":null}}\n", "400 key_null"),
    ("key in the last record", "{}\n[]\n1\n\"x\"\nnull\n{\"tenant\":{\"id\":\"globex\"}}\n", "cell-b exact"),
    (
        "bulk actions",
        "{\"index\":{}}\n{\"tenant\":{\"id\":\"acme\"}}\n{\"index\":{}}\n{\"tenant\":{\"id\":\"acme\"}}\n",
        "cell-a exact",
    ),
    ("no key", "{\"n\":1}\n{\"n\":2}\n", "400 key_missing"),
    ("no record", "\n\n", "400 key_missing"),
    ("twice in a record", "{\"tenant\":{\"id\":\"acme\",\"id\":\"acme\"}}\n", "400 key_duplicated"),
    ("another case in a record", "{\"n\":1}\n{\"tenant\":{\"Id\":\"acme\"}}\n", "400 key_ambiguous"),
    (
        "events in records",
        "{\"events\":[{\"tenant\":\"acme\"}]}\n{\"events\":[{},{\"tenant\":\"acme\"}]}\n",
        "cell-a exact",
    ),
    (
        "events that differ",
        "{\"events\":[{\"tenant\":\"acme\"}]}\n{\"events\":[{\"tenant\":\"globex\"}]}\n",
        "400 key_conflict",
    ),
    (
        "the first source outranks",
        "{\"events\":[{\"tenant\":\"acme\"}]}\n{\"tenant\":{\"id\":\"globex\"}}\n",
        "cell-b exact",
    ),
    ("unplaced", "{\"tenant\":{\"id\":\"hooli\"}}\n", "421 key_unplaced"),
    ("a document over two lines", "{\"tenant\":\n{\"id\":\"acme\"}}\n", "400 body_malformed"),
    ("two documents on a line", "{\"tenant\":{\"id\":\"acme\"}} {\"n\":1}\n", "400 body_malformed"),
    ("an array of records", "[{\"tenant\":{\"id\":\"acme\"}}]\n", "400 key_missing"),
    ("commas between records", "{\"tenant\":{\"id\":\"acme\"}},\n{\"n\":1}\n", "400 body_malformed"),
    ("a carriage return alone", "{\"tenant\":{\"id\":\"acme\"}}\r{\"n\":1}\n", "400 body_malformed"),
    ("record separators", "\u{1e}{\"tenant\":{\"id\":\"acme\"}}\n", "400 body_malformed"),
    ("a comment", "# x\n{\"tenant\":{\"id\":\"acme\"}}\n", "400 body_malformed"),
    ("a byte order mark", "\u{feff}{\"tenant\":{\"id\":\"acme\"}}\n{\"n\":1}\n", "cell-a exact"),
    (
        "a byte order mark on the second line",
        "{\"tenant\":{\"id\":\"acme\"}}\n\u{feff}{\"n\":1}\n",
        "400 body_malformed",
    ),
    ("a lone surrogate", "{\"n\":\"\\ud83d\"}\n{\"tenant\":{\"id\":\"acme\"}}\n", "cell-a exact"),
    ("the last record cut off", "{\"tenant\":{\"id\":\"acme\"}}\n{\"n\":", "400 body_truncated"),
    (
        "too deep in a record",
        "{\"tenant\":{\"id\":\"acme\"}}\n[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]\n",
        "400 body_too_deep",
    ),
    (
        "deep in each record",
        "{\"tenant\":{\"id\":\"acme\"}}\n[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]\n[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]\n",
        "cell-a exact",
    ),
];
