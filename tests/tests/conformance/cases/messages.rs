//! Sequences of ext_proc messages that Envoy cannot be made to send at will, and those of agentgateway.

use anyhow::Result;
use envoy_types::pb::envoy::config::core::v3::HeaderValue;
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::ProcessingRequest;

use super::Topic;
use crate::case::{Case, Mode, Run, run};
use crate::observed::Observed;
use crate::peer::{Peer, announced, body, head, map, raw, response_headers, trailers};
use crate::rule::Rule;
use crate::scene::Scene;

const DUPLEX: BodySendMode = BodySendMode::FullDuplexStreamed;
const BUFFERED: BodySendMode = BodySendMode::Buffered;

const BODY: &str = r#"{"tenant":{"id":"acme"}}"#;
const HALF: usize = 15;

const WHOLE: &str = "headers cell-b; body whole; OK";
const WHOLE_WITH_TRAILERS: &str = "headers cell-b; trailers; body whole; OK";

pub(super) fn topic() -> Topic {
    let case = |name: &str, phase, event, is, run: Run| Case::new(Mode::ByHand, name, phase, event, Rule::Is(is), run);
    let cases = vec![
        case(
            "end-twice",
            "end",
            "46237: a second, empty end of the body",
            WHOLE,
            run!(sequence, vec![head(DUPLEX, false), first_half(), second_half(true), body(b"", true)]),
        ),
        case(
            "end-twice-buffered",
            "end",
            "the same, BUFFERED",
            "headers stripped; body cell-b; OK",
            run!(sequence, vec![head(BUFFERED, false), body(BODY.as_bytes(), true), body(b"", true)]),
        ),
        case(
            "end-after-trailers",
            "end",
            "an empty end of the body after trailers",
            WHOLE_WITH_TRAILERS,
            run!(sequence, vec![head(DUPLEX, false), first_half(), second_half(false), trailers(&[]), body(b"", true)]),
        ),
        case(
            "data-after-end",
            "end",
            "bytes after the end of the body",
            "headers cell-b; body whole; FailedPrecondition",
            run!(sequence, vec![head(DUPLEX, false), first_half(), second_half(true), body(b"x", true)]),
        ),
        case(
            "empty-parts",
            "body",
            "0-byte messages in the body",
            WHOLE,
            run!(
                sequence,
                vec![
                    head(DUPLEX, false),
                    body(b"", false),
                    first_half(),
                    body(b"", false),
                    second_half(false),
                    body(b"", true)
                ]
            ),
        ),
        case(
            "headers-twice",
            "body",
            "the headers come twice",
            "FailedPrecondition",
            run!(sequence, vec![head(DUPLEX, false), head(DUPLEX, false)]),
        ),
        case(
            "body-first",
            "head",
            "the body comes without headers",
            "FailedPrecondition",
            run!(sequence, vec![body(BODY.as_bytes(), true)]),
        ),
        case(
            "streamed-mode",
            "head",
            "`request_body_mode: STREAMED`, which cannot route",
            "FailedPrecondition",
            run!(sequence, vec![head(BodySendMode::Streamed, false), body(BODY.as_bytes(), true)]),
        ),
        case(
            "closed-in-body",
            "body held",
            "the stream ends before the body",
            "Cancelled",
            run!(sequence, vec![head(DUPLEX, false), first_half()]),
        ),
        case(
            "closed-before-body",
            "head",
            "the stream ends before the body, BUFFERED",
            "headers stripped; Cancelled",
            run!(sequence, vec![head(BUFFERED, false)]),
        ),
        case(
            "local-reply",
            "body held",
            "Envoy answers the client itself: response headers",
            "response headers; OK",
            run!(sequence, vec![head(DUPLEX, false), first_half(), response_headers()]),
        ),
        case(
            "no-request",
            "head",
            "response headers without a request",
            "response headers; OK",
            run!(sequence, vec![response_headers()]),
        ),
        case(
            "silence",
            "body held",
            "the rest does not come within `--decision-timeout`",
            "408 deadline_exceeded; OK",
            run!(silence),
        ),
    ];
    Topic {
        title: "Messages",
        text: "These cases send the messages themselves, over gRPC, so they do not depend on Envoy. `OK` and the other \
            codes are the gRPC status that ends the stream. Envoy lets a request continue after `OK`, so a request \
            that is not whole must end with another one.",
        cases,
    }
}

pub(super) fn agentgateway() -> Topic {
    let case = |name: &str, phase, event, is, run: Run| Case::new(Mode::ByHand, name, phase, event, Rule::Is(is), run);
    let cases = vec![
        case("agentgateway", "body", "frames, then an empty end", WHOLE, run!(agentgateway_request, DUPLEX, false)),
        case(
            "agentgateway-trailers",
            "end",
            "frames, trailers, then an empty end",
            WHOLE_WITH_TRAILERS,
            run!(agentgateway_request, DUPLEX, true),
        ),
        case(
            "agentgateway-buffered",
            "body",
            "`requestBodyMode: buffered`",
            "headers stripped; body cell-b; OK",
            run!(agentgateway_request, BUFFERED, false),
        ),
    ];
    Topic {
        title: "agentgateway",
        text: "agentgateway can ask an ext_proc service too. No build of it was available for this run, so these cases \
            replay the messages that its source sends (`crates/agentgateway/src/http/ext_proc.rs`, November 2026). It \
            writes ordinary headers into `raw_value` and pseudo-headers into `value`, behind them. It sends every frame \
            of the body without `end_of_stream`, and an empty message with it at the end.",
        cases,
    }
}

fn first_half() -> ProcessingRequest {
    body(&BODY.as_bytes()[..HALF], false)
}

fn second_half(end_of_stream: bool) -> ProcessingRequest {
    body(&BODY.as_bytes()[HALF..], end_of_stream)
}

/// Sends the messages and ends the stream.
async fn sequence(scene: Scene<'_>, messages: Vec<ProcessingRequest>) -> Result<Observed> {
    let mut peer = Peer::open(&scene).await?;
    for message in messages {
        // A message after an error finds the stream closed. The description has the error.
        let _ = peer.send(message).await;
    }
    Ok(Observed::text(peer.described(BODY.as_bytes()).await?))
}

async fn silence(scene: Scene<'_>) -> Result<Observed> {
    let mut peer = Peer::open(&scene).await?;
    peer.send(head(DUPLEX, false)).await?;
    peer.body(&BODY.as_bytes()[..HALF], false).await?;
    Ok(Observed::text(peer.described_while_open(BODY.as_bytes()).await?))
}

/// A request as agentgateway sends it.
async fn agentgateway_request(scene: Scene<'_>, mode: BodySendMode, with_trailers: bool) -> Result<Observed> {
    let pseudo =
        |key: &str, value: &str| HeaderValue { key: key.to_owned(), value: value.to_owned(), ..Default::default() };
    let headers = [
        raw("content-type", "application/json"),
        raw("x-cell", "cell-c"),
        pseudo(":method", "POST"),
        pseudo(":path", "/"),
        pseudo(":authority", "cellgate.test"),
        pseudo(":scheme", "http"),
    ];
    let mut messages = vec![announced(mode, map(&headers), false)];
    if mode == BUFFERED {
        messages.push(body(BODY.as_bytes(), true));
        return sequence(scene, messages).await;
    }
    messages.extend([first_half(), second_half(false)]);
    if with_trailers {
        messages.push(trailers(&[("x-checksum", "abc")]));
    }
    messages.push(body(b"", true));
    sequence(scene, messages).await
}
