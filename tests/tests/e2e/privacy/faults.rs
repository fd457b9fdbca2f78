//! Refusals that a request alone cannot cause, a service that crashes, and a trap of the filter.

use cellgate_tests::client::{Request, Response};
use cellgate_tests::options::{BodyMode, Chain, Options, sample_config};
use cellgate_tests::ports::ClosedPort;
use cellgate_tests::secrets::MarkedSecrets;
use cellgate_tests::wait;
use serde_json::{Value, json};

use super::cases::{Answer, cases};
use super::rig::Rig;
use crate::encoded::encoders::gzip;
use crate::jwt::Issuer;
use crate::support::{bytes_read, code, connection_manager, read_by_envoy};

/// The reasons of a refusal that [`cases`] cannot cause. Each has a test here.
const OF_FAULTS: [&str; 8] = [
    "body_decode_time",
    "body_length_unknown",
    "body_unread",
    "cell_mismatch",
    "concurrency_limited",
    "deadline_exceeded",
    "limit_unknown",
    "overloaded",
];

/// Not refused by default, and sent by [`cases`] too.
const PASSED: [&str; 2] = ["excepted", "preflight"];

const REASONS: &str = include_str!("../../../../docs/reasons.md");

/// A new reason needs a request here.
#[test]
fn every_reason_that_refuses_is_sent_through_the_tiers() {
    let (secrets, issuer) = (MarkedSecrets::default(), Issuer::new());
    let mut sent: Vec<&str> = cases(&secrets, &issuer)
        .iter()
        .filter_map(|case| if let Answer::Refused(reason) = case.answer { Some(reason) } else { None })
        .chain(OF_FAULTS)
        .chain(PASSED)
        .collect();
    let table = REASONS.split("## The request has no key or no cell").nth(1).unwrap();
    let mut reasons: Vec<&str> = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    sent.sort_unstable();
    sent.dedup();
    reasons.sort_unstable();
    assert_eq!(sent, reasons);
}

/// A request with secrets in its head and in its body.
struct Marked<'a>(&'a MarkedSecrets);

impl Marked<'_> {
    fn head(&self, path: &str) -> Request {
        Request::post(&format!("{path}?token={}", self.0.of("a parameter of the query")))
            .header("content-type", "application/json")
            .header("x-secret", self.0.of("a header"))
            .header("authorization", format!("Bearer {}", self.0.of("a token")))
            .header("cookie", format!("session={}", self.0.of("a cookie")))
    }

    /// With the key at the end of about so many bytes.
    fn document(&self, size: usize) -> String {
        let (value, key) = (self.0.of("a value"), self.0.of("a key"));
        format!(r#"{{"x":"{value}{}","tenant":{{"id":"{key}"}}}}"#, "p".repeat(size))
    }
}

/// A stack with these changes of the sample configuration, in which every key has a cell.
async fn start(chain: Chain, options: Options, changes: Value) -> Rig {
    let mut config = sample_config();
    config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let rig = Rig::start(MarkedSecrets::default(), chain, options.config(config).buffer_limit(32 * 1024)).await;
    if chain != Chain::Filter {
        rig.level("trace").await;
    }
    rig
}

#[track_caller]
fn refused(answer: &Response, reason: &str) {
    assert_eq!(code(answer), reason, "{}", answer.text());
}

async fn private(rig: Rig) {
    rig.finish().await.assert_private(&[], &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_the_filter_must_not_hold() {
    let changes = json!({"policy": {"body_length_unknown": {"reject": 411}}});
    let mut rig = start(Chain::Filter, Options::default(), changes).await;
    let request = Marked(&rig.secrets).head("/").pieces([Marked(&rig.secrets).document(100_000)]);
    refused(&rig.send(request, false).await, "body_length_unknown");
    private(rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_another_cell() {
    let changes = json!({"decided_by": {"peers": ["spiffe://a/b"], "cell": "cell-c"}});
    let mut rig = start(Chain::Filter, Options::default(), changes).await;
    let request = Marked(&rig.secrets).head("/").body(Marked(&rig.secrets).document(10));
    refused(&rig.send(request, false).await, "cell_mismatch");
    private(rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_takes_too_long_to_decode() {
    let changes = json!({"limits": {"decode_ms": 1, "decoded_ratio": 100_000}});
    let mut rig = start(Chain::TwoTier, Options::default(), changes).await;
    let body = gzip(Marked(&rig.secrets).document(20_000_000));
    let request = Marked(&rig.secrets).head("/").header("content-encoding", "gzip").body(body);
    refused(&rig.send(request, false).await, "body_decode_time");
    private(rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_envoy_does_not_send() {
    let options = Options::default().adjust(|bootstrap| {
        let filters = connection_manager(bootstrap)["http_filters"].as_array_mut().unwrap();
        let processor = filters.iter_mut().find(|filter| filter["name"] == "cellgate-ext-proc").unwrap();
        processor["typed_config"]["processing_mode"]["request_body_mode"] = json!("NONE");
    });
    let mut rig = start(Chain::Service(BodyMode::Buffered), options, json!({})).await;
    let request = Marked(&rig.secrets).head("/").body(Marked(&rig.secrets).document(10));
    refused(&rig.send(request, false).await, "body_unread");
    private(rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_above_the_byte_budget_and_one_that_does_not_arrive() {
    let options =
        Options::default().service_option("--max-held-bytes", "256KiB").service_option("--decision-timeout", "1s");
    let mut rig = start(Chain::TwoTier, options, json!({})).await;
    let body = Marked(&rig.secrets).document(1_000_000);
    let request = Marked(&rig.secrets).head("/").body(body.clone());
    refused(&rig.send(request, false).await, "overloaded");

    let request = Marked(&rig.secrets).head("/").header("content-length", "100000").header("x-request-id", "late");
    let mut late = rig.stack.connect().await;
    late.write(request.http1_head()).await.unwrap();
    late.write(&body[..50_000]).await.unwrap();
    refused(&late.response("POST").await.unwrap(), "deadline_exceeded");
    private(rig).await;
}

/// The store's password is a secret too, and the digests of keys are made with another one.
#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_limits_that_does_not_answer() {
    let (nobody, files) = (ClosedPort::take().unwrap(), tempfile::tempdir().unwrap());
    let secrets = MarkedSecrets::default();
    let file = |name: &str, text: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    const HEX: &str = "8f14e45fceea167a5a36dedd4bea2543";
    let options = Options::default()
        .service_option("--limit-store", &format!("redis://{}/1", nobody.address().unwrap()))
        .service_option("--limit-store-password-file", &file("password", &secrets.of("the password of the store")))
        .service_option("--limit-secret-file", &file("secret", HEX));
    let limit = |name: &str| {
        json!({"name": name, "key": ["routing_key"], "limit": "10/s", "when_store_fails": name,
               "applies_to": {"paths": [format!("/{name}")]}})
    };
    let changes = json!({"rate_limits": [limit("deny"), limit("allow"), limit("local")]});
    let mut rig = start(Chain::TwoTier, options, changes).await;
    rig.secrets.add("the secret of limits", HEX);
    let _password = rig.secrets.of("the password of the store");
    for (path, status) in [("/deny", 503), ("/allow", 200), ("/local", 200)] {
        for size in [10, 100_000] {
            let request = Marked(&rig.secrets).head(path).body(Marked(&rig.secrets).document(size));
            let answer = rig.send(request, false).await;
            assert_eq!(answer.status, status, "{path}: {}", answer.text());
            if status == 503 {
                refused(&answer, "limit_unknown");
            }
        }
    }
    private(rig).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_requests_in_flight_than_a_limit_allows() {
    let changes = json!({"concurrency_limits": [{"name": "one", "key": ["routing_key"], "at_most": 1}]});
    let mut rig = start(Chain::TwoTier, Options::default(), changes).await;
    let request = Marked(&rig.secrets).head("/").body(Marked(&rig.secrets).document(10));
    rig.stack.cell("cell-a").reading(cellgate_tests::cell::Reading::Never);
    let mut first = rig.stack.connect().await;
    first.write(request.clone().header("x-request-id", "first").to_http1()).await.unwrap();
    rig.stack.cell("cell-a").wait_for_arrivals(1).await;
    refused(&rig.send(request, false).await, "concurrency_limited");
    drop(first);
    private(rig).await;
}

/// What a crash leaves: the logs of both, and the answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_killed_and_comes_back() {
    let mut rig = start(Chain::TwoTier, Options::default().service_option("--log-level", "trace"), json!({})).await;
    let request = |rig: &Rig| Marked(&rig.secrets).head("/").body(Marked(&rig.secrets).document(100_000));
    let half = request(&rig).to_http1();
    let mut open = rig.stack.connect().await;
    open.write(&half[..half.len() / 2]).await.unwrap();
    rig.stack.admin().wait_for_stat("cluster.ext-proc.upstream_rq_active", |active| active == 1).await;
    rig.stack.ext_proc().kill();
    assert_eq!(open.response("POST").await.unwrap().status, 503);
    assert_eq!(rig.send(request(&rig), false).await.status, 503);
    rig.stack.ext_proc().restart().await.unwrap();
    assert_eq!(rig.send(request(&rig), false).await.cell(), "cell-a");
    private(rig).await;
}

/// No client can cause a trap, so another filter does, by a name that is not UTF-8: see `trap.rs`.
#[tokio::test(flavor = "multi_thread")]
async fn a_trap_of_the_filter() {
    let name = MarkedSecrets::default().of("the name of a header");
    let script = format!(
        "function envoy_on_request(handle)\n  if handle:headers():get(\"x-trap\") then\n    \
         handle:headers():add(\"{name}-\\255\", \"v\")\n  end\nend\n"
    );
    let options = Options::default().adjust(move |bootstrap| {
        let lua = json!({
            "name": "hostile",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
                "default_source_code": {"inline_string": script},
            },
        });
        connection_manager(bootstrap)["http_filters"].as_array_mut().unwrap().insert(0, lua);
    });
    let mut rig = start(Chain::TwoTier, options, json!({})).await;
    let _name = rig.secrets.of("the name of a header");
    rig.stack.envoy().process().may_crash();
    let request = |rig: &Rig, size: usize| Marked(&rig.secrets).head("/").body(Marked(&rig.secrets).document(size));

    // A request that waits in the filter for the rest of its body.
    let whole = request(&rig, 1_000).to_http1();
    let mut held = rig.stack.connect().await;
    let before = bytes_read(&rig.stack).await;
    held.write(&whole[..whole.len() - 5]).await.unwrap();
    read_by_envoy(&rig.stack, before + whole.len() - 5).await;
    assert_eq!(rig.send(request(&rig, 10).header("x-trap", "1"), false).await.status, 503);
    held.write(&whole[whole.len() - 5..]).await.unwrap();
    assert_eq!(held.response("POST").await.unwrap().status, 503);

    let reloaded =
        || async { Ok((rig.stack.admin().stat("wasm.cellgate.vm_reload_success").await? == 1).then_some(())) };
    let asked = || async {
        // Envoy answers 503 until the back-off before the reload is over.
        let answer = rig.stack.send(&Marked(&rig.secrets).head("/").body("{}")).await;
        Ok((answer.status != 503).then_some(()))
    };
    wait::until("the VM to decide again", asked).await.unwrap();
    wait::until("the VM to be reloaded", reloaded).await.unwrap();
    assert_eq!(rig.send(request(&rig, 10), false).await.cell(), "cell-a");
    assert_eq!(rig.send(request(&rig, 100_000), false).await.cell(), "cell-a");
    let log = rig.stack.envoy().process().log();
    assert!(log.contains("Uncaught RuntimeError") && log.contains("cellgate: panicked at "), "{log}");
    private(rig).await;
}
