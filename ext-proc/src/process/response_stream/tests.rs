use std::task::Waker;

use cellgate_routing::Config;
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
    response(Reply::ResponseHeaders, &Config::from_json(text, "test.json").unwrap())
}

/// One reply, and then this end.
fn replies(metrics: &Metrics, end: impl Future<Output = Result<(), Status>> + Send + 'static) -> ResponseStream {
    let send_queue = Arc::new(SendQueue::default());
    let answers = Arc::clone(&send_queue);
    let run = Handler::new(async move {
        answers.push(reply(), None);
        end.await
    });
    let counted_body = CountedBody::new(tonic::body::Body::empty(), Budget::new(0).reservation());
    ResponseStream::new(send_queue, run, counted_body, StallWatchdog::default(), metrics.stream())
}

#[tokio::test]
async fn the_end_follows_the_replies() {
    let metrics = Metrics::new().unwrap();
    for (end, code) in [(Ok(()), None), (Err(Status::aborted("why")), Some(Code::Aborted))] {
        let mut replies = replies(&metrics, std::future::ready(end));
        let first = replies.next().await.unwrap().unwrap();
        let OutgoingMessage::Response(first) = first else { panic!("a piece") };
        assert!(matches!(first.response, Some(Response::ResponseHeaders(_))));
        assert_eq!(metrics.open_streams(), 1);
        assert_eq!(replies.next().await.map(|end| end.unwrap_err().code()), code);
        assert!(replies.next().await.is_none());
    }
    assert_eq!(metrics.open_streams(), 0);
}

#[test]
fn what_is_said_goes_out_before_anything_is_waited_for() {
    let mut replies = replies(&Metrics::new().unwrap(), std::future::pending());
    let mut context = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut replies).poll_next(&mut context).is_ready());
    assert!(Pin::new(&mut replies).poll_next(&mut context).is_pending());
}
