//! The fast path.

pub(super) mod simd;
pub(super) mod skip;
pub(super) mod strings;
pub(super) mod structure_cache;
pub(super) mod tokens;
