//! `envoy.service.ext_proc.v3.ExternalProcessor`: one gRPC stream per request.
//!
//! [`machine`] is the protocol, without I/O, clock or protobuf: events in, replies out (both in [`message`]). `wire`
//! translates them from and to Envoy's messages, `held` keeps a body, `replies` carries the answers to the connection. [`service`] drives it: it reads and writes the stream, keeps the deadline and the byte
//! budget, counts and logs.

mod held;
pub mod machine;
pub mod message;
mod replies;
pub mod service;
mod wire;
