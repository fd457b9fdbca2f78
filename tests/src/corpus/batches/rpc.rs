//! JSON-RPC and GraphQL: single requests and batches.

use super::Case;

pub(super) fn cases() -> Vec<Case> {
    let named = |kind: &'static str, cases: &'static [(&str, &str, &str)]| {
        cases.iter().map(move |(name, body, expect)| Case::new(format!("{kind}: {name}"), expect).json(body))
    };
    let document = "%7B%22tenantId%22%3A%22globex%22%7D";
    let mut cases: Vec<_> = named("JSON-RPC", JSON_RPC).chain(named("GraphQL", GRAPHQL)).collect();
    cases.extend([
        Case::new("GraphQL: GET", "cell-b exact")
            .method("GET")
            .path(format!("/graphql?query=%7B+orders+%7D&variables={document}")),
        Case::new("GraphQL: GET, variables twice", "400 key_duplicated")
            .method("GET")
            .path(format!("/graphql?variables={document}&variables={document}")),
        Case::new("GraphQL: GET, variables cut off", "400 body_truncated")
            .method("GET")
            .path("/graphql?variables=%7B%22tenantId%22%3A"),
        Case::new("GraphQL: GET, variables in another notation", "400 body_malformed")
            .method("GET")
            .path("/graphql?variables=tenantId:globex"),
        Case::new("GraphQL: GET, no tenant in the variables", "400 body_absent")
            .method("GET")
            .path("/graphql?variables=%7B%22id%22%3A1%7D"),
        Case::new("GraphQL: GET, no variables", "400 body_absent").method("GET").path("/graphql?query=%7B+orders+%7D"),
        Case::new("GraphQL: body outranks query", "cell-a exact")
            .path(format!("/graphql?variables={document}"))
            .json(r#"{"query":"{ orders }","variables":{"tenantId":"acme"}}"#),
        Case::new("GraphQL: query behind a body without tenant", "cell-b exact")
            .path(format!("/graphql?variables={document}"))
            .json(r#"{"query":"{ orders }"}"#),
        Case::new("GraphQL: query behind a null tenant", "cell-b exact")
            .path(format!("/graphql?variables={document}"))
            .json(r#"{"query":"{ orders }","variables":{"tenantId":null}}"#),
        Case::new("GraphQL: query behind a malformed body", "400 body_malformed")
            .path(format!("/graphql?variables={document}"))
            .json(r#"{"query":"{ orders }",}"#),
    ]);
    cases
}

const JSON_RPC: &[(&str, &str, &str)] = &[
    ("a call", r#"{"jsonrpc":"2.0","id":1,"method":"orders.list","params":{"tenant":"acme"}}"#, "cell-a exact"),
    ("a notification", r#"{"jsonrpc":"2.0","method":"touch","params":{"tenant":"globex"}}"#, "cell-b exact"),
    ("an integer", r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"tenant":42}}"#, "cell-b exact"),
    ("parameters by position", r#"{"jsonrpc":"2.0","id":1,"method":"m","params":["acme"]}"#, "400 key_missing"),
    ("no parameters", r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#, "400 key_missing"),
    ("a tenant beside the parameters", r#"{"id":1,"method":"m","params":{},"tenant":"acme"}"#, "400 key_missing"),
    ("null", r#"{"id":1,"params":{"tenant":null}}"#, "400 key_null"),
    ("null, and a later source", r#"{"params":{"tenant":null},"variables":{"tenantId":"acme"}}"#, "cell-a exact"),
    ("true, and a later source", r#"{"params":{"tenant":true},"variables":{"tenantId":"acme"}}"#, "400 key_boolean"),
    ("unplaced", r#"{"id":1,"params":{"tenant":"hooli"}}"#, "421 key_unplaced"),
    ("parameters twice", r#"{"params":{"tenant":"acme"},"params":{"tenant":"acme"}}"#, "400 key_duplicated"),
    ("parameters in another case", r#"{"Params":{"tenant":"acme"}}"#, "400 key_ambiguous"),
    ("batch of one", r#"[{"id":1,"params":{"tenant":"acme"}}]"#, "cell-a exact"),
    ("batch that agrees", r#"[{"params":{"tenant":"acme"}},{"params":{"tenant":"acme"}}]"#, "cell-a exact"),
    ("batch, last of three", r#"[{"id":1},{"id2":2},{"params":{"tenant":"globex"}}]"#, "cell-b exact"),
    ("batch with a ping", r#"[{"params":{"tenant":"acme"}},{"jsonrpc":"2.0","method":"ping"}]"#, "cell-a exact"),
    ("batch with a ping by position", r#"[{"params":["globex"]},{"params":{"tenant":"acme"}}]"#, "cell-a exact"),
    ("batch of pings", r#"[{"jsonrpc":"2.0","method":"ping"},{"jsonrpc":"2.0","method":"ping"}]"#, "400 key_missing"),
    ("batch that differs", r#"[{"params":{"tenant":"acme"}},{"params":{"tenant":"globex"}}]"#, "400 key_conflict"),
    (
        "batch that differs in case",
        r#"[{"params":{"tenant":"acme"}},{"params":{"tenant":"ACME"}}]"#,
        "400 key_conflict",
    ),
    ("batch, same by an escape", r#"[{"params":{"tenant":"acme"}},{"params":{"tenant":"\u0061cme"}}]"#, "cell-a exact"),
    ("batch, digits and integer", r#"[{"params":{"tenant":"42"}},{"params":{"tenant":42}}]"#, "cell-b exact"),
    ("batch, key then null", r#"[{"params":{"tenant":"acme"}},{"params":{"tenant":null}}]"#, "400 key_conflict"),
    ("batch, null then key", r#"[{"params":{"tenant":null}},{"params":{"tenant":"acme"}}]"#, "400 key_conflict"),
    ("batch, key then float", r#"[{"params":{"tenant":"42"}},{"params":{"tenant":42.0}}]"#, "400 key_conflict"),
    ("batch, key then empty", r#"[{"params":{"tenant":"acme"}},{"params":{"tenant":""}}]"#, "400 key_conflict"),
    ("batch of one, object", r#"[{"params":{"tenant":{}}}]"#, "400 key_object"),
    ("batch of one, array", r#"[{"params":{"tenant":["acme"]}}]"#, "400 key_array"),
    ("batch of one, control character", r#"[{"params":{"tenant":"a\n"}}]"#, "400 key_control_character"),
    ("batch, twice in one", r#"[{"params":{"tenant":"acme","tenant":"acme"}}]"#, "400 key_duplicated"),
    ("batch, parameters twice in one", r#"[{"params":{"tenant":"acme"},"params":{}}]"#, "400 key_duplicated"),
    ("batch, another case in one", r#"[{"params":{"TENANT":"acme"}}]"#, "400 key_ambiguous"),
    ("batch that agrees, unplaced", r#"[{"params":{"tenant":"x"}},{"params":{"tenant":"x"}}]"#, "421 key_unplaced"),
    ("batch that differs, unplaced", r#"[{"params":{"tenant":"x"}},{"params":{"tenant":"y"}}]"#, "400 key_conflict"),
    ("batch in a batch", r#"[[{"params":{"tenant":"acme"}}]]"#, "400 key_missing"),
    ("batch of other values", r#"["acme",1,null,true,[],{}]"#, "400 key_missing"),
    ("batch in an object", r#"{"0":{"params":{"tenant":"acme"}},"*":{"params":{"tenant":"acme"}}}"#, "400 key_missing"),
    ("batch with a comma too many", r#"[{"params":{"tenant":"acme"}},]"#, "400 body_malformed"),
    ("batch cut off", r#"[{"params":{"tenant":"acme"}},"#, "400 body_truncated"),
    ("two batches", r#"[{"params":{"tenant":"acme"}}][{"params":{"tenant":"globex"}}]"#, "400 body_malformed"),
];

const GRAPHQL: &[(&str, &str, &str)] = &[
    ("variables last", r#"{"query":"query($t: ID!) { a(t: $t) }","variables":{"tenantId":"acme"}}"#, "cell-a exact"),
    ("variables first", r#"{"variables":{"tenantId":"acme"},"operationName":"q","query":"{ a }"}"#, "cell-a exact"),
    (
        "a persisted query",
        r#"{"variables":{"tenantId":"globex"},"extensions":{"persistedQuery":{"version":1}}}"#,
        "cell-b exact",
    ),
    ("no variables", r#"{"query":"{ orders { id } }"}"#, "400 key_missing"),
    ("variables null", r#"{"query":"{ orders { id } }","variables":null}"#, "400 key_missing"),
    ("variables in a string", r#"{"query":"{ a }","variables":"{\"tenantId\":\"acme\"}"}"#, "400 key_missing"),
    ("a tenant in the text", r#"{"query":"{ orders(tenantId: \"acme\") { id } }"}"#, "400 key_missing"),
    ("variables within the text", r#"{"query":"{ a } #\",\"variables\":{\"tenantId\":\"acme\"}"}"#, "400 key_missing"),
    ("another case", r#"{"variables":{"tenantID":"acme"}}"#, "400 key_ambiguous"),
    ("another spelling", r#"{"variables":{"tenant_id":"acme"}}"#, "400 key_ambiguous"),
    ("another spelling beside it", r#"{"variables":{"tenantId":"acme","tenant_id":"globex"}}"#, "400 key_ambiguous"),
    ("a tenant twice", r#"{"variables":{"tenantId":"acme","tenantId":"globex"}}"#, "400 key_duplicated"),
    ("variables twice", r#"{"variables":{},"query":"{ a }","variables":{"tenantId":"acme"}}"#, "400 key_duplicated"),
    ("batch that agrees", r#"[{"query":"{ a }","variables":{"tenantId":"acme"}},{"query":"{ b }"}]"#, "cell-a exact"),
    (
        "batch that differs",
        r#"[{"variables":{"tenantId":"acme"}},{"variables":{"tenantId":"initech"}}]"#,
        "400 key_conflict",
    ),
    ("JSON-RPC outranks it", r#"{"variables":{"tenantId":"acme"},"params":{"tenant":"globex"}}"#, "cell-b exact"),
    (
        "batch, JSON-RPC outranks it",
        r#"[{"variables":{"tenantId":"acme"}},{"params":{"tenant":"globex"}}]"#,
        "cell-b exact",
    ),
];
