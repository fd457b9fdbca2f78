//! XML bodies.

use super::Case;

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<_> = BODIES
        .iter()
        .map(|(name, body, expect)| {
            Case::new(format!("xml: {name}"), expect).header("content-type", "application/xml").body(body)
        })
        .collect();
    cases.extend(TYPES.iter().map(|(content_type, expect)| {
        Case::new(format!("xml: type {content_type:?}"), expect).header("content-type", content_type).body(SOAP)
    }));
    let utf16: Vec<u8> = "\u{feff}<o><tenant>acme</tenant></o>".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let text = "QUJD".repeat(2000);
    cases.extend([
        Case::new("xml: UTF-16", "415 charset_unsupported").header("content-type", "text/xml").body(utf16),
        Case::new("xml: not UTF-8", "400 body_invalid_utf8")
            .header("content-type", "text/xml")
            .body(b"<order><tenant>ac\xffme</tenant></order>"),
        Case::new("xml: long text before the key", "cell-a exact")
            .header("content-type", "text/xml")
            .body(format!("<order note='{text}'><file>{text}</file><tenant>acme</tenant></order>")),
    ]);
    cases
}

const SOAP: &str = "<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope'><s:Body><m:Get xmlns:m='urn:m'>\
    <m:tenant>globex</m:tenant></m:Get></s:Body></s:Envelope>";

const TYPES: &[(&str, &str)] = &[
    ("text/xml", "cell-b exact"),
    ("text/xml; charset=utf-8", "cell-b exact"),
    ("application/soap+xml; charset=\"UTF-8\"; action=\"urn:m;Get\"", "cell-b exact"),
    ("application/vnd.example+xml", "cell-b exact"),
    ("text/xml; charset=iso-8859-1", "415 charset_unsupported"),
    ("text/xml; charset=utf-16", "415 charset_unsupported"),
    ("text/html", "415 content_type_unsupported"),
    ("text/vnd.example+xml", "415 content_type_unsupported"),
];

const BODIES: &[(&str, &str, &str)] = &[
    ("an element", "<order><tenant>acme</tenant></order>", "cell-a exact"),
    ("an attribute", "<invoice tenant='acme'/>", "cell-a exact"),
    ("an attribute in double quotes", "<invoice n=\">\" tenant = \"acme\" ></invoice>", "cell-a exact"),
    (
        "with declaration",
        "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>\r\n<order><tenant>acme</tenant></order>\r\n",
        "cell-a exact",
    ),
    ("with a byte order mark", "\u{feff}<order><tenant>acme</tenant></order>", "cell-a exact"),
    ("white space around the key", "<order>\n  <tenant>\n    acme\n  </tenant>\n</order>", "cell-a exact"),
    ("white space in an attribute", "<invoice tenant=' acme'/>", "slot slot"),
    ("a CDATA section", "<order><tenant><![CDATA[acme]]></tenant></order>", "cell-a exact"),
    ("references", "<order><tenant>&#97;c&#x6D;e</tenant></order>", "cell-a exact"),
    ("an escaped key", "<order><tenant>a&quot;b</tenant></order>", "cell-c exact"),
    ("a comment before the key", "<order><tenant> <!-- - -->acme</tenant></order>", "cell-a exact"),
    ("a comment in the key", "<order><tenant>ac<!-- - -->me</tenant></order>", "400 key_malformed"),
    ("an instruction in the key", "<order><tenant>ac<?x y?>me</tenant></order>", "400 key_malformed"),
    ("a CDATA section in the key", "<order><tenant>ac<![CDATA[me]]></tenant></order>", "400 key_malformed"),
    ("UTF-8", "<order><tenant>😀</tenant></order>", "cell-b exact"),
    (
        "SOAP 1.1, key in the header",
        "<soap:Envelope xmlns:soap='http://schemas.xmlsoap.org/soap/envelope/'><soap:Header><t:Tenant xmlns:t='urn:t'>initech</t:Tenant></soap:Header><soap:Body><Get xmlns='urn:m'><tenant>globex</tenant></Get></soap:Body></soap:Envelope>",
        "cell-c exact",
    ),
    (
        "any prefix",
        "<E xmlns='http://schemas.xmlsoap.org/soap/envelope/'><Body><x:Get xmlns:x='urn:m'><x:tenant>globex</x:tenant></x:Get></Body></E>",
        "400 key_missing",
    ),
    (
        "another prefix",
        "<Envelope xmlns='http://schemas.xmlsoap.org/soap/envelope/'><Body><x:Get xmlns:x='urn:m'><x:tenant>globex</x:tenant></x:Get></Body></Envelope>",
        "cell-b exact",
    ),
    ("the same name in a namespace", "<order xmlns='urn:o'><tenant>acme</tenant></order>", "400 key_missing"),
    ("another case", "<order><Tenant>acme</Tenant></order>", "400 key_missing"),
    ("deeper", "<order><x><tenant>acme</tenant></x></order>", "400 key_missing"),
    ("missing", "<order/>", "400 key_missing"),
    ("empty", "<order><tenant/></order>", "400 key_empty"),
    ("only white space", "<order><tenant> \n </tenant></order>", "400 key_empty"),
    ("elements in the key", "<order><tenant><id>acme</id></tenant></order>", "400 key_object"),
    ("a line break in the key", "<order><tenant>ac\nme</tenant></order>", "400 key_control_character"),
    ("twice", "<order><tenant>acme</tenant><tenant>globex</tenant></order>", "400 key_duplicated"),
    ("twice with one value", "<order><tenant>acme</tenant><x/><tenant>acme</tenant></order>", "400 key_duplicated"),
    (
        "two operations that agree",
        "<Envelope><Body><Get><tenant>acme</tenant></Get><Get><tenant>acme</tenant></Get></Body></Envelope>",
        "cell-a exact",
    ),
    (
        "two operations that differ",
        "<Envelope><Body><Get><tenant>acme</tenant></Get><Get><tenant>globex</tenant></Get></Body></Envelope>",
        "400 key_conflict",
    ),
    ("an attribute twice", "<invoice tenant='acme' tenant='acme'/>", "400 body_malformed"),
    ("a prefix without declaration", "<order><x:y/><tenant>acme</tenant></order>", "400 body_malformed"),
    ("a wrong end tag", "<order><tenant>acme</tenants></order>", "400 body_malformed"),
    ("a bare ampersand", "<order><a>b & c</a><tenant>acme</tenant></order>", "400 body_malformed"),
    ("a bare less-than", "<order><a>b < c</a><tenant>acme</tenant></order>", "400 body_malformed"),
    ("more after the root element", "<order><tenant>acme</tenant></order><order/>", "400 body_malformed"),
    ("XML 1.1", "<?xml version='1.1'?><order><tenant>acme</tenant></order>", "400 body_malformed"),
    (
        "another encoding",
        "<?xml version='1.0' encoding='ISO-8859-1'?><order><tenant>acme</tenant></order>",
        "415 charset_unsupported",
    ),
    ("JSON", "{\"tenant\":{\"id\":\"acme\"}}", "400 body_malformed"),
    ("truncated", "<order><tenant>acme</tenant>", "400 body_truncated"),
    ("nothing", " ", "400 body_truncated"),
    (
        "too deep",
        "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a/></a></a></a></a></a></a></a></a></a></a></a></a></a></a></a></a>",
        "400 body_too_deep",
    ),
    (
        "an external entity",
        "<?xml version='1.0'?><!DOCTYPE order [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><order><tenant>&x;</tenant></order>",
        "400 body_doctype",
    ),
    (
        "entities in entities",
        "<!DOCTYPE order [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;'>]><order><tenant>&b;</tenant></order>",
        "400 body_doctype",
    ),
    ("an entity without declaration", "<order><a>&nbsp;</a><tenant>acme</tenant></order>", "400 body_doctype"),
];
