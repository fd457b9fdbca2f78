//! Limits the module's exports to the functions in `exports.txt`. The SDK defines every callback, and Envoy calls each one
//! that is exported, even if it does nothing. `scripts/wasm-link.sh` handles the linker argument set here.

use std::env::var_os;
use std::path::PathBuf;

const EXPORTS: &str = "exports.txt";

fn main() {
    println!("cargo::rerun-if-changed={EXPORTS}");
    println!("cargo::rerun-if-changed=../scripts/wasm-link.sh");
    let is_module = var_os("CARGO_FEATURE_ENTRY").is_some()
        && var_os("CARGO_CFG_TARGET_ARCH").is_some_and(|architecture| architecture == "wasm32");
    if is_module {
        let exports = PathBuf::from(var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join(EXPORTS);
        println!("cargo::rustc-link-arg-cdylib=--only-exports={}", exports.display());
    }
}
