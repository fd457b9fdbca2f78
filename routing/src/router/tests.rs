//! The core as a tier uses it.
