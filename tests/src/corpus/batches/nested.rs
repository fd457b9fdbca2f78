//! Documents in values of other documents: JSON in JSON, in forms, in parts and in elements.

use super::Case;

pub(super) fn cases() -> Vec<Case> {
    let strings = STRINGS.iter().map(|(name, value, expect)| {
        Case::new(format!("in JSON: {name}"), expect).json(format!(r#"{{"type":"x","payload":{value},"n":1}}"#))
    });
    let fields = FIELDS.iter().map(|(name, body, expect)| Case::new(format!("in a form: {name}"), expect).form(body));
    let elements = ELEMENTS.iter().map(|(name, text, expect)| {
        let body = format!("<message><payload>{text}</payload></message>");
        Case::new(format!("in XML: {name}"), expect).of_type("text/xml", body)
    });
    let parts = PARTS.iter().map(|(name, head, body, expect)| {
        let part =
            |head: &str, body: &str| format!("--b\r\nContent-Disposition: form-data; name={head}\r\n\r\n{body}\r\n");
        let form = format!("{}{}--b--\r\n", part(head, body), part("map", r#"{"0":["variables.file"]}"#));
        Case::new(format!("in a part: {name}"), expect).of_type("multipart/form-data; boundary=b", form)
    });
    let text = "x".repeat(50_000);
    let long = [
        Case::new("in JSON: key behind 50 KB", "cell-a exact")
            .json(format!(r#"{{"payload":"{{\"text\":\"{text}\",\"team\":{{\"id\":\"acme\"}}}}"}}"#)),
        Case::new("in JSON: key before 50 KB", "cell-a exact")
            .json(format!(r#"{{"payload":"{{\"team\":{{\"id\":\"acme\"}},\"text\":\"{text}\"}}"}}"#)),
        Case::new("in a form: key behind 50 KB", "cell-b exact")
            .form(format!("a=b&payload=%7B%22text%22:%22{text}%22,%22team%22:%7B%22id%22:%22globex%22%7D%7D")),
        Case::new("in a form: cut off behind 50 KB", "400 body_truncated")
            .form(format!("payload=%7B%22text%22:%22{text}&a=b")),
    ];
    strings.chain(fields).chain(elements).chain(parts).chain(long).collect()
}

const STRINGS: &[(&str, &str, &str)] = &[
    ("a document", r#""{\"team\":{\"id\":\"acme\"}}""#, "cell-a exact"),
    ("a document by escapes", r#""\u007b\u0022team\u0022:{\"id\":42}\u007d""#, "cell-b exact"),
    ("escapes in the inner document", r#""{\"te\\u0061m\":{\"id\":\"\\u0061cme\"}}""#, "cell-a exact"),
    ("an emoji in the inner document", r#""{\"x\":\"😀\",\"team\":{\"id\":\"\ud83d\ude00\"}}""#, "cell-b exact"),
    ("white space around it", r#"" \n{\"team\":{\"id\":\"acme\"}}\t""#, "cell-a exact"),
    ("no key in it", r#""{\"team\":{}}""#, "400 key_missing"),
    ("another document in it", r#""{\"payload\":\"{\\\"team\\\":{\\\"id\\\":\\\"acme\\\"}}\"}""#, "400 key_missing"),
    ("an empty string", r#""""#, "400 key_empty"),
    ("a text", r#""acme""#, "400 body_malformed"),
    ("two documents", r#""{\"team\":{\"id\":\"acme\"}}{}""#, "400 body_malformed"),
    ("a comma too many", r#""{\"team\":{\"id\":\"acme\"},}""#, "400 body_malformed"),
    ("a raw line feed in an inner string", r#""{\"x\":\"\n\",\"team\":{\"id\":\"acme\"}}""#, "400 body_malformed"),
    ("cut off", r#""{\"team\":{\"id\":\"acme\"}""#, "400 body_truncated"),
    ("white space alone", r#""  ""#, "400 body_truncated"),
    ("too deep", r#""[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]""#, "400 body_too_deep"),
    ("a key twice", r#""{\"team\":{\"id\":\"acme\",\"id\":\"acme\"}}""#, "400 key_duplicated"),
    ("another case", r#""{\"team\":{\"ID\":\"acme\"}}""#, "400 key_ambiguous"),
    ("a float", r#""{\"team\":{\"id\":1.5}}""#, "400 key_float"),
    ("a null", r#""{\"team\":{\"id\":null}}""#, "400 key_null"),
    ("unplaced", r#""{\"team\":{\"id\":\"hooli\"}}""#, "421 key_unplaced"),
    ("an object", r#"{"team":{"id":"acme"}}"#, "400 key_object"),
    ("an array", r#"["{\"team\":{\"id\":\"acme\"}}"]"#, "400 key_array"),
    ("null itself", "null", "400 key_null"),
    ("true itself", "true", "400 key_boolean"),
    ("twice", r#""{\"team\":{\"id\":\"acme\"}}","payload":"{\"team\":{\"id\":\"acme\"}}""#, "400 key_duplicated"),
    ("a malformed body behind it", r#""{\"team\":{\"id\":\"acme\"}}",]"#, "400 body_malformed"),
    ("a lone surrogate of the inner document", r#""{\"x\":\"\\ud83d\",\"team\":{\"id\":\"acme\"}}""#, "cell-a exact"),
    ("a lone surrogate of the outer string", r#""{\"x\":\"\ud83d\",\"team\":{\"id\":\"acme\"}}""#, "400 key_malformed"),
];

const FIELDS: &[(&str, &str, &str)] = &[
    ("a document", "payload=%7B%22team%22%3A%7B%22id%22%3A%22acme%22%7D%7D", "cell-a exact"),
    ("a document, hardly encoded", "token=x&payload={\"team\":{\"id\":\"globex\"}}&n=1", "cell-b exact"),
    ("plus signs are white space", "payload=+{+\"team\"+:+{+\"id\":+\"acme\"+}+}+", "cell-a exact"),
    ("an ampersand that is not encoded", "payload={\"x\":\"a&b\",\"team\":{\"id\":\"acme\"}}", "400 body_truncated"),
    ("no key in it", "payload=%7B%7D", "400 key_missing"),
    ("empty", "payload=", "400 key_empty"),
    ("text", "payload=acme", "400 body_malformed"),
    ("twice", "payload=%7B%7D&payload={\"team\":{\"id\":\"acme\"}}", "400 key_duplicated"),
    ("a broken escape", "payload={\"team\":{\"id\":\"ac%zzme\"}}", "400 key_malformed"),
    ("not UTF-8", "payload={\"team\":{\"id\":\"%FF\"}}", "400 body_invalid_utf8"),
    ("a team that is null", "payload={\"team\":null}", "400 key_missing"),
    ("a float", "payload={\"team\":{\"id\":4.2}}", "400 key_float"),
];

const ELEMENTS: &[(&str, &str, &str)] = &[
    ("in CDATA", r#"<![CDATA[{"team":{"id":"acme"}}]]>"#, "cell-a exact"),
    ("escaped", "{&quot;team&quot;:{&#34;id&#x22;:&quot;globex&quot;}}", "cell-b exact"),
    ("as it is", r#" {"team":{"id":"acme"}} "#, "cell-a exact"),
    ("a comment within", r#"{"team":{"id":"ac<!-- x -->me"}}"#, "cell-a exact"),
    ("malformed", r#"<![CDATA[{"team":}]]>"#, "400 body_malformed"),
    ("cut off", r#"<![CDATA[{"team":]]>"#, "400 body_truncated"),
    ("empty", "", "400 key_empty"),
    ("no key", "{}", "400 key_missing"),
    ("elements", "<team><id>acme</id></team>", "400 key_object"),
];

const PARTS: &[(&str, &str, &str, &str)] = &[
    ("an operation", "operations", r#"{"query":"{ a }","variables":{"tenantId":"acme","file":null}}"#, "cell-a exact"),
    (
        "a typed operation",
        "operations\r\nContent-Type: application/json",
        r#"{"variables":{"tenantId":"globex"}}"#,
        "cell-b exact",
    ),
    (
        "a blob",
        "\"operations\"; filename=\"blob\"\r\nContent-Type: application/json",
        r#"{"variables":{"tenantId":"acme"}}"#,
        "cell-a exact",
    ),
    ("no tenant", "operations", r#"{"query":"{ a }","variables":{}}"#, "400 key_missing"),
    ("malformed", "operations", "query=a", "400 body_malformed"),
    ("cut off", "operations", r#"{"variables":"#, "400 body_truncated"),
    ("empty", "operations", "", "400 key_empty"),
    ("another case", "Operations", r#"{"variables":{"tenantId":"acme"}}"#, "400 key_ambiguous"),
    ("another part", "variables", r#"{"tenantId":"acme"}"#, "400 key_missing"),
    (
        "twice",
        "operations\r\n\r\n{}\r\n--b\r\nContent-Disposition: form-data; name=operations",
        r#"{"variables":{"tenantId":"acme"}}"#,
        "400 key_duplicated",
    ),
];
