//! XML and SOAP through Envoy: the filter and the service read the same key, and refuse the same documents.

use cellgate_tests::client::Request;
use cellgate_tests::options::{BodyMode, Chain, Options, sample_config};
use cellgate_tests::sha256;
use cellgate_tests::stack::Stack;
use serde_json::{Value, json};

use crate::support::{arrived, code};

const CHAINS: [Chain; 3] = [Chain::Filter, Chain::Service(BodyMode::Buffered), Chain::Service(BodyMode::Streamed)];

fn config() -> Value {
    let mut config = sample_config();
    config["key"] = json!([
        { "xml": "/{http://schemas.xmlsoap.org/soap/envelope/}Envelope/{*}Body/*/{urn:shop}tenant" },
        { "xml": "/{http://www.w3.org/2003/05/soap-envelope}Envelope/{*}Header/{urn:shop}tenant" },
        { "xml": "/order/@tenant" },
    ]);
    config
}

fn soap_1_1(tenant: &str, file: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<soapenv:Envelope \
         xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:s=\"urn:shop\">\n  <soapenv:Header/>\n  \
         <soapenv:Body>\n    <s:GetOrder>\n      <s:file>{file}</s:file>\n      <s:tenant>{tenant}</s:tenant>\n    \
         </s:GetOrder>\n  </soapenv:Body>\n</soapenv:Envelope>\n"
    )
}

fn soap_1_2(tenant: &str) -> String {
    format!(
        "<e:Envelope xmlns:e='http://www.w3.org/2003/05/soap-envelope'><e:Header><tenant xmlns='urn:shop' \
         e:mustUnderstand='true'>{tenant}</tenant></e:Header><e:Body><GetOrder xmlns='urn:shop'/></e:Body></e:Envelope>"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn soap_messages_are_routed_by_both_tiers() {
    for chain in CHAINS {
        let stack = Stack::start(Options::default().config(config()).chain(chain)).await;
        let requests = [
            ("text/xml; charset=utf-8", soap_1_1("acme", "QUJD")),
            ("application/soap+xml; charset=utf-8; action=\"urn:shop;GetOrder\"", soap_1_2("acme")),
            ("application/xml", "<order tenant='acme'/>".to_owned()),
        ];
        for (content_type, body) in requests {
            let request = Request::post("/").header("soapaction", "\"urn:shop/GetOrder\"");
            let answer = stack.send(&request.header("content-type", content_type).body(body.clone())).await;
            assert_eq!(
                (answer.cell(), answer.sha256()),
                ("cell-b", sha256(body.as_bytes())),
                "{chain:?} {content_type}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_type_is_refused_before_a_cell_sees_it() {
    let laughs = (1..9).fold("<!ENTITY l0 'ha'>".to_owned(), |entities, level| {
        format!("{entities}<!ENTITY l{level} '{}'>", format!("&l{};", level - 1).repeat(10))
    });
    for chain in CHAINS {
        let stack = Stack::start(Options::default().config(config()).chain(chain)).await;
        for (body, reason) in [
            (format!("<!DOCTYPE order [{laughs}]><order tenant='&l8;'/>"), "body_doctype"),
            ("<!DOCTYPE order SYSTEM 'http://127.0.0.1:1/order.dtd'><order tenant='acme'/>".to_owned(), "body_doctype"),
            ("<order tenant='&tenant;'/>".to_owned(), "body_doctype"),
            ("<order tenant='acme' tenant='acme'/>".to_owned(), "body_malformed"),
            ("<order tenant='acme'><x></order>".to_owned(), "body_malformed"),
        ] {
            let answer = stack.send(&Request::post("/").header("content-type", "text/xml").body(body.clone())).await;
            assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (400, reason), "{chain:?} {body}");
        }
        assert_eq!(arrived(&stack), 0);
    }
}

/// The filter defers a body whose key stands behind megabytes, and the service reads it.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_behind_a_large_attachment_is_found() {
    let stack = Stack::start(Options::default().config(config()).buffer_limit(32 * 1024)).await;
    let body = soap_1_1("acme", &"QUJD".repeat(1_250_000));
    let answer = stack.send(&Request::post("/").header("content-type", "text/xml").body(body.clone())).await;
    assert_eq!((answer.cell(), answer.sha256()), ("cell-b", sha256(body.as_bytes())));
    assert_eq!(stack.ext_proc_streams().await, 1);
}

/// With the key in front, the filter releases the body and guards the rest: a second key ends the request.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_before_a_large_attachment_is_released_under_guard() {
    let stack = Stack::start(Options::default().config(config()).buffer_limit(32 * 1024)).await;
    let large = |end: &str| {
        let start =
            soap_1_1("acme", "").replace("</s:tenant>", &format!("</s:tenant><s:file>{}", "QUJD".repeat(1_250_000)));
        start.replace("</s:GetOrder>", &format!("</s:file>{end}</s:GetOrder>"))
    };
    let body = large("");
    let answer = stack.send(&Request::post("/").header("content-type", "text/xml").body(body.clone())).await;
    assert_eq!((answer.cell(), answer.sha256()), ("cell-b", sha256(body.as_bytes())));
    let body = large("<s:tenant>globex</s:tenant>");
    let answer = stack.send(&Request::post("/").header("content-type", "text/xml").body(body.clone())).await;
    assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (400, "key_duplicated"));
    assert_eq!(stack.ext_proc_streams().await, 0);
}
