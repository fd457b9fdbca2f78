//! Claims of verified tokens: Envoy's jwt_authn verifies, and both tiers read the payload in its dynamic metadata only.

use cellgate_tests::client::{Request, Response};
use cellgate_tests::options::{BodyMode, Chain, Options, sample_config};
use cellgate_tests::stack::Stack;
use serde_json::{Value, json};

use crate::jwt::{ISSUER, Issuer, base64url, unsecured};
use crate::support::{code, connection_manager, key_first};

/// The header in which jwt_authn forwards the payload to the upstream.
const PAYLOAD_HEADER: &str = "x-jwt-payload";

/// Every chain, each of which must decide alike.
const CHAINS: [Chain; 3] = [Chain::TwoTier, Chain::Service(BodyMode::Buffered), Chain::Service(BodyMode::Streamed)];

/// The sample configuration with these sources.
fn reading(sources: Value) -> Options {
    Options::default().configure(|config| config["key"] = sources)
}

/// For [`Options::adjust`]: puts jwt_authn in front of Cellgate. `/open` allows requests without a token, `/lenient` also those
/// with a bad one, `/unverified` verifies nothing, and every other path requires a token.
pub(crate) fn authentication(
    issuer: &Issuer,
    metadata_key: &'static str,
) -> impl FnOnce(&mut Value) + Send + 'static + use<> {
    let jwks = issuer.jwks();
    let requires = json!({"provider_name": "issuer"});
    let allows = json!({"requires_any": {"requirements": [requires, {"allow_missing": {}}]}});
    let ignores = json!({"requires_any": {"requirements": [requires, {"allow_missing_or_failed": {}}]}});
    let filter = json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"issuer": {
                "issuer": ISSUER,
                "local_jwks": {"inline_string": jwks},
                "payload_in_metadata": metadata_key,
                "header_in_metadata": "header",
                "forward_payload_header": PAYLOAD_HEADER,
            }},
            "rules": [
                {"match": {"prefix": "/open"}, "requires": allows},
                {"match": {"prefix": "/lenient"}, "requires": ignores},
                {"match": {"prefix": "/unverified"}},
                {"match": {"prefix": "/"}, "requires": requires},
            ],
        },
    });
    move |bootstrap| connection_manager(bootstrap)["http_filters"].as_array_mut().unwrap().insert(0, filter)
}

async fn start(options: Options, issuer: &Issuer) -> Stack {
    Stack::start(options.adjust(authentication(issuer, "payload"))).await
}

fn get(path: &str, bearer: &str) -> Request {
    Request::get(path).header("authorization", bearer)
}

fn org(id: &str) -> Value {
    json!({"org": {"id": id}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verified_claim_decides_in_every_chain() {
    let issuer = Issuer::new();
    for chain in CHAINS {
        let stack = start(reading(json!([{"claim": "/org/id"}])).chain(chain), &issuer).await;
        for (tenant, cell) in [("acme", "cell-b"), ("globex", "cell-c"), ("initech", "cell-a")] {
            let request = get("/", &issuer.bearer(&org(tenant)));
            for answer in [stack.send(&request).await, stack.send_h2(&request).await] {
                assert_eq!((answer.cell(), answer.received("x-cell")), (cell, vec![cell.to_owned()]), "{chain:?}");
            }
        }
        let posted = Request::post("/").header("authorization", issuer.bearer(&org("acme")));
        let answer = stack.send(&posted.json(key_first("globex", 4096))).await;
        assert_eq!(answer.cell(), "cell-b", "{chain:?}");
        if chain == Chain::TwoTier {
            assert_eq!(stack.ext_proc_streams().await, 0, "the filter decides from the head");
        }
    }
}

/// Plans and limits travel in verified tokens only. A client's header, cookie and body name none.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_names_no_plan_and_no_limit_of_its_own() {
    let issuer = Issuer::new();
    let limits = json!([
        {"name": "by-plan", "key": ["routing_key"], "limit": "1/h", "plans": {"pro": "1/h;burst=3"},
         "plan_from": {"claim": "/plan"}, "applies_to": {"paths": ["/open/plan"]}},
        {"name": "carried", "key": ["routing_key"], "limit": "1/h", "applies_to": {"paths": ["/open/carried"]},
         "limit_from": {"claim": "/limit", "at_most": "1/h;burst=3"}},
    ]);
    for chain in CHAINS {
        let options = Options::default().configure(|config| config["rate_limits"] = limits.clone()).chain(chain);
        let stack = start(options, &issuer).await;
        let admitted = async |path: &str, tenant: &str, token: Option<Value>| {
            let mut admitted = 0;
            for _ in 0..5 {
                let request = Request::post(path)
                    .json(format!(r#"{{"tenant":{{"id":"{tenant}"}},"plan":"pro","limit":"1/h;burst=9"}}"#));
                let request = request.header("plan", "pro").header("x-jwt-payload", r#"{"plan":"pro"}"#);
                let request = token
                    .iter()
                    .fold(request, |request, claims| request.header("authorization", issuer.bearer(claims)));
                admitted += usize::from(stack.send(&request).await.status == 200);
            }
            admitted
        };
        for (path, tenant, token, expected) in [
            ("/open/plan", "acme", Some(json!({"plan": "pro"})), 3),
            ("/open/plan", "globex", None, 1),
            ("/open/plan", "initech", Some(json!({"plan": "of-no-list"})), 1),
            ("/open/carried", "acme", Some(json!({"limit": "1/h;burst=2"})), 2),
            // The configuration bounds it.
            ("/open/carried", "globex", Some(json!({"limit": "1000/h;burst=900"})), 3),
            ("/open/carried", "initech", Some(json!({"limit": "unlimited"})), 1),
            ("/open/carried", "other", None, 1),
        ] {
            assert_eq!(admitted(path, tenant, token.clone()).await, expected, "{chain:?} {path} {token:?}");
        }
    }
}

/// The filter cannot hold the body, in which a source before the claim may have a key. The service reads all of it, and
/// finds the claim in the metadata that Envoy forwards.
#[tokio::test(flavor = "multi_thread")]
async fn the_service_finds_the_claim_of_a_deferred_request() {
    let issuer = Issuer::new();
    let options = reading(json!([{"json": "/tenant/id"}, {"claim": "/org/id"}])).buffer_limit(32 * 1024);
    let stack = start(options, &issuer).await;
    let request = |body: String| Request::post("/").header("authorization", issuer.bearer(&org("globex"))).json(body);
    let keyless = format!(r#"{{"x":"{}"}}"#, "p".repeat(64 * 1024));
    assert_eq!(stack.send(&request(keyless)).await.cell(), "cell-c");
    assert_eq!(stack.ext_proc_streams().await, 1);
    assert_eq!(stack.send(&request(key_first("acme", 1024))).await.cell(), "cell-b");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_verified_routes_nowhere() {
    let issuer = Issuer::new();
    let claims = org("acme");
    let expired = json!({"org": {"id": "acme"}, "exp": 1});
    let other = json!({"org": {"id": "acme"}, "iss": "https://other.test"});
    let mut tampered = issuer.token(&org("globex"));
    let payload = tampered.split('.').nth(1).unwrap().to_owned();
    tampered = tampered.replace(&payload, issuer.token(&claims).split('.').nth(1).unwrap());
    for chain in CHAINS {
        let stack = start(reading(json!([{"claim": "/org/id"}])).chain(chain), &issuer).await;
        for (what, token) in [
            ("forged", Issuer::new().token(&claims)),
            ("tampered", tampered.clone()),
            ("unsecured", unsecured(&claims)),
            ("expired", issuer.token(&expired)),
            ("of another issuer", issuer.token(&other)),
            ("not a token", "acme".to_owned()),
        ] {
            for path in ["/", "/open"] {
                let answer = stack.send(&get(path, &format!("Bearer {token}"))).await;
                assert_eq!((answer.status.as_u16(), answer.served_by()), (401, None), "{what} at {path} in {chain:?}");
            }
            // Here jwt_authn lets the request pass, and leaves no payload.
            let answer = stack.send(&get("/lenient", &format!("Bearer {token}"))).await;
            assert_eq!(outcome(&answer), "400 key_missing", "{what} in {chain:?}");
        }
        assert_eq!(stack.get("/").await.status, 401, "without a token");
        let missing = stack.get("/open").await;
        assert_eq!((missing.status.as_u16(), code(&missing)), (400, "key_missing".to_owned()));
        // jwt_authn leaves no payload where it verifies nothing, even if the token is valid.
        let unverified = stack.send(&get("/unverified", &issuer.bearer(&claims))).await;
        assert_eq!((unverified.status.as_u16(), code(&unverified)), (400, "key_missing".to_owned()));
        assert!(stack.cells().iter().all(|cell| cell.arrived() == 0), "{chain:?}");
        let verified = stack.send(&get("/lenient", &issuer.bearer(&claims))).await;
        assert_eq!(outcome(&verified), "cell-b", "{chain:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_own_header_loses_to_the_claim() {
    let issuer = Issuer::new();
    for chain in CHAINS {
        let sources = json!([{"claim": "/org/id"}, {"header": "x-tenant-id"}]);
        let stack = start(reading(sources).chain(chain), &issuer).await;
        let request = |path| Request::get(path).header("x-tenant-id", "globex").header("x-cell", "cell-a");
        let answer = stack.send(&request("/").header("authorization", issuer.bearer(&org("acme")))).await;
        assert_eq!((answer.cell(), answer.received("x-cell")), ("cell-b", vec!["cell-b".to_owned()]), "{chain:?}");
        // A claim that is no key does not make way for the header.
        let answer =
            stack.send(&request("/").header("authorization", issuer.bearer(&json!({"org": {"id": true}})))).await;
        assert_eq!((answer.status.as_u16(), code(&answer)), (400, "key_boolean".to_owned()), "{chain:?}");
        // The next source decides where tokens are not required: the configuration says so.
        assert_eq!(stack.send(&request("/open")).await.cell(), "cell-c", "{chain:?}");
    }
}

/// Before Envoy 1.40 a client's own payload header reaches the upstream on a path that jwt_authn does not verify.
#[tokio::test(flavor = "multi_thread")]
async fn a_payload_header_is_never_read() {
    let issuer = Issuer::new();
    let payload = base64url(org("globex").to_string().as_bytes());
    for chain in CHAINS {
        let stack = start(reading(json!([{"claim": "/org/id"}])).chain(chain), &issuer).await;
        let request = |path| Request::get(path).header(PAYLOAD_HEADER, &payload);
        for path in ["/open", "/unverified"] {
            let answer = stack.send(&request(path)).await;
            assert_eq!((answer.status.as_u16(), code(&answer)), (400, "key_missing".to_owned()), "{path} in {chain:?}");
        }
        let answer = stack.send(&request("/").header("authorization", issuer.bearer(&org("acme")))).await;
        assert_eq!(answer.cell(), "cell-b", "{chain:?}");
        assert_eq!(stack.cell("cell-c").arrived(), 0);
    }
}

/// What a client can make of an answer: the cell, or the status and the reason.
fn outcome(answer: &Response) -> String {
    match answer.served_by() {
        Some(cell) => cell.to_owned(),
        None => format!("{} {}", answer.status.as_u16(), code(answer)),
    }
}

/// In this form of Envoy's metadata, values keep their types: eight bytes of text and a double are not the same.
#[tokio::test(flavor = "multi_thread")]
async fn each_type_of_claim_is_a_key_or_has_its_reason() {
    let issuer = Issuer::new();
    let mut config = sample_config();
    config["key"] = json!([{"claim": "/org/0/id"}]);
    config["placement"] = json!({"exact": {
        "42": "cell-a", "-7": "cell-a", "9007199254740991": "cell-a", "12345678": "cell-b", "å": "cell-b", "true": "cell-c",
        "null": "cell-c", "1.5": "cell-c", "9007199254740992": "cell-c",
    }});
    for chain in CHAINS {
        let stack = start(Options::default().config(config.clone()).chain(chain), &issuer).await;
        for (claim, expected) in [
            (json!(42), "cell-a"),
            (json!(-7), "cell-a"),
            (json!(42.0), "cell-a"),
            (json!(9_007_199_254_740_991_u64), "cell-a"),
            (json!("42"), "cell-a"),
            (json!("12345678"), "cell-b"),
            (json!("å"), "cell-b"),
            (json!("true"), "cell-c"),
            (json!("null"), "cell-c"),
            (json!("1.5"), "cell-c"),
            (json!(1.5), "400 key_float"),
            (json!(9_007_199_254_740_992_u64), "400 key_float"),
            (json!(9_007_199_254_740_993_u64), "400 key_float"),
            (json!(1e300), "400 key_float"),
            (json!(true), "400 key_boolean"),
            (json!(null), "400 key_null"),
            (json!({"x": "42"}), "400 key_object"),
            (json!(["42"]), "400 key_array"),
            (json!(""), "400 key_empty"),
            (json!("a\nb"), "400 key_control_character"),
            (json!("x".repeat(257)), "400 key_too_long"),
            (json!("hooli"), "421 key_unplaced"),
        ] {
            let claims = json!({"org": [{"id": claim}]});
            let answer = stack.send(&get("/", &issuer.bearer(&claims))).await;
            assert_eq!(outcome(&answer), expected, "{claim} in {chain:?}");
        }
        for claims in [json!({}), json!({"org": {"0": {"id": "42"}}}), json!({"org": "42"}), json!({"org": []})] {
            let found = outcome(&stack.send(&get("/", &issuer.bearer(&claims))).await);
            // A member named `0` is found by the same pointer (RFC 6901, 4).
            let expected = if claims["org"]["0"].is_null() { "400 key_missing" } else { "cell-a" };
            assert_eq!(found, expected, "{claims} in {chain:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metadata_key_is_that_of_the_configuration() {
    let issuer = Issuer::new();
    for chain in CHAINS {
        let options = reading(json!([{"claim": "/org/id"}])).chain(chain);
        let named = options.configure(|config| config["claims"] = json!({"metadata_key": "verified token"}));
        let stack = Stack::start(named.adjust(authentication(&issuer, "verified token"))).await;
        let request = get("/", &issuer.bearer(&org("acme")));
        assert_eq!(stack.send(&request).await.cell(), "cell-b", "{chain:?}");

        let options = reading(json!([{"claim": "/org/id"}])).chain(chain);
        let stack = Stack::start(options.adjust(authentication(&issuer, "verified token"))).await;
        assert_eq!(outcome(&stack.send(&request).await), "400 key_missing", "{chain:?}");
    }
}

/// Metadata of another filter's namespace is no verified payload, even if a client chooses its value.
#[tokio::test(flavor = "multi_thread")]
async fn metadata_of_another_filter_is_not_read() {
    let issuer = Issuer::new();
    for chain in CHAINS {
        let stack = start(reading(json!([{"claim": "/org"}])).chain(chain).adjust(from_header), &issuer).await;
        let request = Request::get("/open").header("x-org", "acme");
        assert_eq!(outcome(&stack.send(&request).await), "400 key_missing", "{chain:?}");
    }
}

/// For [`Options::adjust`]: a filter in front that writes a client's header as `org` into the namespace `payload`.
fn from_header(bootstrap: &mut Value) {
    let filter = json!({
        "name": "header-to-metadata",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.header_to_metadata.v3.Config",
            "request_rules": [{
                "header": "x-org",
                "on_header_present": {"metadata_namespace": "payload", "key": "org", "type": "STRING"},
            }],
        },
    });
    connection_manager(bootstrap)["http_filters"].as_array_mut().unwrap().insert(0, filter);
}
