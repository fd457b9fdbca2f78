//! `applies_to.hosts`: requests for other hosts pass, and no spelling of a host reaches the host's routes without a
//! decision.

use cellgate_tests::client::{Http1, Request};
use cellgate_tests::options::{BodyMode, Chain, Options, Underscores, sample_config};
use cellgate_tests::stack::Stack;
use serde_json::{Value, json};

use crate::support::{arrived, code, connection_manager};

/// The response of our host's route for a request without a decision. No test may ever see it.
const ESCAPED: &str = "our host, undecided";

/// The response of another team's routes.
const OTHERS: &str = "others";

/// A configuration of Envoy's virtual host matching.
#[derive(Clone, Copy, Debug)]
struct Matching {
    /// The domains of our virtual host.
    domains: &'static [&'static str],
    ignore_port: bool,
    strip_port: bool,
    strip_dot: bool,
}

const PLAIN: Matching = Matching {
    domains: &["api.example.com", "*.wild.example.com"],
    ignore_port: false,
    strip_port: false,
    strip_dot: false,
};

const MATCHINGS: [Matching; 6] = [
    PLAIN,
    // Istio's gateways today.
    Matching { ignore_port: true, ..PLAIN },
    // Istio's sidecars, which also match a service name with a trailing dot.
    Matching { domains: &["api.example.com", "api.example.com.", "*.wild.example.com"], ignore_port: true, ..PLAIN },
    // Istio's gateways in versions that did not ignore ports.
    Matching {
        domains: &["api.example.com", "api.example.com:*", "*.wild.example.com", "*.wild.example.com:80"],
        ..PLAIN
    },
    Matching { strip_port: true, strip_dot: true, ..PLAIN },
    Matching { ignore_port: true, strip_port: true, strip_dot: true, ..PLAIN },
];

/// Values of the Host header, and whether at least one of these Envoys matches them with our host.
const SPELLINGS: [(&str, bool); 34] = [
    ("api.example.com", true),
    ("API.Example.COM", true),
    ("api.example.com:80", true),
    ("Api.example.com:8443", true),
    ("api.example.com:", true),
    ("api.example.com:http", true),
    ("api.example.com:1:2", true),
    ("api.example.com:80]", true),
    ("api.example.com.", true),
    ("API.EXAMPLE.COM.:80", true),
    ("api.example.com..", false),
    ("a.wild.example.com", true),
    ("A.b.WILD.example.com:80", true),
    ("a.wild.example.com.", true),
    ("x:1.wild.example.com", true),
    ("[.wild.example.com", true),
    ("api.example.com,a.wild.example.com", true),
    ("wild.example.com", false),
    (".wild.example.com", false),
    ("awild.example.com", false),
    ("api.example.com,api.example.com", false),
    ("api.example.com other.example.com", false),
    ("user@api.example.com", false),
    ("api.example.com/", false),
    ("api.example.com%2e", false),
    ("api%2Eexample.com", false),
    ("[api.example.com]", false),
    ("[::1]:80", false),
    ("127.0.0.1", false),
    ("other.example.com", false),
    ("other.example.com:80", false),
    ("example.com", false),
    ("api.example.com.other.test", false),
    ("http://api.example.com", false),
];

impl Matching {
    /// Adds our virtual host next to the catch-all one.
    fn set_up(self, bootstrap: &mut Value) {
        let manager = connection_manager(bootstrap);
        manager["strip_any_host_port"] = json!(self.strip_port);
        manager["strip_trailing_host_dot"] = json!(self.strip_dot);
        let routes = &mut manager["route_config"];
        routes["ignore_port_in_host_matching"] = json!(self.ignore_port);
        let ours = &mut routes["virtual_hosts"][0];
        ours["domains"] = json!(self.domains);
        let last = ours["routes"].as_array_mut().unwrap().last_mut().unwrap();
        last["direct_response"] = json!({"status": 200, "body": {"inline_string": ESCAPED}});
        let others = json!({
            "name": "others",
            "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": OTHERS}}}],
        });
        routes["virtual_hosts"].as_array_mut().unwrap().push(others);
    }

    async fn start(self, chain: Chain) -> Stack {
        let config = config();
        let options = Options::default().chain(chain).config(config).underscores(Underscores::Allow);
        Stack::start(options.adjust(move |bootstrap| self.set_up(bootstrap))).await
    }
}

/// Requests for our hosts are decided; all others pass.
fn config() -> Value {
    let mut config = sample_config();
    config["applies_to"] = json!({"hosts": ["api.example.com", "*.wild.example.com"], "methods": ["GET", "CONNECT"]});
    config["policy"] = json!({"host_excluded": "pass"});
    config
}

/// A request of `acme`, whose cell is `cell-b`.
fn get() -> Request {
    Request::get("/").header("x-tenant-id", "acme").header("connection", "close")
}

/// The destination of a request: a cell, another team's routes, or Envoy's status. Every request gets a response.
async fn end(stack: &Stack, wire: &[u8]) -> String {
    let mut connection = Http1::connect(stack.address()).await.unwrap();
    connection.write(wire).await.unwrap();
    let Ok(answer) = connection.response("GET").await else { return "nowhere".to_owned() };
    match answer.served_by() {
        Some(cell) => cell.to_owned(),
        None if answer.status == 200 => answer.text(),
        None => answer.status.as_str().to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_host_reaches_its_routes_undecided() {
    for chain in [Chain::Filter, Chain::Service(BodyMode::Buffered)] {
        let mut seen = vec![Vec::new(); SPELLINGS.len()];
        for matching in MATCHINGS {
            let stack = matching.start(chain).await;
            for ((host, _), seen) in SPELLINGS.iter().zip(&mut seen) {
                let end = end(&stack, &get().authority(host).to_http1()).await;
                assert_ne!(end, ESCAPED, "{host:?} {chain:?} {matching:?}");
                seen.push(end);
            }
        }
        // The spelling must match our host in at least one of these Envoys; otherwise the check above proves nothing.
        for ((host, ours), seen) in SPELLINGS.iter().zip(seen) {
            assert_eq!(seen.iter().any(|end| end == "cell-b"), *ours, "{chain:?} {host:?}: {seen:?}");
        }
    }
}

/// A request may have its host in another place than one Host header. Envoy gives the filter the same host that it uses
/// for routing.
#[tokio::test(flavor = "multi_thread")]
async fn the_filter_uses_the_host_that_envoy_routes_by() {
    let (ours, others) = ("api.example.com", "other.example.com");
    for matching in MATCHINGS {
        let stack = matching.start(Chain::Filter).await;
        for (line, hosts, expected) in [
            // The host of an absolute target wins (RFC 9112, 3.2.2).
            ("GET http://api.example.com/ HTTP/1.1", &[others][..], Some("cell-b")),
            ("GET http://API.example.com HTTP/1.1", &[""], Some("cell-b")),
            ("GET http://other.example.com/ HTTP/1.1", &[ours], Some(OTHERS)),
            ("GET http://user@api.example.com/ HTTP/1.1", &[others], None),
            ("GET http://api.example.com:80:81/ HTTP/1.1", &[others], None),
            ("GET http:///api.example.com/ HTTP/1.1", &[ours], None),
            // Envoy joins two Host headers with a comma. A value that ends in the domain counts as a subdomain.
            ("GET / HTTP/1.1", &[others, "a.wild.example.com"], None),
            ("GET / HTTP/1.1", &["api.example.com:80", others], None),
            ("GET / HTTP/1.1", &[ours, others], None),
            ("GET / HTTP/1.1", &[others, ours], None),
            ("GET / HTTP/1.1", &[ours, ours], None),
            ("GET / HTTP/1.1", &[""], None),
            ("GET / HTTP/1.1", &[], Some("400")),
            ("GET / HTTP/1.0", &[], Some("426")),
        ] {
            let hosts: String = hosts.iter().map(|host| format!("host: {host}\r\n")).collect();
            let wire = format!("{line}\r\n{hosts}x-tenant-id: acme\r\nconnection: close\r\n\r\n");
            let end = end(&stack, wire.as_bytes()).await;
            assert_ne!(end, ESCAPED, "{line} {hosts:?} {matching:?}");
            if let Some(expected) = expected {
                assert_eq!(end, expected, "{line} {hosts:?} {matching:?}");
            }
        }
        for (authority, host, expected) in [
            (ours, None, Some("cell-b")),
            ("API.example.com", None, Some("cell-b")),
            (ours, Some(others), Some("cell-b")),
            (others, Some(ours), None),
            ("", Some(ours), Some("cell-b")),
            ("", Some(others), None),
            ("", None, None),
        ] {
            let mut request = Request::get("/").header("x-tenant-id", "acme").authority(authority);
            if let Some(host) = host {
                request = request.header("host", host);
            }
            // Without any host Envoy resets the stream.
            let answer = stack.connect_h2().await.send(&request).await.ok();
            let what = format!("{authority:?} {host:?} {matching:?}");
            assert_eq!(answer.as_ref().and_then(|answer| answer.served_by()), expected, "{what}");
            assert_ne!(answer.map(|answer| answer.text()).as_deref(), Some(ESCAPED), "{what}");
        }
        for (host, _) in SPELLINGS {
            // The client library does not send an invalid authority.
            let request = Request::get("/").header("x-tenant-id", "acme").authority(host);
            if let Ok(answer) = stack.connect_h2().await.send(&request).await {
                assert_ne!(answer.text(), ESCAPED, "{host:?} {matching:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reserved_headers_are_removed_from_requests_of_other_hosts_too() {
    let stack = PLAIN.start(Chain::Filter).await;
    let echo = Stack::start(
        Options::default().chain(Chain::Filter).config(config()).underscores(Underscores::Allow).adjust(|bootstrap| {
            let routes = &mut connection_manager(bootstrap)["route_config"]["virtual_hosts"][0]["routes"];
            *routes.as_array_mut().unwrap().last_mut().unwrap() =
                json!({"match": {"prefix": "/"}, "route": {"cluster": "cell-a"}});
        }),
    )
    .await;
    for name in ["x-cell", "X_Cell", "x-cellgate-defer"] {
        // The method is also outside `applies_to`; only the host matters here.
        let request = Request::post("/excluded").authority("other.example.com").header(name, "cell-b").json("{]");
        assert_eq!(stack.send(&request).await.text(), OTHERS, "{name}");
        for answer in [echo.send(&request).await, echo.send_h2(&request).await] {
            assert_eq!(answer.cell(), "cell-a");
            assert_eq!(answer.received(name), [""; 0]);
        }
    }
    assert_eq!(echo.envoy().access_line("/excluded").await.decision(), "pass;reason=host_excluded");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_hosts_are_rejected_unless_the_policy_passes_them() {
    for chain in [Chain::TwoTier, Chain::Service(BodyMode::Streamed)] {
        let options = Options::default().chain(chain).config(config());
        let stack = Stack::start(options.configure(|config| config["policy"] = json!({}))).await;
        let answer = stack.send(&get().authority("other.example.com")).await;
        assert_eq!((answer.status.as_u16(), &*code(&answer)), (421, "host_excluded"), "{chain:?}");
        assert_eq!(arrived(&stack), 0);
        assert_eq!(stack.send(&get().authority("a.wild.example.com:80")).await.cell(), "cell-b", "{chain:?}");
    }
}
