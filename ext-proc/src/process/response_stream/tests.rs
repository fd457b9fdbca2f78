use std::task::Waker;

use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response;
use tokio_stream::StreamExt;
use tonic::Code;

use super::*;
use crate::budget::Budget;
use crate::metrics::Metrics;
use crate::process::event::Reply;
use crate::process::response::response;

fn reply() -> OutgoingMessage {
    let text =
        r#"{"routing_header": "x-cell", "cells": ["a"], "key": [{"json": "/t"}], "placement": {"default": "a"}}"#;
    response(Reply::ResponseHeaders, &cellgate_config::from_json(text, "test.json").unwrap())
}

/// A stream of one reply, and then this result.
fn stream(metrics: &Metrics, end: impl Future<Output = Result<(), Status>> + Send + 'static) -> ResponseStream {
    let queue = Arc::new(SendQueue::default());
    let replies = Arc::clone(&queue);
    let handler = Handler::new(async move {
        replies.push(reply(), None);
        end.await
    });
    let request_body = CountedBody::new(tonic::body::Body::empty(), Budget::new(0).reservation());
    ResponseStream::new(queue, handler, request_body, StallWatchdog::default(), metrics.stream())
}

#[tokio::test]
async fn the_result_follows_the_replies() {
    let metrics = Metrics::new().unwrap();
    for (end, code) in [(Ok(()), None), (Err(Status::aborted("why")), Some(Code::Aborted))] {
        let mut responses = stream(&metrics, std::future::ready(end));
        let first = responses.next().await.unwrap().unwrap();
        let OutgoingMessage::Response(first) = first else { panic!("a body chunk") };
        assert!(matches!(first.response, Some(Response::ResponseHeaders(_))));
        assert_eq!(metrics.open_streams(), 1);
        assert_eq!(responses.next().await.map(|end| end.unwrap_err().code()), code);
        assert!(responses.next().await.is_none());
    }
    assert_eq!(metrics.open_streams(), 0);
}

#[test]
fn a_reply_is_sent_before_the_handler_is_polled_again() {
    let mut responses = stream(&Metrics::new().unwrap(), std::future::pending());
    let mut context = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut responses).poll_next(&mut context).is_ready());
    assert!(Pin::new(&mut responses).poll_next(&mut context).is_pending());
}
