use std::task::Waker;

use cellgate_routing::Config;
use http_body_util::BodyExt;
use tonic::Code;

use super::*;
use crate::metrics::Metrics;
use crate::process::message::Reply;

fn config() -> Config {
    let text =
        r#"{"routing_header": "x-cell", "cells": ["a"], "key": [{"json": "/t"}], "placement": {"default": "a"}}"#;
    Config::from_json(text, "test.json").unwrap()
}

#[tokio::test]
async fn the_end_follows_the_replies() {
    let metrics = Metrics::new().unwrap();
    for (end, code) in [(Ok(()), Code::Ok), (Err(Status::aborted("why")), Code::Aborted)] {
        let outbox = Arc::new(Outbox::default());
        let answers = Arc::clone(&outbox);
        let run = Box::pin(async move {
            answers.push(Reply::ResponseHeaders, None, &config());
            end
        });
        let mut replies = Replies::new(outbox, run, metrics.stream());
        assert!(replies.frame().await.unwrap().unwrap().is_data());
        assert_eq!(metrics.open_streams(), 1);
        let trailers = replies.frame().await.unwrap().unwrap().into_trailers().unwrap();
        assert_eq!(Status::from_header_map(&trailers).unwrap().code(), code);
        assert!(replies.is_end_stream());
        assert!(replies.frame().await.is_none());
    }
    assert_eq!(metrics.open_streams(), 0);
}

#[test]
fn what_is_said_goes_out_before_anything_is_waited_for() {
    let outbox = Arc::new(Outbox::default());
    let answers = Arc::clone(&outbox);
    let run = Box::pin(async move {
        answers.push(Reply::ResponseHeaders, None, &config());
        std::future::pending().await
    });
    let mut replies = Replies::new(outbox, run, Metrics::new().unwrap().stream());
    let mut context = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut replies).poll_frame(&mut context).is_ready());
    assert!(Pin::new(&mut replies).poll_frame(&mut context).is_pending());
}
