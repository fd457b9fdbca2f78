//! Helpers for measurements: facts about the machine, the CPU time and memory of a process, and regression lines.

pub mod machine;
pub mod procfs;
pub mod regression;
