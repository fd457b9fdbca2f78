//! The library behind the `cellgate` binary.
