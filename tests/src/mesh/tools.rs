//! The paths of the control plane's programs. `make test-mesh` installs them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::artifacts;

/// A program by its name, in `$CELLGATE_MESH_TOOLS` or where `scripts/mesh-tools.sh` installed it.
///
/// # Errors
/// When it is missing. The message says how to install it.
pub fn program(name: &str) -> Result<PathBuf> {
    let file = directory().join("bin").join(name);
    ensure!(file.is_file(), "{} is missing: run `make test-mesh`, which installs it", file.display());
    Ok(file)
}

/// The custom resource definitions of Istio and of the operators for which the chart has objects.
///
/// # Errors
/// When there are none.
pub fn resource_definitions() -> Result<Vec<PathBuf>> {
    let directory = directory().join("crds");
    let advice = || format!("{}: run `make test-mesh`, which installs the definitions there", directory.display());
    let entries = std::fs::read_dir(&directory).with_context(advice)?;
    let mut files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    ensure!(!files.is_empty(), advice());
    Ok(files)
}

/// The chart under test: `$CELLGATE_CHART`, which may be packaged, or the checkout's chart.
#[must_use]
pub fn chart() -> PathBuf {
    named("CELLGATE_CHART", "charts/cellgate")
}

fn directory() -> PathBuf {
    named("CELLGATE_MESH_TOOLS", ".tools/mesh")
}

/// The path in an environment variable, or a path in the checkout.
fn named(variable: &str, place: &str) -> PathBuf {
    let named = std::env::var_os(variable).filter(|value| !value.is_empty());
    artifacts::checkout().join(named.as_deref().map_or(Path::new(place), Path::new))
}
