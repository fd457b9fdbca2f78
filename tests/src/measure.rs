//! What long and timed runs need: who they ran with, the CPU time and the memory of a process, and lines through what
//! was measured.

pub mod machine;
pub mod procfs;
pub mod regression;
