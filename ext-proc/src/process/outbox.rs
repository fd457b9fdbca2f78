//! Replies on their way to the connection: gRPC messages in frames, pieces of body uncopied among them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use cellgate_routing::Config;
use tokio::time::{Instant, MissedTickBehavior};
use tonic::Status;

use crate::budget::Hold;
use crate::process::message::{PIECE, Reply};
use crate::process::wire;
use crate::process::writer::Writer;

/// Pieces of body below this many bytes are copied into one frame with what stands before them.
const SMALL: usize = 2 * 1024;

/// Pieces that wait for more, at most: each costs more than it holds if it holds little.
const MANY: usize = 64;

/// How often in a deadline it is looked for streams that do not move.
const LOOKS: u32 = 8;

/// What one stream has to send. Locked for moments only, and contended only by [`Stalled`].
#[derive(Debug, Default)]
pub(super) struct Outbox(Mutex<Queue>);

/// Streams whose peer has to take back a held body, and may not.
#[derive(Clone, Debug, Default)]
pub(super) struct Stalled(Arc<Mutex<Vec<Watched>>>);

#[derive(Debug)]
struct Watched {
    outbox: Weak<Outbox>,
    request_id: Bytes,
}

/// How a stream with held bytes does.
#[derive(Clone, Debug)]
enum Moves {
    /// It has still some to send.
    On,
    /// It has none any more.
    Through,
    /// It has taken nothing for too long: it ends with this.
    Not(Status),
}

#[derive(Debug, Default)]
struct Queue {
    frames: VecDeque<Frame>,
    /// Small messages behind them, and the beginning of a large one: together they are a frame.
    small: Vec<u8>,
    /// Pieces that may yet share a message with what follows.
    open: Vec<Frame>,
    open_bytes: usize,
    /// How many frames still have a share of the budget.
    shares: usize,
    /// When a frame was last taken, or put into an empty queue.
    moved: Option<Instant>,
    /// Why nothing more is sent.
    failed: Option<Status>,
}

#[derive(Debug)]
struct Frame {
    bytes: Bytes,
    share: Option<Hold>,
}

impl Outbox {
    /// Adds a reply. `share` is what a piece of body holds of the budget, until it is sent.
    pub(super) fn push(&self, reply: Reply, share: Option<Hold>, config: &Config) {
        let mut queue = self.queue();
        match reply {
            Reply::Piece { bytes, end_of_stream } => queue.piece(bytes, end_of_stream, share),
            reply => {
                queue.close(false);
                queue.message(&wire::response(&reply, config));
            }
        }
    }

    /// Whether so much waits that nothing more should be read.
    pub(super) fn is_full(&self) -> bool {
        let queue = self.queue();
        !queue.frames.is_empty() || queue.small.len() + queue.open_bytes >= PIECE || queue.open.len() >= MANY
    }

    /// The next frame. With `all`, nothing is kept back in the hope of more.
    ///
    /// # Errors
    /// The peer did not take back a held body in time.
    pub(super) fn pop(&self, all: bool) -> Result<Option<Bytes>, Status> {
        let mut queue = self.queue();
        if let Some(status) = queue.failed.take() {
            return Err(status);
        }
        if queue.frames.is_empty() && all {
            queue.close(false);
        }
        if queue.frames.is_empty() && (all || queue.small.len() >= PIECE) {
            queue.flush();
        }
        let Some(frame) = queue.frames.pop_front() else { return Ok(None) };
        if queue.shares > 0 {
            queue.moved = Some(Instant::now());
            queue.shares -= usize::from(frame.share.is_some());
        }
        Ok(Some(frame.bytes))
    }

    /// Gives back what is held for a peer that has taken nothing for so long.
    fn check(&self, now: Instant, patience: Duration) -> Moves {
        let mut queue = self.queue();
        if queue.shares == 0 {
            return Moves::Through;
        }
        if queue.moved.is_none_or(|moved| now.duration_since(moved) < patience) {
            return Moves::On;
        }
        let status = Status::deadline_exceeded("the held body was not taken back in time");
        *queue = Queue { failed: Some(status.clone()), ..Queue::default() };
        Moves::Not(status)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn piece(&mut self, mut bytes: Bytes, end: bool, mut share: Option<Hold>) {
        if share.is_some() {
            self.moved = Some(Instant::now());
        }
        // An empty piece is there for its end.
        while self.open_bytes + bytes.len() > PIECE {
            let fits = bytes.split_to(PIECE - self.open_bytes);
            let part = share.as_mut().and_then(|share| share.split(fits.len() as u64));
            self.add(fits, part);
            self.close(false);
        }
        self.add(bytes, share);
        if end {
            self.close(true);
        }
    }

    fn add(&mut self, bytes: Bytes, share: Option<Hold>) {
        if !bytes.is_empty() {
            self.open_bytes += bytes.len();
            self.shares += usize::from(share.is_some());
            self.open.push(Frame { bytes, share });
        }
    }

    /// Makes one message of the open pieces.
    fn close(&mut self, end: bool) {
        if self.open.is_empty() && !end {
            return;
        }
        let size = std::mem::take(&mut self.open_bytes);
        let mut head = Writer::with_capacity(if size < SMALL { size + 64 } else { 64 });
        wire::piece_head(&mut head, size, end);
        let pieces = std::mem::take(&mut self.open);
        if size < SMALL {
            for piece in pieces {
                head.raw(&piece.bytes);
                self.shares -= usize::from(piece.share.is_some());
            }
            self.message(&head.into_bytes());
        } else {
            let head = head.into_bytes();
            self.begin(&head, head.len() + size);
            self.flush();
            self.frames.extend(pieces);
        }
    }

    fn message(&mut self, message: &[u8]) {
        self.begin(message, message.len());
    }

    /// The beginning of a message of `size` bytes, behind its gRPC prefix.
    fn begin(&mut self, beginning: &[u8], size: usize) {
        self.small.push(0);
        // At most PIECE and a little: far from the limit.
        self.small.extend_from_slice(&u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes());
        self.small.extend_from_slice(beginning);
    }

    fn flush(&mut self) {
        if !self.small.is_empty() {
            let bytes = std::mem::take(&mut self.small).into();
            self.frames.push_back(Frame { bytes, share: None });
        }
    }
}

impl Stalled {
    /// Watches over a stream, if it has held bytes to send.
    pub(super) fn watch(&self, outbox: &Arc<Outbox>, request_id: &Bytes) {
        if outbox.queue().shares > 0 {
            let watched = Watched { outbox: Arc::downgrade(outbox), request_id: request_id.clone() };
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(watched);
        }
    }

    /// Looks after the streams for as long as it is polled, and tells of those that fail. Nobody else would: a stream
    /// whose peer takes nothing is not asked for more.
    pub(super) async fn run(self, patience: Duration, failed: impl Fn(&Status, &Bytes)) {
        let mut looks = tokio::time::interval((patience / LOOKS).max(Duration::from_millis(1)));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = looks.tick().await;
            let mut stuck = Vec::new();
            let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            watched.retain(|watched| match watched.outbox.upgrade().map(|outbox| outbox.check(now, patience)) {
                Some(Moves::On) => true,
                Some(Moves::Not(status)) => {
                    stuck.push((status, watched.request_id.clone()));
                    false
                }
                Some(Moves::Through) | None => false,
            });
            // As many as there were at the busiest moment are not kept for ever.
            watched.shrink_to(1024);
            drop(watched);
            // Telling takes longer than looking, and every stream that begins to send may wait for the lock.
            for (status, request_id) in stuck {
                failed(&status, &request_id);
            }
        }
    }
}

#[cfg(test)]
mod tests;
