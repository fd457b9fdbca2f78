//! `envoy.service.ext_proc.v3.ExternalProcessor`: one gRPC stream per request.
//!
//! [`state_machine`] is the protocol, without I/O, clock or protobuf: it takes events and returns replies, both in
//! [`event`]. `key_search` looks for the key in the body, `body_buffer` keeps the body until then, and `demand` bounds it.
//! `request` converts Envoy's messages to events, and `response` converts replies to messages.
//!
//! [`service`] runs the state machine: it keeps the deadline and the byte budget. `observed_request` counts and logs. tonic frames messages;
//! `counted_body`, `message_framing` and `codec` limit them. [`response_stream`] is the stream that tonic polls: it polls
//! the `handler`, which puts replies into the `send_queue`. `stall_watchdog` ends streams that tonic no longer polls.

mod body_buffer;
pub(crate) mod codec;
mod counted_body;
pub(crate) mod decision_trace;
mod demand;
pub(crate) mod event;
mod handler;
mod key_search;
mod message_framing;
mod observed_request;
pub(crate) mod request;
mod response;
pub(crate) mod response_stream;
mod send_queue;
pub(crate) mod service;
mod stall_watchdog;
pub(crate) mod state_machine;
