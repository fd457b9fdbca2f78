//! gRPC messages out of the frames of an HTTP body, without putting a large one together.
//!
//! A message that lies within one frame is a slice of it. Of a larger one that carries a body, which is all that is ever
//! large, the bytes are handed on frame by frame; what stands around them is read as protobuf allows: a message may be
//! cut between its fields, and each part read as a message of its own.

use std::future::poll_fn;
use std::pin::Pin;

use bytes::{Buf, Bytes, BytesMut};
use hyper::body::Body;
use prost::Message;
use tokio::task::coop::consume_budget;
use tonic::{Code, Status};

use crate::budget::Hold;
use crate::process::proto::{Content, HttpBody, ProcessingRequest};

/// What stands before each message: a flag for compression, and its length in four bytes.
const PREFIX: usize = 5;

/// More than the tags and lengths that stand before the bytes of a body.
const LOOK: usize = 24;

/// What is put together is counted beyond this many bytes: a request's head has fewer, and is not to fail for want of
/// room that other requests' bodies take.
const UNCOUNTED: usize = 16 * 1024;

/// What came.
#[derive(Debug)]
pub(super) enum Said {
    /// A whole message.
    Message(ProcessingRequest),
    /// Some bytes of a body message.
    Part(Bytes),
    /// The end of a body message that came in parts.
    End {
        /// Whether the body ends with it.
        end_of_stream: bool,
    },
}

/// The messages of one stream.
#[derive(Debug)]
pub(super) struct Inbox<B> {
    body: B,
    /// What is left of the newest frame.
    frame: Bytes,
    /// The beginning of what did not come in one frame.
    begun: BytesMut,
    /// What that takes of the process's byte budget.
    hold: Hold,
    state: State,
    max_message: usize,
    in_parts: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Before a message.
    Prefix,
    /// In a message of this many bytes.
    Message(usize),
    /// In the bytes of a body, of which so many are to come; then `Tail`.
    Body { left: usize, http_body: usize, request: usize },
    /// Behind the bytes of a body: so many bytes of `HttpBody`, then so many of `ProcessingRequest`.
    Tail { http_body: usize, request: usize },
}

impl<B: Body<Data = Bytes> + Unpin> Inbox<B>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Reads messages of at most `max_message` bytes, every one whole. `hold` is a share of the process's byte budget.
    pub(super) fn new(body: B, max_message: usize, hold: Hold) -> Self {
        let (frame, begun) = (Bytes::new(), BytesMut::new());
        Self { body, frame, begun, hold, state: State::Prefix, max_message, in_parts: false }
    }

    /// From now on large bodies come in parts.
    pub(super) fn in_parts(&mut self) {
        self.in_parts = true;
    }

    /// The next message or part of one; `None` when the peer has said all, or has reset the stream. May be dropped at
    /// any time without losing anything.
    ///
    /// # Errors
    /// The connection failed, what came is no message, or there is no room to put one together.
    pub(super) async fn next(&mut self) -> Result<Option<Said>, Status> {
        loop {
            if let Some(said) = self.step()? {
                return Ok(Some(said));
            }
            // A window full of tiny frames is read in turns with the other streams and connections of the thread.
            consume_budget().await;
            let frame = poll_fn(|context| Pin::new(&mut self.body).poll_frame(context)).await;
            match frame.map(|frame| frame.map_err(|error| Status::from_error(error.into()))) {
                // Trailers mean nothing in a request; the end follows.
                Some(Ok(frame)) => self.frame = frame.into_data().unwrap_or_default(),
                Some(Err(status)) if status.code() == Code::Cancelled => return Ok(None),
                Some(Err(status)) => return Err(status),
                None if matches!(self.state, State::Prefix) && self.begun.is_empty() => return Ok(None),
                None => return Err(Status::internal("the stream ended in the middle of a message")),
            }
        }
    }

    /// Reads to the end, and thinks nothing of it.
    pub(super) async fn drop_rest(&mut self) {
        (self.frame, self.begun) = (Bytes::new(), BytesMut::new());
        self.hold.clear();
        let mut more = true;
        while more {
            consume_budget().await;
            let frame = poll_fn(|context| Pin::new(&mut self.body).poll_frame(context)).await;
            more = frame.is_some_and(|frame| frame.is_ok());
        }
    }

    /// What can be said from the bytes at hand. When there is nothing, all of them are taken in.
    fn step(&mut self) -> Result<Option<Said>, Status> {
        loop {
            match self.state {
                State::Prefix => {
                    let Some(prefix) = self.take(PREFIX)? else { return Ok(None) };
                    self.state = State::Message(self.length(prefix)?);
                }
                State::Message(length) => {
                    if let Some(parts) = self.body_in_parts(length) {
                        self.state = parts;
                        continue;
                    }
                    let Some(message) = self.take(length)? else { return Ok(None) };
                    self.state = State::Prefix;
                    return whole(message).map(|message| Some(Said::Message(message)));
                }
                State::Body { left: 0, http_body, request } => self.state = State::Tail { http_body, request },
                State::Body { left, http_body, request } => {
                    let part = if self.begun.is_empty() {
                        self.frame.split_to(left.min(self.frame.len()))
                    } else {
                        self.begun.split_to(left.min(self.begun.len())).freeze()
                    };
                    if part.is_empty() {
                        return Ok(None);
                    }
                    self.state = State::Body { left: left - part.len(), http_body, request };
                    return Ok(Some(Said::Part(part)));
                }
                State::Tail { http_body, request } => {
                    let Some(mut tail) = self.take(http_body + request)? else { return Ok(None) };
                    self.state = State::Prefix;
                    let body: HttpBody = decode(tail.split_to(http_body))?;
                    let around: ProcessingRequest = decode(tail)?;
                    if body.bodies > 0 || around.contents > 0 {
                        return Err(twice());
                    }
                    return Ok(Some(Said::End { end_of_stream: body.end_of_stream }));
                }
            }
        }
    }

    /// The next bytes in one piece, copied only if they came in several.
    fn take(&mut self, length: usize) -> Result<Option<Bytes>, Status> {
        if self.begun.is_empty() && self.frame.len() >= length {
            return Ok(Some(self.frame.split_to(length)));
        }
        self.begin(length);
        if self.begun.len() >= length {
            self.hold.clear();
            let taken = self.begun.split_to(length).freeze();
            // What `split_to` leaves shares the buffer, and would keep it whole.
            self.begun = self.begun.as_ref().into();
            return Ok(Some(taken));
        }
        // What it takes grows by doubling.
        let taken = self.begun.capacity() as u64;
        if self.begun.len() > UNCOUNTED && taken > self.hold.bytes() && !self.hold.grow(taken - self.hold.bytes()) {
            return Err(Status::resource_exhausted("no room to put a large message together: --max-held-bytes"));
        }
        Ok(None)
    }

    /// Moves bytes of the frame to what was begun, until that has so many.
    fn begin(&mut self, length: usize) {
        let missing = length.saturating_sub(self.begun.len()).min(self.frame.len());
        self.begun.extend_from_slice(&self.frame.split_to(missing));
    }

    fn length(&self, mut prefix: Bytes) -> Result<usize, Status> {
        if prefix.get_u8() != 0 {
            return Err(Status::unimplemented("a compressed message, or none of gRPC"));
        }
        let length = prefix.get_u32() as usize;
        if length > self.max_message {
            let max = self.max_message;
            return Err(Status::out_of_range(format!("a message of {length} bytes, but {max} are the most")));
        }
        Ok(length)
    }

    /// Whether a message of this length is the large one of a body, and if so, takes what stands before the bytes.
    fn body_in_parts(&mut self, length: usize) -> Option<State> {
        if !self.in_parts || length < LOOK || self.begun.len() > LOOK {
            return None;
        }
        if self.begun.is_empty() && self.frame.len() >= LOOK {
            if self.frame.len() >= length {
                return None;
            }
            let (state, head) = layout(&self.frame, length)?;
            self.frame.advance(head);
            return Some(state);
        }
        self.begin(LOOK);
        if self.begun.len() < LOOK || self.begun.len() + self.frame.len() >= length {
            return None;
        }
        let (state, head) = layout(&self.begun, length)?;
        self.begun.advance(head);
        Some(state)
    }
}

/// If a message of `length` bytes begins as Envoy begins one with a body, `ProcessingRequest.request_body` and in it
/// `HttpBody.body`: what follows, and how many bytes stand before it. The tags are those of the fields 4 and 1.
fn layout(mut start: &[u8], length: usize) -> Option<(State, usize)> {
    let all = start.len();
    let mut field = |tag: u8, within: usize| {
        if !start.has_remaining() || start.get_u8() != tag {
            return None;
        }
        let size = usize::try_from(prost::encoding::decode_varint(&mut start).ok()?).ok()?;
        let rest = within.checked_sub(all - start.len())?.checked_sub(size)?;
        Some((size, rest, all - start.len()))
    };
    let (http_body, request, _) = field(4 << 3 | 2, length)?;
    let (left, around, head) = field(1 << 3 | 2, length - request)?;
    debug_assert!(left <= http_body);
    // Bytes that are all there are no reason to cut a message.
    (left > 0).then_some((State::Body { left, http_body: around, request }, head))
}

/// A message that came at once. It is read no other way than one that came in parts: what is said twice is refused.
fn whole(message: Bytes) -> Result<ProcessingRequest, Status> {
    let message: ProcessingRequest = decode(message)?;
    let bodies = if let Some(Content::RequestBody(body)) = &message.request { body.bodies } else { 0 };
    if message.contents > 1 || bodies > 1 { Err(twice()) } else { Ok(message) }
}

fn twice() -> Status {
    Status::internal("a message with two contents")
}

fn decode<M: Message + Default>(bytes: Bytes) -> Result<M, Status> {
    M::decode(bytes).map_err(|error| Status::internal(format!("a message that cannot be read: {error}")))
}

#[cfg(test)]
mod tests;
