//! `envoy.service.ext_proc.v3.ExternalProcessor`: one gRPC stream per request.
//!
//! [`machine`] is the protocol, without I/O, clock or protobuf: events in, replies out (both in [`message`]); `search`
//! finds its decision, `held` keeps a body. `inbox` reads Envoy's messages and `outbox` writes ours, in the terms of
//! `proto` and `wire`. [`service`] drives it all: it keeps the deadline and the byte budget, counts and logs. [`replies`]
//! is what the connection polls.

mod held;
mod inbox;
pub mod machine;
pub mod message;
mod outbox;
mod proto;
pub mod replies;
mod search;
pub mod service;
mod wire;
mod writer;
