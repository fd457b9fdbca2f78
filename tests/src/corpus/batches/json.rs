//! Lists of events and attributes, parts of values, byte order marks, lone surrogates and long arrays in JSON.

use super::Case;

pub(super) fn cases() -> Vec<Case> {
    let lists = LISTS.iter().map(|(name, body, expect)| Case::new(format!("list: {name}"), expect).json(body));
    let attributes = ATTRIBUTES.iter().map(|(name, attributes, expect)| {
        let body = format!(r#"{{"resourceSpans":[{{"resource":{{"attributes":{attributes}}},"scopeSpans":[]}}]}}"#);
        Case::new(format!("attributes: {name}"), expect).json(body)
    });
    lists.chain(attributes).chain(long()).collect()
}

/// Arrays that are longer than the filter holds, or than a scanner could keep.
fn long() -> impl Iterator<Item = Case> {
    let array = |first: &str, element: &str, count: usize, last: &str| {
        format!("[{first}{}{last}]", format!("{element},").repeat(count))
    };
    let (acme, globex) = (r#"{"id":"acme"}"#, r#"{"id":"globex"}"#);
    [
        ("a million empty objects", array("", "{}", 1_000_000, "{}"), "400 key_missing"),
        ("100,000 empty objects before the key", array("", "{}", 100_000, acme), "cell-a exact"),
        ("100,000 empty arrays", array("", "[]", 100_000, "0"), "400 key_missing"),
        ("empty objects behind the key", array(&format!("{acme},"), "{}", 20_000, "{}"), "cell-a exact"),
        ("3000 keys that agree", array("", acme, 2999, acme), "cell-a exact"),
        ("3000 keys, the last differs", array("", acme, 2999, globex), "400 key_conflict"),
        ("3000 keys, the last is null", array("", acme, 2999, r#"{"id":null}"#), "400 key_conflict"),
        ("3000 keys, the last twice", array("", acme, 2999, r#"{"id":"acme","id":"acme"}"#), "400 key_duplicated"),
        ("3000 keys, the last in another case", array("", acme, 2999, r#"{"ID":"acme"}"#), "400 key_ambiguous"),
        ("3000 keys, malformed at the end", array("", acme, 2999, ""), "400 body_malformed"),
        ("100 keys that agree", array("", globex, 99, globex), "cell-b exact"),
        ("100 keys, the last differs", array("", globex, 99, acme), "400 key_conflict"),
    ]
    .into_iter()
    .map(|(name, body, expect)| Case::new(format!("size: {name}"), expect).json(body))
}

const LISTS: &[(&str, &str, &str)] = &[
    ("events", r#"{"events":[{"tenant":"acme"},{"n":1},{"tenant":"acme"}]}"#, "cell-a exact"),
    ("events that differ", r#"{"events":[{"tenant":"acme"},{"tenant":"globex"}]}"#, "400 key_conflict"),
    ("events, none", r#"{"events":[]}"#, "400 key_missing"),
    ("events, an object", r#"{"events":{"0":{"tenant":"acme"}}}"#, "400 key_missing"),
    ("events twice", r#"{"events":[{"tenant":"acme"}],"events":[{"tenant":"acme"}]}"#, "400 key_duplicated"),
    ("events twice, the second null", r#"{"events":[{"tenant":"acme"}],"events":null}"#, "400 key_duplicated"),
    ("events in another case", r#"{"Events":[{"tenant":"acme"}]}"#, "400 key_ambiguous"),
    ("events that are also an object", r#"{"events":[{"tenant":"acme"}],"_events":{}}"#, "cell-a exact"),
    ("events, a text", r#"{"events":"acme"}"#, "400 key_missing"),
    ("an event that is a text", r#"{"events":["globex",{"tenant":"acme"},null,[]]}"#, "cell-a exact"),
    (
        "resources by both names of protobuf's JSON",
        r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"tenant.id","value":{"stringValue":"acme"}}]}}],
            "resource_spans":[{"resource":{"attributes":[{"key":"tenant.id","value":{"stringValue":"globex"}}]}}]}"#,
        "400 key_ambiguous",
    ),
    (
        "resources by the original name",
        r#"{"resource_spans":[{"resource":{"attributes":[{"key":"tenant.id","value":{"stringValue":"acme"}}]}}]}"#,
        "400 key_ambiguous",
    ),
    ("a tenant in another list", r#"{"other":[{"tenant":"acme"}]}"#, "400 key_missing"),
    ("a list in an event", r#"{"events":[[{"tenant":"acme"}],{"events":[{"tenant":"acme"}]}]}"#, "400 key_missing"),
    ("an ARN", r#"{"resource":{"arn":"arn:aws:sqs:eu-west-1:123456789012:orders"}}"#, "cell-a exact"),
    ("an ARN with colons behind", r#"{"resource":{"arn":"arn:aws:sns:eu:123456789012:a:b:c"}}"#, "cell-a exact"),
    ("an ARN of no account", r#"{"resource":{"arn":"arn:aws:s3:::bucket"}}"#, "400 key_empty"),
    ("an ARN of another partition", r#"{"resource":{"arn":"arn:aws-cn:sqs:cn:123456789012:a"}}"#, "400 key_missing"),
    ("an ARN in upper case", r#"{"resource":{"arn":"ARN:AWS:SQS:EU:123456789012:A"}}"#, "400 key_missing"),
    ("an ARN cut off", r#"{"resource":{"arn":"arn:aws:sqs:eu"}}"#, "400 key_missing"),
    ("an ARN twice", r#"{"resource":{"arn":"arn:aws:a:b:42:c","arn":"x"}}"#, "400 key_duplicated"),
    ("an address", r#"{"user":"jo@acme"}"#, "cell-a exact"),
    ("an address in upper case", r#"{"user":"Jo@GLOBEX"}"#, "cell-b exact"),
    ("an address by an escape", r#"{"user":"Jo\u0040Globex"}"#, "cell-b exact"),
    ("an address with two signs", r#"{"user":"a@acme@globex"}"#, "400 key_malformed"),
    ("no address", r#"{"user":"acme"}"#, "400 key_missing"),
    ("an address without a domain", r#"{"user":"jo@"}"#, "400 key_empty"),
    ("an address, unplaced", r#"{"user":"jo@hooli"}"#, "421 key_unplaced"),
    ("a byte order mark", "\u{feff}{\"params\":{\"tenant\":\"acme\"}}", "cell-a exact"),
    ("a byte order mark before white space", "\u{feff} \n[{\"id\":\"acme\"}]", "cell-a exact"),
    ("a byte order mark behind white space", " \u{feff}{\"params\":{\"tenant\":\"acme\"}}", "400 body_malformed"),
    ("two byte order marks", "\u{feff}\u{feff}{\"params\":{\"tenant\":\"acme\"}}", "400 body_malformed"),
    ("a byte order mark at the end", "{\"params\":{\"tenant\":\"acme\"}}\u{feff}", "400 body_malformed"),
    ("a byte order mark alone", "\u{feff}", "400 body_truncated"),
    ("a byte order mark and no key", "\u{feff}{}", "400 key_missing"),
    ("a lone surrogate", r#"{"text":"hi \ud83d","params":{"tenant":"acme"}}"#, "cell-a exact"),
    ("a lone low surrogate behind the key", r#"{"params":{"tenant":"acme"},"text":"\udE00 hi"}"#, "cell-a exact"),
    ("two high surrogates", r#"{"text":"\ud83d\ud83d","params":{"tenant":"acme"}}"#, "cell-a exact"),
    ("a surrogate pair the wrong way round", r#"{"text":"\ude00\ud83d","params":{"tenant":"acme"}}"#, "cell-a exact"),
    (
        "a lone surrogate and half an escape",
        r#"{"text":"\ud83d\u12","params":{"tenant":"acme"}}"#,
        "400 body_malformed",
    ),
    ("a lone surrogate at the end of the body", r#"{"text":"\ud83d"#, "400 body_truncated"),
    ("a lone surrogate in a name off the path", r#"{"x":{"\ud83d":1},"params":{"tenant":"acme"}}"#, "cell-a exact"),
    ("a lone surrogate in the key", r#"{"params":{"tenant":"acme\ud83d"}}"#, "400 key_malformed"),
    ("a lone surrogate in a name on the path", r#"{"\ud83d":1,"params":{"tenant":"acme"}}"#, "400 body_lone_surrogate"),
    ("a lone surrogate beside the key", r#"{"params":{"tenant":"acme","\ud83d":1}}"#, "400 body_lone_surrogate"),
    ("a surrogate pair in the key", r#"{"params":{"tenant":"\ud83d\ude00"}}"#, "cell-b exact"),
];

/// Attributes of a resource in OTLP.
const ATTRIBUTES: &[(&str, &str, &str)] = &[
    ("one", r#"[{"key":"tenant.id","value":{"stringValue":"acme"}}]"#, "cell-a exact"),
    ("the value first", r#"[{"value":{"stringValue":"acme"},"key":"tenant.id"}]"#, "cell-a exact"),
    (
        "one of three",
        r#"[{"key":"a","value":{"stringValue":"globex"}},{"key":"tenant.id","value":{"stringValue":"acme"}},{"key":"b"}]"#,
        "cell-a exact",
    ),
    (
        "the value of another first",
        r#"[{"value":{"stringValue":"globex"},"key":"a"},{"value":{"stringValue":"acme"},"key":"tenant.id"}]"#,
        "cell-a exact",
    ),
    (
        "two that agree",
        r#"[{"key":"tenant.id","value":{"stringValue":"acme"}},{"value":{"stringValue":"acme"},"key":"tenant.id"}]"#,
        "cell-a exact",
    ),
    (
        "two that differ",
        r#"[{"key":"tenant.id","value":{"stringValue":"acme"}},{"key":"tenant.id","value":{"stringValue":"globex"}}]"#,
        "400 key_conflict",
    ),
    ("a name by an escape", r#"[{"\u006bey":"tenant\u002eid","value":{"stringValue":"acme"}}]"#, "cell-a exact"),
    ("none", "[]", "400 key_missing"),
    ("an object", r#"{"key":"tenant.id","value":{"stringValue":"acme"}}"#, "400 key_missing"),
    ("another text", r#"[{"key":"tenant.name","value":{"stringValue":"acme"}}]"#, "400 key_missing"),
    ("a longer text", r#"[{"key":"tenant.id2","value":{"stringValue":"acme"}}]"#, "400 key_missing"),
    ("another case of the text", r#"[{"key":"Tenant.Id","value":{"stringValue":"acme"}}]"#, "400 key_missing"),
    ("no member", r#"[{"value":{"stringValue":"acme"}}]"#, "400 key_missing"),
    ("a number as the member", r#"[{"key":1,"value":{"stringValue":"acme"}}]"#, "400 key_missing"),
    ("another type of value", r#"[{"key":"tenant.id","value":{"intValue":"42"}}]"#, "400 key_missing"),
    ("an integer", r#"[{"key":"tenant.id","value":{"stringValue":42}}]"#, "cell-b exact"),
    (
        "a value by both names of protobuf's JSON",
        r#"[{"key":"tenant.id","value":{"string_value":"globex","stringValue":"acme"}}]"#,
        "400 key_ambiguous",
    ),
    ("an empty value", r#"[{"key":"tenant.id","value":{"stringValue":""}}]"#, "400 key_empty"),
    ("the member twice", r#"[{"key":"a","value":{"stringValue":"acme"},"key":"tenant.id"}]"#, "400 key_duplicated"),
    ("the member in another case", r#"[{"Key":"tenant.id","value":{"stringValue":"acme"}}]"#, "400 key_ambiguous"),
    ("the value twice", r#"[{"key":"tenant.id","value":{"stringValue":"acme"},"value":{}}]"#, "400 key_duplicated"),
    (
        "a value of another twice",
        r#"[{"key":"a","value":{"stringValue":"x"},"value":{}},{"key":"tenant.id","value":{"stringValue":"acme"}}]"#,
        "cell-a exact",
    ),
    (
        "a lone surrogate in the member",
        r#"[{"key":"tenant.id\ud83d","value":{"stringValue":"acme"}}]"#,
        "400 key_malformed",
    ),
];
