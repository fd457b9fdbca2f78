//! Header values are arbitrary bytes: with any of them, the filter decides and its VM does not trap.

use cellgate_tests::client::Request;
use cellgate_tests::options::{BodyMode, Chain, Options, Underscores};
use cellgate_tests::stack::Stack;
use serde_json::json;

use crate::support::{arrived, code, connection_manager, counted};

/// Every non-ASCII byte that RFC 9110, 5.5 allows in a value, then other sequences that are not UTF-8.
const HOSTILE: [&[u8]; 5] = [&ABOVE_ASCII, b"\xa1\xb1", b"\xff", b"acme\xc3", b"\xed\xa0\x80"];

const ABOVE_ASCII: [u8; 128] = {
    let mut bytes = [0; 128];
    let mut index = 0;
    while index < 128 {
        bytes[index] = 128 + index as u8;
        index += 1;
    }
    bytes
};

const GOOD: &str = r#"{"tenant":{"id":"acme"}}"#;

fn options(chain: Chain) -> Options {
    Options::default().chain(chain).configure(|config| {
        config["key"] = json!([{"json": "/tenant/id"}, {"header": "x-tenant-id"}, {"query": "tenant"},
            {"path": "/orgs/{key}"}, {"cookie": "tenant"}]);
    })
}

/// Both tiers, since each has its own code to read headers.
const CHAINS: [Chain; 2] = [Chain::TwoTier, Chain::Service(BodyMode::Streamed)];

#[tokio::test(flavor = "multi_thread")]
async fn non_utf8_values_arrive_unchanged() {
    for chain in CHAINS {
        let stack = Stack::start(options(chain)).await;
        for value in HOSTILE {
            for name in ["x-other", "user-agent", "traceparent", "accept", "authorization", "x-cells"] {
                let request = Request::post("/").header(name, value).json(GOOD);
                let answers = [stack.send(&request).await, stack.send_h2(&request).await];
                for answer in answers {
                    assert_eq!(answer.cell(), "cell-b", "{name}: {value:?}");
                    assert_eq!(answer.received(name), [cellgate_tests::client::latin1(value)], "{name}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_utf8_is_rejected_in_every_head_source() {
    for chain in CHAINS {
        let stack = Stack::start(options(chain)).await;
        for value in HOSTILE {
            let cookie = [b"a=b; tenant=".as_slice(), value].concat();
            let requests = [
                Request::get("/header").header("x-tenant-id", value),
                Request::get("/cookie").header("cookie", cookie),
                Request::get("/query?tenant=%ff"),
                Request::get("/orgs/%a1%b1"),
            ];
            for request in requests {
                for answer in [stack.send(&request).await, stack.send_h2(&request).await] {
                    assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (400, "key_invalid_utf8"));
                }
            }
        }
        // A hostile value next to the key has no effect.
        for value in HOSTILE {
            let request = Request::get("/").header("cookie", [b"a=".as_slice(), value, b"; tenant=acme"].concat());
            assert_eq!(stack.send(&request).await.cell(), "cell-b");
            assert_eq!(stack.send_h2(&request).await.cell(), "cell-b");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn body_describing_headers_may_have_any_bytes() {
    for chain in CHAINS {
        let stack = Stack::start(options(chain)).await;
        for value in HOSTILE {
            let in_charset = [b"application/json; charset=".as_slice(), value].concat();
            let requests = [
                (Request::post("/").header("content-type", value).body(GOOD), "content_type_unsupported"),
                (Request::post("/").header("content-type", in_charset).body(GOOD), "charset_unsupported"),
                (Request::post("/").header("content-encoding", value).json(GOOD), "body_encoded"),
            ];
            for (request, reason) in requests {
                assert_eq!(code(&stack.send(&request).await), reason, "{chain:?} {value:?}");
                assert_eq!(code(&stack.send_h2(&request).await), reason, "{chain:?} {value:?}");
            }
        }
        assert_eq!(arrived(&stack), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_may_have_non_ascii_bytes() {
    let stack = Stack::start(options(Chain::Filter)).await;
    for value in HOSTILE {
        let mut client = stack.connect().await;
        client.write([b"GET /orgs/".as_slice(), value, b" HTTP/1.1\r\nhost: x\r\n\r\n"].concat()).await.unwrap();
        // Envoy's parser may reject it; otherwise Cellgate does.
        assert_eq!(client.response("GET").await.unwrap().status, 400, "{value:?}");
    }
    assert_eq!(arrived(&stack), 0);
    assert_eq!(stack.post_json("/", GOOD).await.cell(), "cell-b");
}

#[tokio::test(flavor = "multi_thread")]
async fn reserved_headers_may_have_any_value() {
    let stack = Stack::start(options(Chain::TwoTier).underscores(Underscores::Allow)).await;
    for value in HOSTILE {
        for name in ["x-cell", "x_cell", "x-cellgate-defer", "x-cellgate-y"] {
            let request = Request::post("/").header(name, value).header(name, value).json(GOOD);
            for answer in [stack.send(&request).await, stack.send_h2(&request).await] {
                assert_eq!(answer.received("x-cell"), ["cell-b"]);
                assert!(name == "x-cell" || answer.received(name).is_empty());
            }
        }
    }
    assert_eq!(stack.ext_proc_streams().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_may_have_any_value() {
    let stack = Stack::start(options(Chain::TwoTier)).await;
    for value in HOSTILE {
        let request = Request::post("/").header("content-type", "application/json").pieces([GOOD]).to_http1();
        let body = request.strip_suffix(b"\r\n").unwrap();
        let trailers = [b"x-cell: ".as_slice(), value, b"\r\nx-kept: ", value, b"\r\n\r\n"].concat();
        let mut client = stack.connect().await;
        client.write([body, &trailers].concat()).await.unwrap();
        let answer = client.response("POST").await.unwrap();
        assert_eq!(answer.cell(), "cell-b");
        assert_eq!(answer.received_trailer("x-kept"), [cellgate_tests::client::latin1(value)]);
        assert_eq!(answer.received_trailer("x-cell"), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_headers_are_read_and_the_reserved_ones_found() {
    let options = options(Chain::TwoTier).adjust(|bootstrap| {
        connection_manager(bootstrap)["common_http_protocol_options"]["max_headers_count"] = json!(2100);
    });
    let stack = Stack::start(options).await;
    // Most of these headers are reserved and removed, since a cell accepts fewer headers.
    let mut request = Request::get("/");
    for number in 0..1000 {
        request = request.header(format!("x-cellgate-{number}"), "x").header("x-cell", "cell-c");
    }
    request = request.header("x-tenant-id", "acme");
    let answer = stack.send(&request).await;
    assert_eq!(answer.received("x-cell"), ["cell-b"]);
    assert!(!answer.text().contains("x-cellgate-"));
    counted(&stack, "stripped_headers", 2000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_rejects_more_headers_than_it_allows() {
    let stack = Stack::start(options(Chain::Filter)).await;
    let mut request = Request::get("/").header("x-tenant-id", "acme");
    for number in 0..100 {
        request = request.header(format!("x-{number}"), "x");
    }
    assert_eq!(stack.send(&request).await.status, 431);
    assert_eq!(arrived(&stack), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_values_are_read_completely() {
    for chain in CHAINS {
        let stack = Stack::start(options(chain)).await;
        let long = "v".repeat(40_000);
        let cookie = format!("a={long}; tenant=acme");
        assert_eq!(stack.send(&Request::get("/").header("cookie", &cookie)).await.cell(), "cell-b");
        assert_eq!(stack.send(&Request::get(&format!("/?a={long}&tenant=globex"))).await.cell(), "cell-c");
        let answer = stack.send(&Request::get("/").header("x-tenant-id", &long)).await;
        assert_eq!(code(&answer), "key_too_long", "{chain:?}");
    }
}

/// RFC 9113, 8.2.3 allows a client to split its cookies into several fields.
#[tokio::test(flavor = "multi_thread")]
async fn cookies_may_be_split_into_several_fields() {
    for chain in CHAINS {
        let stack = Stack::start(options(chain)).await;
        let request = Request::get("/").header("cookie", "a=b").header("cookie", "tenant=acme").header("cookie", "c=d");
        assert_eq!(stack.send(&request).await.cell(), "cell-b", "{chain:?}");
        assert_eq!(stack.send_h2(&request).await.cell(), "cell-b", "{chain:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_singleton_header_is_rejected() {
    for chain in CHAINS {
        let stack = Stack::start(options(chain)).await;
        let twice = |request: Request, name: &str, value: &str| request.header(name, value).header(name, value);
        let requests = [
            (twice(Request::get("/"), "x-tenant-id", "acme"), "key_duplicated"),
            (twice(Request::get("/"), "cookie", "tenant=acme"), "key_duplicated"),
            (twice(Request::post("/"), "content-type", "application/json").body(GOOD), "content_type_unsupported"),
            (twice(Request::post("/"), "content-encoding", "br").json(GOOD), "body_encoded"),
        ];
        for (request, reason) in requests {
            assert_eq!(code(&stack.send(&request).await), reason, "{chain:?}");
            assert_eq!(code(&stack.send_h2(&request).await), reason, "{chain:?}");
        }
        assert_eq!(arrived(&stack), 0);
    }
}
