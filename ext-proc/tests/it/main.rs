//! The service over real connections, and the `cellgate` binary as a process. One behaviour per file.

mod admin;
mod buffered;
mod check;
mod deadline;
mod decide;
mod drain;
mod duplex;
mod health;
mod overload;
mod peer;
mod refused;
mod reload;
mod render;
mod serve;
mod support;
