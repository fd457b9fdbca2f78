//! This module exports what Cellgate's own does: see `filter/build.rs`.

use std::env::var_os;
use std::path::PathBuf;

const EXPORTS: &str = "../../../filter/exports.txt";

fn main() {
    println!("cargo::rerun-if-changed={EXPORTS}");
    println!("cargo::rerun-if-changed=../../../scripts/wasm-link.sh");
    if var_os("CARGO_CFG_TARGET_ARCH").is_some_and(|architecture| architecture == "wasm32") {
        let exports = PathBuf::from(var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join(EXPORTS);
        println!("cargo::rustc-link-arg-cdylib=--only-exports={}", exports.display());
    }
}
