//! Cellgate's proxy-wasm filter.
