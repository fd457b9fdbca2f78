//! `envoy.service.ext_proc.v3.ExternalProcessor`: one gRPC stream per request.
//!
//! [`machine`] is the protocol, without I/O, clock or protobuf: events in, replies out (both in [`message`]); `search`
//! finds its decision, `held` keeps a body. `request` makes events of Envoy's messages and `response` messages of
//! replies. [`service`] drives it all: it keeps the deadline and the byte budget, counts and logs. tonic frames, decodes
//! and encodes: `intake` and `codec` are its bounds, and [`replies`] is the stream that it polls: a `run` that answers, and
//! an `outbox` for what it says. `stalled` ends those that are not polled.

pub mod codec;
mod held;
mod intake;
pub mod machine;
pub mod message;
mod outbox;
pub mod replies;
pub mod request;
mod response;
mod run;
mod search;
pub mod service;
mod stalled;
