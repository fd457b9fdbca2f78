//! What goes out is what was put in, in as few messages as Envoy takes.

use envoy_types::pb::envoy::service::ext_proc::v3::body_mutation::Mutation;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response;
use envoy_types::pb::envoy::service::ext_proc::v3::{ProcessingResponse, StreamedBodyResponse};
use prost::Message;

use super::*;
use crate::budget::Budget;

fn config() -> Config {
    let text =
        r#"{"routing_header": "x-cell", "cells": ["a"], "key": [{"json": "/t"}], "placement": {"default": "a"}}"#;
    Config::from_json(text, "test.json").unwrap()
}

fn put(outbox: &Outbox, bytes: Bytes, end_of_stream: bool, share: Option<Hold>) {
    outbox.push(Reply::Piece { bytes, end_of_stream }, share, &config());
}

/// Everything that is there: frames, and the messages in them.
fn all(outbox: &Outbox) -> (Vec<Bytes>, Vec<Response>) {
    let frames: Vec<_> = std::iter::from_fn(|| outbox.pop(true).unwrap()).collect();
    let (bytes, mut messages) = (frames.concat(), Vec::new());
    let mut rest = bytes.as_slice();
    while let Some((prefix, after)) = rest.split_at_checked(5) {
        let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
        let (message, after) = after.split_at(length);
        messages.push(ProcessingResponse::decode(message).unwrap().response.unwrap());
        rest = after;
    }
    assert!(rest.is_empty());
    (frames, messages)
}

fn pieces(messages: Vec<Response>) -> Vec<StreamedBodyResponse> {
    let piece = |message| match message {
        Response::RequestBody(body) => match body.response.unwrap().body_mutation.unwrap().mutation.unwrap() {
            Mutation::StreamedResponse(piece) => piece,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    messages.into_iter().map(piece).collect()
}

#[test]
fn pieces_share_messages_up_to_what_envoy_takes() {
    for (sizes, expected) in [
        (vec![10, 20, 30], vec![60]),
        (vec![0], vec![0]),
        (vec![PIECE, 1], vec![PIECE, 1]),
        (vec![16_000; 8], vec![PIECE, PIECE, 128_000 - 2 * PIECE]),
        (vec![1, PIECE, PIECE], vec![PIECE, PIECE, 1]),
    ] {
        let outbox = Outbox::default();
        let mut sent = Vec::new();
        for (index, size) in sizes.iter().enumerate() {
            let bytes: Vec<u8> = (0..*size).map(|byte| (byte * 7 + index) as u8).collect();
            sent.extend_from_slice(&bytes);
            put(&outbox, bytes.into(), index + 1 == sizes.len(), None);
        }
        let pieces = pieces(all(&outbox).1);
        assert_eq!(pieces.iter().map(|piece| piece.body.len()).collect::<Vec<_>>(), expected, "{sizes:?}");
        assert!(pieces.iter().flat_map(|piece| &piece.body).eq(&sent));
        let (last, others) = pieces.split_last().unwrap();
        assert!(last.end_of_stream && others.iter().all(|piece| !piece.end_of_stream));
    }
}

#[test]
fn large_pieces_are_not_copied_and_small_ones_share_a_frame() {
    let outbox = Outbox::default();
    let large = Bytes::from(vec![b'x'; 10_000]);
    outbox.push(Reply::ResponseHeaders, None, &config());
    put(&outbox, large.clone(), false, None);
    let (frames, messages) = all(&outbox);
    assert_eq!((frames.len(), messages.len()), (2, 2));
    assert_eq!(frames[1].as_ptr(), large.as_ptr());

    outbox.push(Reply::ResponseHeaders, None, &config());
    put(&outbox, Bytes::from_static(b"small"), false, None);
    outbox.push(Reply::ResponseTrailers, None, &config());
    let (frames, messages) = all(&outbox);
    assert_eq!((frames.len(), messages.len()), (1, 3));
}

#[test]
fn what_was_held_is_free_when_it_leaves() {
    let (budget, outbox) = (Budget::new(1 << 20), Outbox::default());
    let mut hold = budget.hold();
    assert!(hold.grow(30_000));
    for _ in 0..3 {
        put(&outbox, vec![0; 10_000].into(), false, hold.split(10_000));
    }
    assert!(!outbox.is_full(), "more may share the message");
    let used: Vec<_> = std::iter::from_fn(|| outbox.pop(true).unwrap().map(|_| budget.used())).collect();
    assert_eq!(used, [30_000, 20_000, 10_000, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_loses_what_is_held_for_it() {
    let (budget, stalled) = (Budget::new(1 << 20), Stalled::default());
    let patience = Duration::from_secs(10);
    let streams: Vec<_> = (0..3)
        .map(|_| {
            let outbox = Arc::new(Outbox::default());
            let mut hold = budget.hold();
            assert!(hold.grow(20_000));
            put(&outbox, vec![0; 10_000].into(), false, hold.split(10_000));
            put(&outbox, vec![0; 10_000].into(), true, hold.split(10_000));
            stalled.watch(&outbox, &Bytes::from_static(b"id"));
            outbox
        })
        .collect();
    let [still, slow, quick] = streams.as_slice() else { panic!("three") };
    all(quick);
    let failures = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&failures);
    let watching = tokio::spawn(stalled.clone().run(patience, move |status, id| {
        told.lock().unwrap().push((status.code(), id.clone()));
    }));
    for _ in 0..3 {
        assert!(slow.pop(true).unwrap().is_some());
        tokio::time::sleep(patience * 2 / 3).await;
    }
    assert_eq!(still.pop(true).unwrap_err().code(), tonic::Code::DeadlineExceeded);
    assert_eq!(*failures.lock().unwrap(), [(tonic::Code::DeadlineExceeded, Bytes::from_static(b"id"))]);
    assert!(slow.pop(true).unwrap().is_none(), "all was taken, each in time");
    assert_eq!(budget.used(), 0);
    assert!(stalled.0.lock().unwrap().is_empty());
    watching.abort();
}
