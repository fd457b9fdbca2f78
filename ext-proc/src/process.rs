//! `envoy.service.ext_proc.v3.ExternalProcessor`: one gRPC stream per request.
//!
//! [`machine`] is the protocol, without I/O, clock or protobuf: events in, replies out (both in [`message`]). `wire`
//! translates them from and to Envoy's messages. [`service`] drives it: it reads and writes the stream, keeps the deadline and the byte
//! budget, counts and logs.

pub mod machine;
pub mod message;
pub mod service;
mod wire;
