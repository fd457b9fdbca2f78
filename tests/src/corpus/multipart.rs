//! Multipart bodies.

use super::Case;

const CONTENT_TYPE: &str = "multipart/form-data; boundary=----CorpusBoundary";

pub(super) fn cases() -> Vec<Case> {
    let bodies = BODIES.iter().map(|(name, text, expect)| {
        Case::new(format!("multipart: {name}"), expect).header("content-type", CONTENT_TYPE).body(body(text))
    });
    let types = TYPES.iter().map(|(content_type, expect)| {
        Case::new(format!("multipart: {content_type}"), expect)
            .header("content-type", content_type)
            .body(body("tenant_id¶¶acme§--"))
    });
    let large = |name: &str, text: String| {
        Case::new(format!("multipart: {name}"), "cell-b exact").header("content-type", CONTENT_TYPE).body(body(&text))
    };
    let file = format!("f; filename=\"a.png\"¶Content-Type: image/png¶¶{}", "-\r\n--".repeat(20_000));
    let sizes = [
        large("key before a file of 100 KB", format!("tenant_id¶¶globex§¶{file}§--¶")),
        large("key after a file of 100 KB", format!("{file}§¶tenant_id¶¶globex§--¶")),
    ];
    bodies.chain(types).chain(sizes).collect()
}

/// `¶` is a line break, and `§` a line break and the boundary. The text begins with the name of the first part, and `§¶`
/// comes before the name of another one.
fn body(text: &str) -> String {
    let part = "§\r\nContent-Disposition: form-data; name=";
    let text = format!("§¶{text}").replace("§¶", part).replace('§', "\r\n------CorpusBoundary").replace('¶', "\r\n");
    text.trim_start().to_owned()
}

const BODIES: &[(&str, &str, &str)] = &[
    ("one field", "tenant_id¶¶acme§--¶", "cell-a exact"),
    ("as browsers write it", "\"tenant_id\"¶¶acme§--¶", "cell-a exact"),
    ("first of several", "\"tenant_id\"¶¶acme§¶x¶¶1§¶y¶¶§--¶", "cell-a exact"),
    (
        "last of several",
        "x¶¶1§¶y; filename=\"\"¶Content-Type: application/octet-stream¶¶§¶tenant_id¶¶globex§--¶",
        "cell-b exact",
    ),
    ("no line break at the end", "tenant_id¶¶acme§--", "cell-a exact"),
    ("UTF-8", "tenant_id¶¶å§--¶", "cell-c exact"),
    ("no decoding", "tenant_id¶¶a%20b§--¶", "slot slot"),
    ("typed text", "tenant_id¶Content-Type: text/plain; charset=utf-8¶¶acme§--¶", "cell-a exact"),
    ("brackets are part of a name", "\"tenant_id[]\"¶¶acme§--¶", "400 key_missing"),
    ("empty value", "tenant_id¶¶§--¶", "400 key_empty"),
    ("line break in the value", "tenant_id¶¶acme¶§--¶", "400 key_control_character"),
    ("twice", "tenant_id¶¶acme§¶tenant_id¶¶globex§--¶", "400 key_duplicated"),
    ("twice, once as a file", "tenant_id; filename=x¶¶acme§¶tenant_id¶¶globex§--¶", "400 key_duplicated"),
    ("a file", "tenant_id; filename=\"x\"¶¶acme§--¶", "400 key_malformed"),
    ("a binary part", "tenant_id¶Content-Type: application/octet-stream¶¶acme§--¶", "400 key_malformed"),
    ("base64", "tenant_id¶Content-Transfer-Encoding: base64¶¶YWNtZQ==§--¶", "400 key_malformed"),
    ("mixed parts", "tenant_id¶Content-Type: multipart/mixed; boundary=y¶¶acme§--¶", "400 key_malformed"),
    ("UTF-7", "tenant_id¶Content-Type: text/plain; charset=utf-7¶¶acme§--¶", "415 charset_unsupported"),
    ("_charset_", "_charset_¶¶utf-16§¶tenant_id¶¶acme§--¶", "415 charset_unsupported"),
    ("another case", "Tenant_ID¶¶globex§¶tenant_id¶¶acme§--¶", "400 key_ambiguous"),
    ("a backslash in the name", "\"tenant\\_id\"¶¶globex§¶tenant_id¶¶acme§--¶", "400 key_ambiguous"),
    ("a percent-encoded name", "\"tenant%5Fid\"¶¶globex§¶tenant_id¶¶acme§--¶", "400 key_ambiguous"),
    ("two names", "x; name=tenant_id¶¶acme§--¶", "400 body_malformed"),
    ("an extended name", "x; name*=utf-8''tenant_id¶¶acme§--¶", "400 body_malformed"),
    ("a name in single quotes", "'tenant_id'¶¶acme§--¶", "400 body_malformed"),
    ("an encoded word", "\"=?utf-8?Q?tenant=5Fid?=\"¶¶acme§--¶", "400 body_malformed"),
    ("two dispositions", "x¶Content-Disposition: form-data; name=tenant_id¶¶acme§--¶", "400 body_malformed"),
    ("a folded header", "tenant_id;¶ filename=x¶¶acme§--¶", "400 body_malformed"),
    ("a name hidden in a file name", "x; filename=\"\\\"; name=\"tenant_id\"¶¶acme§--¶", "400 body_malformed"),
    (
        "bare line feeds",
        "x¶¶1\n------CorpusBoundary¶Content-Disposition: form-data; name=tenant_id¶¶acme§--¶",
        "400 body_malformed",
    ),
    (
        "the boundary in a line",
        "x¶¶1------CorpusBoundary¶Content-Disposition: form-data; name=tenant_id¶¶acme§--¶",
        "400 body_malformed",
    ),
    ("padding", "x¶¶1§ ¶Content-Disposition: form-data; name=tenant_id¶¶acme§--¶", "400 body_malformed"),
    ("a part after the end", "tenant_id¶¶acme§--§¶tenant_id¶¶globex§--¶", "400 body_malformed"),
    ("text after the end", "tenant_id¶¶acme§--¶more", "400 body_malformed"),
    ("no end", "tenant_id¶¶acme§¶x¶¶", "400 body_truncated"),
    ("half an end", "tenant_id¶¶acme§-", "400 body_truncated"),
];

const TYPES: &[(&str, &str)] = &[
    ("multipart/form-data; boundary=\"----CorpusBoundary\"", "cell-a exact"),
    ("Multipart/Form-Data; charset=utf-8; Boundary=----CorpusBoundary", "cell-a exact"),
    ("multipart/form-data; boundary=----CorpusBoundar", "400 body_malformed"),
    ("multipart/form-data; boundary=y", "400 body_malformed"),
    ("multipart/form-data", "400 body_malformed"),
    ("multipart/form-data; boundary=\"\"", "400 body_malformed"),
    ("multipart/form-data; boundary=\"----CorpusBoundary\"; boundary=y", "400 body_malformed"),
    ("multipart/form-data; boundary*=----CorpusBoundary", "400 body_malformed"),
    ("multipart/form-data; charset=utf-16; boundary=----CorpusBoundary", "415 charset_unsupported"),
    ("multipart/mixed; boundary=----CorpusBoundary", "415 content_type_unsupported"),
    ("multipart/related; boundary=----CorpusBoundary", "415 content_type_unsupported"),
];
