//! A source in the host: the tenant is a subdomain, in whatever place and spelling the request names its host.

use cellgate_tests::client::{Http1, Request};
use cellgate_tests::options::{BodyMode, Chain, Options, sample_config};
use cellgate_tests::stack::Stack;
use serde_json::json;

use crate::support::code;

const CHAINS: [Chain; 2] = [Chain::Filter, Chain::Service(BodyMode::Buffered)];

async fn start(chain: Chain) -> Stack {
    let mut config = sample_config();
    config["key"] = json!([{"host": "{key}.example.com"}, {"header": "x-tenant-id"}]);
    Stack::start(Options::default().chain(chain).config(config)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_subdomain_decides_in_every_spelling() {
    for chain in CHAINS {
        let stack = start(chain).await;
        for (host, cell) in [
            ("acme.example.com", "cell-b"),
            ("ACME.Example.com", "cell-b"),
            ("globex.example.com:8443", "cell-c"),
            ("globex.example.com.", "cell-c"),
            ("globex.example.com.:80", "cell-c"),
            ("www.example.com", "cell-a"),
        ] {
            // The header is not read, because the source before it has a value.
            let request = Request::get("/").authority(host).header("x-tenant-id", "initech");
            for answer in [stack.send(&request).await, stack.send_h2(&request).await] {
                assert_eq!(answer.cell(), cell, "{host} {chain:?}");
            }
        }
        // Another host holds nothing, so the next source decides.
        for host in ["example.com", "a.acme.example.com", "acme.example.org", "[::1]:80"] {
            let request = Request::get("/").authority(host).header("x-tenant-id", "globex");
            assert_eq!(stack.send(&request).await.cell(), "cell-c", "{host} {chain:?}");
        }
        let x = Request::get("/").authority("x:1.example.com").header("x-tenant-id", "globex");
        let answer = stack.send(&x).await;
        assert_eq!((answer.status.as_u16(), &*code(&answer)), (400, "key_malformed"), "{chain:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_is_the_one_that_envoy_routes_by() {
    for chain in CHAINS {
        let stack = start(chain).await;
        for (line, hosts, expected) in [
            // The host of an absolute target wins (RFC 9112, 3.2.2).
            ("GET http://acme.example.com/ HTTP/1.1", &["globex.example.com"][..], "cell-b"),
            ("GET / HTTP/1.1", &["globex.example.com"], "cell-c"),
            // Envoy joins two Host headers with a comma.
            ("GET / HTTP/1.1", &["acme.example.com", "globex.example.com"], "400"),
            ("GET / HTTP/1.1", &["other", "acme.example.com"], "400"),
        ] {
            let hosts: String = hosts.iter().map(|host| format!("host: {host}\r\n")).collect();
            let mut connection = Http1::connect(stack.address()).await.unwrap();
            connection.write(format!("{line}\r\n{hosts}connection: close\r\n\r\n").as_bytes()).await.unwrap();
            let answer = connection.response("GET").await.unwrap();
            let end = answer.served_by().map_or_else(|| answer.status.as_str().to_owned(), str::to_owned);
            assert_eq!(end, expected, "{line} {hosts:?} {chain:?}");
        }
        for (authority, host, cell) in [
            ("acme.example.com", Some("globex.example.com"), "cell-b"),
            ("", Some("globex.example.com"), "cell-c"),
            ("acme.example.com", None, "cell-b"),
        ] {
            let mut request = Request::get("/").authority(authority);
            if let Some(host) = host {
                request = request.header("host", host);
            }
            assert_eq!(stack.send_h2(&request).await.cell(), cell, "{authority} {host:?} {chain:?}");
        }
    }
}
