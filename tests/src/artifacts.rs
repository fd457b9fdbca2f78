//! The paths of the programs under test. `make test` builds them and sets the environment variables.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// The default Envoy version.
pub const DEFAULT_ENVOY: &str = "1.40.0";

/// The Valkey version that `scripts/valkey.sh` installs.
pub const DEFAULT_VALKEY: &str = "9.1.2";

/// The Jaeger version that `scripts/jaeger.sh` installs.
pub const DEFAULT_JAEGER: &str = "1.76.0";

/// The version of the OpenTelemetry collector that `scripts/otelcol.sh` installs.
pub const DEFAULT_OTELCOL: &str = "0.140.0";

/// The Envoy binary: `$ENVOY`, or the one that `scripts/envoy.sh` installed.
///
/// # Errors
/// When it does not exist. The message says how to get it.
pub fn envoy() -> Result<PathBuf> {
    find("ENVOY", "Envoy", &[&format!(".tools/envoy-{DEFAULT_ENVOY}/envoy")])
}

/// The proxy-wasm module: `$CELLGATE_WASM`, or the last one built.
///
/// # Errors
/// When it does not exist. The message says how to get it.
pub fn wasm() -> Result<PathBuf> {
    find("CELLGATE_WASM", "the proxy-wasm module", &["target/cellgate.wasm"])
}

/// The `cellgate` program: `$CELLGATE_BIN`, or the last one built, development builds first.
///
/// # Errors
/// When it does not exist. The message says how to get it.
pub fn cellgate() -> Result<PathBuf> {
    find("CELLGATE_BIN", "the cellgate program", &["target/debug/cellgate", "target/release/cellgate"])
}

/// The Valkey server: `$VALKEY`, or the one that `scripts/valkey.sh` installed. It may be a Redis server.
///
/// # Errors
/// When it does not exist. The message says how to get it.
pub fn valkey() -> Result<PathBuf> {
    find("VALKEY", "the Valkey server", &[&format!(".tools/valkey-{DEFAULT_VALKEY}/valkey-server")])
}

/// Jaeger's all-in-one program: `$JAEGER`, or the one that `scripts/jaeger.sh` installed.
///
/// # Errors
/// When it does not exist. The message says how to get it.
pub fn jaeger() -> Result<PathBuf> {
    find("JAEGER", "Jaeger", &[&format!(".tools/jaeger-all-in-one-{DEFAULT_JAEGER}/jaeger-all-in-one")])
}

/// The OpenTelemetry collector: `$OTELCOL`, or the one that `scripts/otelcol.sh` installed.
///
/// # Errors
/// When it does not exist. The message says how to get it.
pub fn otelcol() -> Result<PathBuf> {
    find("OTELCOL", "the OpenTelemetry collector", &[&format!(".tools/otelcol-{DEFAULT_OTELCOL}/otelcol")])
}

/// A program of Prometheus, `prometheus` or `promtool`: in the folder `$PROMETHEUS`, or as `scripts/prometheus.sh` installed
/// it.
///
/// # Errors
/// When it does not exist. The message says how to get it.
pub fn prometheus(program: &str) -> Result<PathBuf> {
    let folder = match std::env::var_os("PROMETHEUS").filter(|value| !value.is_empty()) {
        Some(folder) => checkout().join(folder),
        None => checkout().join(".tools/prometheus"),
    };
    let path = folder.join(program);
    if !path.is_file() {
        bail!("{} does not exist: run scripts/prometheus.sh, or set PROMETHEUS to the folder", path.display());
    }
    Ok(path)
}

/// The root of the checkout.
#[must_use]
pub fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

fn find(variable: &str, what: &str, places: &[&str]) -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(variable).filter(|value| !value.is_empty()) {
        let path = checkout().join(named);
        if !path.is_file() {
            bail!("{variable} is {}, which does not exist", path.display());
        }
        return Ok(path);
    }
    match places.iter().map(|place| checkout().join(place)).find(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => bail!(
            "{what} does not exist at {}: run `make test`, which builds it, or set {variable}",
            places.join(" or ")
        ),
    }
}
