//! JSON bodies.

use super::Case;

pub(super) fn cases() -> Vec<Case> {
    let documents = WELL_FORMED.iter().chain(KEYS).chain(DUPLICATES).chain(MALFORMED);
    let mut cases: Vec<_> =
        documents.map(|(name, body, expect)| Case::new(format!("json: {name}"), expect).json(body)).collect();
    cases.extend(BYTES.iter().map(|(name, body, expect)| Case::new(format!("json: {name}"), expect).json(body)));
    cases.extend(truncations());
    cases.extend(nesting());
    cases
}

const WELL_FORMED: &[(&str, &str, &str)] = &[
    ("compact", r#"{"tenant":{"id":"acme"}}"#, "cell-a exact"),
    ("white space of every kind", " \t\r\n{ \"tenant\" :\n{\"id\"\t:\r\"globex\" } } \n", "cell-b exact"),
    ("key last", r#"{"a":1,"b":[1,2,{"c":null}],"tenant":{"x":{},"id":"initech"}}"#, "cell-c exact"),
    ("key first", r#"{"tenant":{"id":"initech","x":[]},"a":1}"#, "cell-c exact"),
    ("second pointer", r#"{"items":[{"a/b":"acme"}]}"#, "cell-a exact"),
    ("second pointer, later items ignored", r#"{"items":[{"a/b":"acme"},{"a/b":"globex"}]}"#, "cell-a exact"),
    ("second pointer, not the first item", r#"{"items":[{},{"a/b":"acme"}]}"#, "400 key_missing"),
    ("index into an object", r#"{"items":{"0":{"a/b":"acme"}}}"#, "cell-a exact"),
    ("first pointer outranks the second", r#"{"items":[{"a/b":"acme"}],"tenant":{"id":"globex"}}"#, "cell-b exact"),
    ("name elsewhere in a string", r#"{"x":"\"tenant\":{\"id\":\"acme\"}","tenant":{"id":"globex"}}"#, "cell-b exact"),
    ("same names at the wrong depth", r#"{"a":{"tenant":{"id":"acme"}},"id":"acme"}"#, "400 key_missing"),
    ("names that only begin alike", r#"{"tenan":{"id":"acme"},"tenants":{"id":"acme"}}"#, "400 key_missing"),
    ("escaped name", r#"{"\u0074en\u0061nt":{"i\u0064":"acme"}}"#, "cell-a exact"),
    ("escaped slash in a name", r#"{"items":[{"a\/b":"acme"}]}"#, "cell-a exact"),
    ("escaped value", r#"{"tenant":{"id":"\u0061cm\u0065"}}"#, "cell-a exact"),
    ("escaped quote in the value", r#"{"tenant":{"id":"a\"b"}}"#, "cell-c exact"),
    ("escaped solidus in the value", r#"{"tenant":{"id":"a\/b"}}"#, "cell-b exact"),
    ("upper-case hex in an escape", r#"{"tenant":{"id":"\u00E5"}}"#, "cell-c exact"),
    ("two-byte character", r#"{"tenant":{"id":"å"}}"#, "cell-c exact"),
    ("four-byte character", r#"{"tenant":{"id":"😀"}}"#, "cell-b exact"),
    ("surrogate pair", r#"{"tenant":{"id":"\ud83d\uDE00"}}"#, "cell-b exact"),
    ("the text null", r#"{"tenant":{"id":"null"}}"#, "cell-a exact"),
    ("integer", r#"{"tenant":{"id":42}}"#, "cell-b exact"),
    ("integer equals the string of its digits", r#"{"tenant":{"id":"42"}}"#, "cell-b exact"),
    ("negative integer", r#"{"tenant":{"id":-7}}"#, "cell-c exact"),
    ("largest unsigned 64-bit integer", r#"{"tenant":{"id":18446744073709551615}}"#, "cell-a exact"),
    ("smallest signed 64-bit integer", r#"{"tenant":{"id":-9223372036854775808}}"#, "cell-b exact"),
    ("override beats exact", r#"{"tenant":{"id":"pinned"}}"#, "cell-b override"),
    ("override beats prefix", r#"{"tenant":{"id":"eu-pinned"}}"#, "cell-a override"),
    ("prefix", r#"{"tenant":{"id":"eu-north-1"}}"#, "cell-c prefix"),
    ("longest prefix", r#"{"tenant":{"id":"eu-west-1"}}"#, "cell-b prefix"),
    ("the prefix itself", r#"{"tenant":{"id":"eu-"}}"#, "cell-c prefix"),
    ("less than the prefix", r#"{"tenant":{"id":"eu"}}"#, "slot slot"),
    ("slot", r#"{"tenant":{"id":"hooli"}}"#, "slot slot"),
    ("slot of another key", r#"{"tenant":{"id":"umbrella"}}"#, "slot slot"),
    ("slot of a key beyond ASCII", r#"{"tenant":{"id":"日本語"}}"#, "slot slot"),
    ("upper case is another key", r#"{"tenant":{"id":"ACME"}}"#, "slot slot"),
    ("spaces are part of the key", r#"{"tenant":{"id":" acme "}}"#, "slot slot"),
    ("composed and decomposed differ", "{\"tenant\":{\"id\":\"a\u{30a}\"}}", "slot slot"),
    (
        "numbers of every form",
        r#"{"n":[0,-0,1.5,-1.5e+10,1E5,0.0e-0,123456789012345678901234567890,1e999],"tenant":{"id":"acme"}}"#,
        "cell-a exact",
    ),
    ("literals", r#"{"l":[true,false,null],"tenant":{"id":"acme"}}"#, "cell-a exact"),
    ("every escape", r#"{"e":"\"\\\/\b\f\n\r\t\u0000\u001f","tenant":{"id":"acme"}}"#, "cell-a exact"),
    ("empty names", r#"{"":{"":[]},"tenant":{"":1,"id":"acme"}}"#, "cell-a exact"),
    ("delete character outside the key", "{\"x\":\"\u{7f}\",\"tenant\":{\"id\":\"acme\"}}", "cell-a exact"),
    ("noncharacters", "{\"x\":\"\u{ffff}\u{10ffff}\",\"tenant\":{\"id\":\"acme\"}}", "cell-a exact"),
    ("byte order mark inside a string", "{\"x\":\"\u{feff}\",\"tenant\":{\"id\":\"acme\"}}", "cell-a exact"),
];

const KEYS: &[(&str, &str, &str)] = &[
    ("key missing", r#"{"tenant":{}}"#, "400 key_missing"),
    ("empty object", "{}", "400 key_missing"),
    ("empty array", "[]", "400 key_missing"),
    ("top-level string", r#""acme""#, "400 key_missing"),
    ("top-level number", "42", "400 key_missing"),
    ("top-level literal", "null", "400 key_missing"),
    ("tenant is a string", r#"{"tenant":"acme"}"#, "400 key_missing"),
    ("tenant is an array", r#"{"tenant":[{"id":"acme"}]}"#, "400 key_missing"),
    ("null", r#"{"tenant":{"id":null}}"#, "400 key_null"),
    ("true", r#"{"tenant":{"id":true}}"#, "400 key_boolean"),
    ("false", r#"{"tenant":{"id":false}}"#, "400 key_boolean"),
    ("fraction", r#"{"tenant":{"id":4.2}}"#, "400 key_float"),
    ("whole number with a fraction", r#"{"tenant":{"id":42.0}}"#, "400 key_float"),
    ("exponent", r#"{"tenant":{"id":42e0}}"#, "400 key_float"),
    ("negative zero", r#"{"tenant":{"id":-0}}"#, "400 key_float"),
    ("beyond unsigned 64 bits", r#"{"tenant":{"id":18446744073709551616}}"#, "400 key_float"),
    ("beyond signed 64 bits", r#"{"tenant":{"id":-9223372036854775809}}"#, "400 key_float"),
    ("beyond a double", r#"{"tenant":{"id":1e999}}"#, "400 key_float"),
    ("object", r#"{"tenant":{"id":{"id":"acme"}}}"#, "400 key_object"),
    ("array", r#"{"tenant":{"id":["acme"]}}"#, "400 key_array"),
    ("empty string", r#"{"tenant":{"id":""}}"#, "400 key_empty"),
    (
        "exactly as long as allowed",
        r#"{"tenant":{"id":"0123456789012345678901234567890123456789012345678901234567890123"}}"#,
        "slot slot",
    ),
    (
        "one byte too long",
        r#"{"tenant":{"id":"01234567890123456789012345678901234567890123456789012345678901234"}}"#,
        "400 key_too_long",
    ),
    ("line feed", r#"{"tenant":{"id":"acme\n"}}"#, "400 key_control_character"),
    ("carriage return and header", r#"{"tenant":{"id":"acme\r\nx-cell: cell-b"}}"#, "400 key_control_character"),
    ("NUL", r#"{"tenant":{"id":"acme\u0000"}}"#, "400 key_control_character"),
    ("delete", "{\"tenant\":{\"id\":\"acme\u{7f}\"}}", "400 key_control_character"),
    ("C1 control", r#"{"tenant":{"id":"acme\u0085"}}"#, "400 key_control_character"),
    ("unusable first pointer is not skipped", r#"{"tenant":{"id":null},"items":[{"a/b":"acme"}]}"#, "400 key_null"),
];

const DUPLICATES: &[(&str, &str, &str)] = &[
    ("key twice", r#"{"tenant":{"id":"acme","id":"globex"}}"#, "400 key_duplicated"),
    ("key twice with one value", r#"{"tenant":{"id":"acme","id":"acme"}}"#, "400 key_duplicated"),
    ("parent twice", r#"{"tenant":{"id":"acme"},"tenant":{"id":"globex"}}"#, "400 key_duplicated"),
    ("parent twice, one empty", r#"{"tenant":{},"tenant":{"id":"acme"}}"#, "400 key_duplicated"),
    ("parent twice, one a string", r#"{"tenant":{"id":"acme"},"tenant":"x"}"#, "400 key_duplicated"),
    ("twice by an escape", r#"{"tenant":{"id":"acme","\u0069d":"globex"}}"#, "400 key_duplicated"),
    ("parent twice by an escape", r#"{"\u0074enant":{"id":"acme"},"tenant":{"id":"globex"}}"#, "400 key_duplicated"),
    ("thrice", r#"{"tenant":{"id":"acme","id":1,"id":null}}"#, "400 key_duplicated"),
    (
        "twice, far apart",
        r#"{"tenant":{"id":"acme"},"a":[[[{"b":"c"}]]],"x":{"tenant":{"id":"x"}},"tenant":{"id":"globex"}}"#,
        "400 key_duplicated",
    ),
    ("another case", r#"{"tenant":{"id":"acme","ID":"globex"}}"#, "400 key_ambiguous"),
    ("another case first", r#"{"tenant":{"Id":"acme","id":"globex"}}"#, "400 key_ambiguous"),
    ("another case alone", r#"{"TENANT":{"id":"acme"}}"#, "400 key_ambiguous"),
    ("another case by an escape", r#"{"tenant":{"id":"acme","\u0049d":"globex"}}"#, "400 key_ambiguous"),
    ("another spelling of a name", r#"{"tenant":{"id":"acme","i_d":"globex"}}"#, "400 key_ambiguous"),
    ("another spelling off the path", r#"{"tenant":{"id":"acme"},"created_at":1,"createdAt":2}"#, "cell-a exact"),
    ("an underscore before the name", r#"{"tenant":{"_id":"globex","id":"acme"}}"#, "cell-a exact"),
    ("another case off the path", r#"{"tenant":{"id":"acme"},"x":{"Tenant":{"Id":1}},"ID":2}"#, "cell-a exact"),
    ("off the path", r#"{"a":1,"a":2,"tenant":{"x":1,"x":2,"id":"acme"}}"#, "cell-a exact"),
    ("same name in different objects", r#"{"tenant":{"id":"acme"},"x":{"tenant":{"id":"globex"}}}"#, "cell-a exact"),
    ("same name in items", r#"{"list":[{"id":"x"},{"id":"y"}],"tenant":{"id":"acme"}}"#, "cell-a exact"),
    ("only on a lower pointer's path", r#"{"tenant":{"id":"acme"},"items":[],"items":[]}"#, "cell-a exact"),
    ("on the second pointer's path", r#"{"items":[{"a/b":"acme"}],"items":[{"a/b":"acme"}]}"#, "400 key_duplicated"),
];

const MALFORMED: &[(&str, &str, &str)] = &[
    ("not JSON", "tenant=acme", "400 body_malformed"),
    ("XML", "<tenant id=\"acme\"/>", "400 body_malformed"),
    ("two documents", r#"{"tenant":{"id":"acme"}}{"tenant":{"id":"globex"}}"#, "400 body_malformed"),
    ("JSON lines", "{\"tenant\":{\"id\":\"acme\"}}\n{}", "400 body_malformed"),
    ("trailing comma in an object", r#"{"tenant":{"id":"acme",}}"#, "400 body_malformed"),
    ("trailing comma in an array", r#"{"a":[1,],"tenant":{"id":"acme"}}"#, "400 body_malformed"),
    ("leading comma", r#"{,"tenant":{"id":"acme"}}"#, "400 body_malformed"),
    ("missing comma", r#"{"a":1 "tenant":{"id":"acme"}}"#, "400 body_malformed"),
    ("missing colon", r#"{"tenant" {"id":"acme"}}"#, "400 body_malformed"),
    ("two colons", r#"{"tenant"::{"id":"acme"}}"#, "400 body_malformed"),
    ("single quotes", "{'tenant':{'id':'acme'}}", "400 body_malformed"),
    ("unquoted name", r#"{tenant:{"id":"acme"}}"#, "400 body_malformed"),
    ("number as a name", r#"{1:2,"tenant":{"id":"acme"}}"#, "400 body_malformed"),
    ("comment", r#"{"tenant":{"id":"acme"}/* */}"#, "400 body_malformed"),
    ("line comment", "{\"tenant\":{\"id\":\"acme\"}}// x", "400 body_malformed"),
    ("hash comment", "# x\n{\"tenant\":{\"id\":\"acme\"}}", "400 body_malformed"),
    ("NaN", r#"{"a":NaN,"tenant":{"id":"acme"}}"#, "400 body_malformed"),
    ("Infinity", r#"{"a":-Infinity,"tenant":{"id":"acme"}}"#, "400 body_malformed"),
    ("undefined", r#"{"a":undefined,"tenant":{"id":"acme"}}"#, "400 body_malformed"),
    ("literal in upper case", r#"{"a":TRUE,"tenant":{"id":"acme"}}"#, "400 body_malformed"),
    ("literal cut short", r#"{"a":tru,"tenant":{"id":"acme"}}"#, "400 body_malformed"),
    ("literal run on", r#"{"a":truex,"tenant":{"id":"acme"}}"#, "400 body_malformed"),
    ("leading zero", r#"{"a":01,"tenant":{"id":"acme"}}"#, "400 body_malformed"),
    ("leading zero in the key", r#"{"tenant":{"id":042}}"#, "400 body_malformed"),
    ("leading plus", r#"{"a":+1,"tenant":{"id":"acme"}}"#, "400 body_malformed"),
    ("hexadecimal", r#"{"a":0x1,"tenant":{"id":"acme"}}"#, "400 body_malformed"),
    ("bare minus", r#"{"a":-,"tenant":{"id":"acme"}}"#, "400 body_malformed"),
    ("fraction without digits", r#"{"a":1.,"tenant":{"id":"acme"}}"#, "400 body_malformed"),
    ("leading point", r#"{"a":.5,"tenant":{"id":"acme"}}"#, "400 body_malformed"),
    ("exponent without digits", r#"{"a":1e,"tenant":{"id":"acme"}}"#, "400 body_malformed"),
    ("exponent with only a sign", r#"{"a":1e+,"tenant":{"id":"acme"}}"#, "400 body_malformed"),
    ("two points", r#"{"a":1.2.3,"tenant":{"id":"acme"}}"#, "400 body_malformed"),
    ("unknown escape", r#"{"a":"\x41","tenant":{"id":"acme"}}"#, "400 body_malformed"),
    ("escaped apostrophe", r#"{"a":"\'","tenant":{"id":"acme"}}"#, "400 body_malformed"),
    ("short unicode escape", r#"{"a":"\u12","tenant":{"id":"acme"}}"#, "400 body_malformed"),
    ("bad hex in an escape", r#"{"a":"\u12g4","tenant":{"id":"acme"}}"#, "400 body_malformed"),
    ("lone high surrogate", r#"{"a":"\ud83d","tenant":{"id":"acme"}}"#, "400 body_lone_surrogate"),
    ("lone low surrogate", r#"{"a":"\ude00","tenant":{"id":"acme"}}"#, "400 body_lone_surrogate"),
    ("high surrogate and a letter", r#"{"a":"\ud83dx","tenant":{"id":"acme"}}"#, "400 body_lone_surrogate"),
    ("two high surrogates", r#"{"a":"\ud83d\ud83d","tenant":{"id":"acme"}}"#, "400 body_lone_surrogate"),
    ("lone surrogate in the key", r#"{"tenant":{"id":"acme\ud83d"}}"#, "400 body_lone_surrogate"),
    ("lone surrogate in a name", r#"{"\ud83d":1,"tenant":{"id":"acme"}}"#, "400 body_lone_surrogate"),
    ("line feed in a string", "{\"a\":\"\n\",\"tenant\":{\"id\":\"acme\"}}", "400 body_malformed"),
    ("tab in a string", "{\"a\":\"\t\",\"tenant\":{\"id\":\"acme\"}}", "400 body_malformed"),
    ("NUL in a string", "{\"a\":\"\u{0}\",\"tenant\":{\"id\":\"acme\"}}", "400 body_malformed"),
    ("NUL after the document", "{\"tenant\":{\"id\":\"acme\"}}\u{0}", "400 body_malformed"),
    ("form feed as white space", "{\u{c}\"tenant\":{\"id\":\"acme\"}}", "400 body_malformed"),
    ("no-break space as white space", "{\u{a0}\"tenant\":{\"id\":\"acme\"}}", "400 body_malformed"),
    ("line separator as white space", "{\u{2028}\"tenant\":{\"id\":\"acme\"}}", "400 body_malformed"),
    ("closing the wrong bracket", r#"{"tenant":{"id":"acme"]}"#, "400 body_malformed"),
    ("closing once too often", r#"{"tenant":{"id":"acme"}}}"#, "400 body_malformed"),
    ("opening with a closing bracket", r#"]{"tenant":{"id":"acme"}}"#, "400 body_malformed"),
    ("colon in an array", r#"{"a":[1:2],"tenant":{"id":"acme"}}"#, "400 body_malformed"),
    ("name without value", r#"{"tenant":{"id"}}"#, "400 body_malformed"),
    ("malformed after the key", r#"{"tenant":{"id":"acme"},"x":}"#, "400 body_malformed"),
    ("anti-hijacking prefix", ")]}',\n{\"tenant\":{\"id\":\"acme\"}}", "400 body_malformed"),
    ("byte order mark", "\u{feff}{\"tenant\":{\"id\":\"acme\"}}", "400 body_byte_order_mark"),
    ("only white space", " \n ", "400 body_truncated"),
];

const BYTES: &[(&str, &[u8], &str)] = &[
    ("Latin-1", b"{\"a\":\"\xe5\",\"tenant\":{\"id\":\"acme\"}}", "400 body_invalid_utf8"),
    ("Latin-1 in the key", b"{\"tenant\":{\"id\":\"\xe5\"}}", "400 body_invalid_utf8"),
    ("Latin-1 in a name", b"{\"\xe5\":1,\"tenant\":{\"id\":\"acme\"}}", "400 body_invalid_utf8"),
    ("overlong slash", b"{\"a\":\"\xc0\xaf\",\"tenant\":{\"id\":\"acme\"}}", "400 body_invalid_utf8"),
    ("overlong NUL", b"{\"a\":\"\xc0\x80\",\"tenant\":{\"id\":\"acme\"}}", "400 body_invalid_utf8"),
    ("encoded surrogate", b"{\"a\":\"\xed\xa0\x80\",\"tenant\":{\"id\":\"acme\"}}", "400 body_invalid_utf8"),
    ("beyond Unicode", b"{\"a\":\"\xf4\x90\x80\x80\",\"tenant\":{\"id\":\"acme\"}}", "400 body_invalid_utf8"),
    ("lone continuation byte", b"{\"a\":\"\x80\",\"tenant\":{\"id\":\"acme\"}}", "400 body_invalid_utf8"),
    ("character cut by the quote", b"{\"a\":\"\xe2\x82\",\"tenant\":{\"id\":\"acme\"}}", "400 body_invalid_utf8"),
    ("character cut by an escape", b"{\"a\":\"\xe2\\n\",\"tenant\":{\"id\":\"acme\"}}", "400 body_invalid_utf8"),
    ("0xFF", b"{\"a\":\"\xff\",\"tenant\":{\"id\":\"acme\"}}", "400 body_invalid_utf8"),
    ("UTF-16", b"{\0\"\0t\0e\0n\0a\0n\0t\0\"\0:\0", "400 body_malformed"),
    ("gzip without saying so", b"\x1f\x8b\x08\0\0\0\0\0\0\x03", "400 body_malformed"),
    ("only NULs", b"\0\0\0\0", "400 body_malformed"),
];

/// A good document cut off at every byte but the last.
fn truncations() -> impl Iterator<Item = Case> {
    let document = r#"{"n":-1.5e3,"tenant":{"id":"acme"}}"#;
    (1..document.len()).map(move |end| {
        Case::new(format!("json: cut off after {end} bytes"), "400 body_truncated").json(&document[..end])
    })
}

/// Around the limit of 16 levels.
fn nesting() -> impl Iterator<Item = Case> {
    let nested = |levels: usize| {
        // The object itself is one level.
        let (open, close) = ("[".repeat(levels - 1), "]".repeat(levels - 1));
        format!(r#"{{"a":{open}{close},"tenant":{{"id":"acme"}}}}"#)
    };
    [(15, "cell-a exact"), (16, "cell-a exact"), (17, "400 body_too_deep"), (500, "400 body_too_deep")]
        .into_iter()
        .map(move |(levels, expect)| Case::new(format!("json: nested {levels} deep"), expect).json(nested(levels)))
}
