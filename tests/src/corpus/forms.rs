//! Form bodies.

use super::Case;

pub(super) fn cases() -> Vec<Case> {
    FORMS.iter().map(|(name, body, expect)| Case::new(format!("form: {name}"), expect).form(body)).collect()
}

const FORMS: &[(&str, &str, &str)] = &[
    ("one field", "tenant_id=acme", "cell-a exact"),
    ("first of several", "tenant_id=acme&a=1&b=2", "cell-a exact"),
    ("last of several", "a=1&b=2&tenant_id=globex", "cell-b exact"),
    ("encoded name", "%74enant%5Fid=acme", "cell-a exact"),
    ("encoded value", "tenant_id=%61cm%65", "cell-a exact"),
    ("lower-case hex", "tenant_id=a%2fb", "cell-b exact"),
    ("upper-case hex", "tenant_id=a%2Fb", "cell-b exact"),
    ("plus is a space", "tenant_id=a+b", "cell-a exact"),
    ("%20 is a space", "tenant_id=a%20b", "cell-a exact"),
    ("UTF-8", "tenant_id=%C3%A5", "cell-c exact"),
    ("raw UTF-8", "tenant_id=å", "cell-c exact"),
    ("prefix", "tenant_id=eu-west-9", "cell-b prefix"),
    ("slot", "tenant_id=hooli", "slot slot"),
    ("equals sign in the value", "tenant_id=a=b", "slot slot"),
    ("empty pairs", "&&tenant_id=acme&&", "cell-a exact"),
    ("name of no characters", "=x&tenant_id=acme", "cell-a exact"),
    ("semicolon is no separator", "a=1;tenant_id=acme", "400 key_missing"),
    ("semicolon in the value", "tenant_id=acme;x", "slot slot"),
    ("another case", "Tenant_ID=acme", "400 key_ambiguous"),
    ("another case beside the field", "tenant_id=acme&Tenant_ID=globex", "400 key_ambiguous"),
    ("brackets are part of a name", "tenant_id[]=acme", "400 key_missing"),
    ("a space before the name", "+tenant_id=acme", "400 key_ambiguous"),
    ("name cut short", "tenant_i=acme", "400 key_missing"),
    ("name as a value", "a=tenant_id&b=acme", "400 key_missing"),
    ("missing", "a=1&b=2", "400 key_missing"),
    ("only separators", "&&&", "400 key_missing"),
    ("empty value", "tenant_id=", "400 key_empty"),
    ("no equals sign", "tenant_id", "400 key_empty"),
    ("no equals sign, more after it", "tenant_id&a=b", "400 key_empty"),
    ("twice", "tenant_id=acme&tenant_id=globex", "400 key_duplicated"),
    ("twice with one value", "tenant_id=acme&tenant_id=acme", "400 key_duplicated"),
    ("twice by an escape", "tenant_id=acme&%74enant_id=globex", "400 key_duplicated"),
    ("twice, once without a value", "tenant_id=acme&tenant_id", "400 key_duplicated"),
    ("broken escape", "tenant_id=ac%zzme", "400 key_malformed"),
    ("escape cut off", "tenant_id=acme%", "400 key_malformed"),
    ("escape cut off by the separator", "tenant_id=acme%4&a=b", "400 key_malformed"),
    ("broken escape elsewhere", "a=%zz&%=1&tenant_id=acme", "cell-a exact"),
    ("not UTF-8", "tenant_id=%FF", "400 key_invalid_utf8"),
    ("not UTF-8 elsewhere", "a=%FF&tenant_id=acme", "cell-a exact"),
    ("control character", "tenant_id=acme%0D%0Ax-cell:+cell-b", "400 key_control_character"),
    ("NUL", "tenant_id=acme%00", "400 key_control_character"),
    (
        "as long as allowed, encoded",
        "tenant_id=%30%31%32%33%34%35%36%37%30%31%32%33%34%35%36%37%30%31%32%33%34%35%36%37%30%31%32%33%34%35%36%37%30%31%32%33%34%35%36%37%30%31%32%33%34%35%36%37%30%31%32%33%34%35%36%37%30%31%32%33%34%35%36%37",
        "slot slot",
    ),
    ("too long", "tenant_id=01234567890123456789012345678901234567890123456789012345678901234", "400 key_too_long"),
    ("JSON in a form", r#"{"tenant":{"id":"acme"}}"#, "400 key_missing"),
];
