//! Bodies with a Content-Encoding: which tier decodes them, and that the upstream receives the original bytes.

pub(crate) mod encoders;
mod neighbours;

use cellgate_tests::cell::Ending;
use cellgate_tests::client::{Request, Response};
use cellgate_tests::options::{BodyMode, Chain, Options};
use cellgate_tests::sha256;
use cellgate_tests::stack::Stack;
use serde_json::json;

use crate::support::{arrived, code, key_first, key_last};
use crate::upload::{Framing, Upload};
use encoders::{brotli, gzip, noise_then_key, raw_deflate, zlib, zstd};

/// Envoy's buffer, and `limits.inspect_bytes`.
const LIMIT: usize = 32 * 1024;

/// A body that names two tenants.
const TWO_KEYS: &str = r#"{"tenant":{"id":"acme"},"tenant":{"id":"globex"}}"#;

fn options() -> Options {
    let codings = json!(["gzip", "deflate", "br", "zstd"]);
    Options::default().buffer_limit(LIMIT as u32).configure(|config| config["content_encodings"] = codings)
}

fn post(coding: &str, body: &[u8]) -> Request {
    Request::post("/").header("content-encoding", coding).json(body.to_vec())
}

/// Checks that `cell-b` has received these bytes with this Content-Encoding.
#[track_caller]
fn arrived_unchanged(answer: &Response, coding: &str, body: &[u8]) {
    assert_eq!(answer.status, 200, "{coding}: {}", answer.text());
    let received = (answer.cell(), answer.sha256(), answer.received("content-encoding"));
    assert_eq!(received, ("cell-b", sha256(body), vec![coding.to_owned()]), "{coding}");
}

/// Sends a body in two parts, so that the first is a chunk of its own.
async fn upload(stack: &Stack, framing: Framing, coding: &str, body: &[u8]) -> Response {
    let request = Request::post("/").header("content-type", "application/json").header("content-encoding", coding);
    let mut upload = Upload::open_with(stack, framing, request, body.len()).await;
    upload.send(&body[..body.len() / 2]).await;
    upload.send(&body[body.len() / 2..]).await;
    upload.finish().await.unwrap_or_else(|error| panic!("{coding}, {framing:?}: {error:#}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_decides_gzip_and_deflate_bodies_that_it_holds() {
    let stack = Stack::start(options()).await;
    let text = key_last("acme", 100_000);
    let bodies =
        [("gzip", gzip(&text)), ("X-GZIP", gzip(&text)), ("deflate", zlib(&text)), ("deflate", raw_deflate(&text))];
    for (coding, body) in bodies {
        arrived_unchanged(&stack.send(&post(coding, &body)).await, coding, &body);
        arrived_unchanged(&stack.send_h2(&post(coding, &body)).await, coding, &body);
        for framing in [Framing::Http1, Framing::Http2] {
            arrived_unchanged(&upload(&stack, framing, coding, &body).await, coding, &body);
        }
    }
    let form = gzip("tenant_id=acme");
    let request = Request::post("/").header("content-type", "application/x-www-form-urlencoded");
    let answer = stack.send(&request.header("content-encoding", "gzip").body(form.clone())).await;
    arrived_unchanged(&answer, "gzip", &form);
    assert_eq!(stack.ext_proc_streams().await, 0);
}

/// A small body with a length is deferred as `buffer`, and any other as `stream`.
#[tokio::test(flavor = "multi_thread")]
async fn the_service_decides_all_other_encoded_bodies() {
    let stack = Stack::start(options()).await;
    let mut deferred = 0;
    for size in [20_000, 200_000] {
        let text = noise_then_key("acme", size);
        let bodies = [
            ("zstd", zstd(&text)),
            ("br", brotli(&text)),
            ("gzip", gzip(&text)),
            ("deflate", zlib(&text)),
            ("gzip, br", brotli(gzip(&text))),
        ];
        for (coding, body) in bodies {
            assert_eq!(body.len() > LIMIT, size > LIMIT);
            for framing in Framing::ALL {
                arrived_unchanged(&upload(&stack, framing, coding, &body).await, coding, &body);
                let is_for_the_filter = matches!(coding, "gzip" | "deflate") && body.len() <= LIMIT;
                deferred += u64::from(!(is_for_the_filter && framing.has_length()));
                assert_eq!(stack.ext_proc_streams().await, deferred, "{coding}, {size}, {framing:?}");
            }
        }
    }
}

/// Envoy's worker decodes little. Its buffer holds this body, and the service reads it as `buffer`.
#[tokio::test(flavor = "multi_thread")]
async fn the_service_decides_a_body_that_decodes_to_more_than_the_filter_may_decode() {
    let stack = Stack::start(options()).await;
    let body = gzip(key_last("acme", 8 * LIMIT + 100));
    arrived_unchanged(&stack.send(&post("gzip", &body)).await, "gzip", &body);
    assert_eq!(stack.ext_proc_streams().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_body_modes_of_the_service_alone_decide_and_change_nothing() {
    for mode in [BodyMode::Buffered, BodyMode::Streamed] {
        let stack = Stack::start(options().chain(Chain::Service(mode))).await;
        let text = noise_then_key("acme", 20_000);
        let bodies = [
            ("gzip", gzip(&text)),
            ("deflate", raw_deflate(&text)),
            ("br", brotli(&text)),
            ("zstd", zstd(&text)),
            ("zstd, gzip", gzip(zstd(&text))),
        ];
        for (coding, body) in bodies {
            for framing in Framing::ALL {
                arrived_unchanged(&upload(&stack, framing, coding, &body).await, coding, &body);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_key_behind_the_first_is_refused_by_both_tiers() {
    let stack = Stack::start(options()).await;
    for (body, streams) in [(gzip(TWO_KEYS), 0), (zstd(TWO_KEYS), 1)] {
        let answer = stack.send(&post(if streams == 0 { "gzip" } else { "zstd" }, &body)).await;
        assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (400, "key_duplicated"));
        assert_eq!(stack.ext_proc_streams().await, streams);
    }
    assert_eq!(arrived(&stack), 0);
}

/// The first key releases the request, so that the cell has the beginning of the body. It never has the end.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_key_in_a_streamed_body_ends_the_request() {
    let stack = Stack::start(options()).await;
    let mut ended = 0;
    for framing in Framing::ALL {
        let noise = noise_then_key("globex", 200_000);
        let text = format!(r#"{{"tenant":{{"id":"acme"}},{}"#, &noise[1..]);
        for (coding, body) in [("gzip", gzip(&text)), ("zstd", zstd(&text)), ("br", brotli(&text))] {
            let request = Request::post("/").header("content-type", "application/json");
            let request = request.header("content-encoding", coding);
            let mut upload = Upload::open_with(&stack, framing, request, body.len() + 1).await;
            // A block of zstd has up to 128 KiB, and is decoded when it is complete.
            upload.send(&body[..140_000]).await;
            ended += 1;
            stack.cell("cell-b").wait_for_arrivals(ended).await;
            upload.send(&body[140_000..]).await;
            let answer = upload.response().await.unwrap_or_else(|error| panic!("{coding}, {framing:?}: {error:#}"));
            let refusal = (answer.status.as_u16(), code(&answer));
            assert_eq!(refusal, (400, "key_duplicated".to_owned()), "{coding}, {framing:?}");
        }
    }
    assert_eq!(stack.ext_proc_streams().await, ended);
    stack.cell("cell-b").wait_for(Ending::Broken, ended).await;
    assert_eq!((arrived(&stack), stack.cell("cell-b").complete()), (ended, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_not_what_their_encoding_says_are_refused() {
    let stack = Stack::start(options()).await;
    let text = key_first("acme", 1_000);
    let zstd = zstd(&text);
    let cut = |body: &[u8], bytes: usize| body[..body.len() - bytes].to_vec();
    let wrong_sum = |body: &[u8]| {
        let mut body = body.to_vec();
        let at = body.len() - 8;
        body[at] ^= 1;
        body
    };
    let members = [gzip(&text[..100]), gzip(&text[100..])].concat();
    let malformed = "body_encoding_malformed";
    let cases = [
        ("gzip", text.clone().into_bytes(), malformed),
        ("gzip", zstd.clone(), malformed),
        ("gzip", cut(&gzip(&text), 1), malformed),
        ("gzip", wrong_sum(&gzip(&text)), malformed),
        ("gzip", [gzip(&text), b"x".to_vec()].concat(), malformed),
        ("gzip", members, "body_several_members"),
        ("gzip", gzip(gzip(&text)), "body_malformed"),
        ("deflate", gzip(&text), malformed),
        ("deflate", cut(&zlib(&text), 1), malformed),
        ("zstd", gzip(&text), malformed),
        ("zstd", cut(&zstd, 1), malformed),
        ("zstd", [&zstd[..], b"x"].concat(), malformed),
        ("zstd", [&zstd[..], &zstd[..]].concat(), "body_several_members"),
        ("br", text.clone().into_bytes(), malformed),
        ("br", [brotli(&text), b"x".to_vec()].concat(), malformed),
        ("gzip, gzip", gzip(&text), malformed),
    ];
    for (coding, body, reason) in cases {
        for answer in [stack.send(&post(coding, &body)).await, stack.send_h2(&post(coding, &body)).await] {
            assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (400, reason), "{coding}");
        }
    }
    let bomb = gzip(vec![b' '; 1 << 20]);
    assert!(bomb.len() < 4096);
    let answer = stack.send(&post("gzip", &bomb)).await;
    assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (413, "body_decoded_ratio"));
    for coding in ["gzip, gzip, gzip", "compress", "gzip, aes128gcm"] {
        let answer = stack.send(&post(coding, &gzip(&text))).await;
        assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (415, "body_encoded"), "{coding}");
    }
    assert_eq!(arrived(&stack), 0);
}

/// Two members of a form: servers that read all of them read `acme`, and others read `a`.
#[tokio::test(flavor = "multi_thread")]
async fn several_members_are_joined_where_the_policy_accepts_them() {
    let accepting = options().configure(|config| config["policy"] = json!({"body_several_members": "accept"}));
    let stack = Stack::start(accepting).await;
    let members = [gzip("tenant_id=a"), gzip("cme")].concat();
    let form = Request::post("/").header("content-type", "application/x-www-form-urlencoded");
    let form = form.header("content-encoding", "gzip");
    arrived_unchanged(&stack.send(&form.clone().body(members.clone())).await, "gzip", &members);
    assert_eq!(stack.ext_proc_streams().await, 0);
    arrived_unchanged(&stack.send(&form.pieces([members.clone()])).await, "gzip", &members);
    assert_eq!(stack.ext_proc_streams().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_an_empty_list_every_encoded_body_is_refused() {
    let stack = Stack::start(options().configure(|config| config["content_encodings"] = json!([]))).await;
    for (coding, body) in
        [("gzip", gzip(TWO_KEYS)), ("deflate", zlib("{}")), ("br", brotli("{}")), ("zstd", zstd("{}"))]
    {
        for answer in [stack.send(&post(coding, &body)).await, stack.send_h2(&post(coding, &body)).await] {
            assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (415, "body_encoded"), "{coding}");
        }
    }
    assert_eq!((stack.ext_proc_streams().await, arrived(&stack)), (8, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_gzip_and_zstd_bodies_of_json_are_decided_and_others_refused() {
    let stack = Stack::start(Options::default().buffer_limit(LIMIT as u32)).await;
    let text = key_first("acme", 1_000);
    for (coding, body) in [("gzip", gzip(&text)), ("zstd", zstd(&text))] {
        arrived_unchanged(&stack.send(&post(coding, &body)).await, coding, &body);
    }
    let form = Request::post("/").header("content-type", "application/x-www-form-urlencoded");
    let form = form.header("content-encoding", "gzip").body(gzip("tenant_id=acme"));
    for refused in [post("deflate", &zlib(&text)), post("br", &brotli(&text)), form] {
        let answer = stack.send(&refused).await;
        assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (415, "body_encoded"));
    }
    assert_eq!(arrived(&stack), 2);
}
