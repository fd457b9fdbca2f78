//! The state machine of the ext_proc protocol, fed with any sequence of messages, legal and illegal, in every body mode.
//!
//! The first bytes choose the mode, the configuration, the byte budget and the head; each byte after them is an event, and
//! that of a chunk is followed by its length and its bytes. The oracle, which the tests of the service have too, says what
//! must hold after each event.
#![no_main]

#[path = "../../ext-proc/tests/it/protocol/events.rs"]
mod events;
#[path = "../../ext-proc/tests/it/protocol/oracle.rs"]
mod oracle;
#[path = "../../ext-proc/tests/it/protocol/run.rs"]
mod run;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| run::run(input));
