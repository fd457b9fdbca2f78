//! The machine and the programs of a run, for reports.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::artifacts;

/// Names and values as a report prints them.
pub type Facts = Vec<(&'static str, String)>;

/// The machine, the versions, and the size of Cellgate's module.
///
/// # Errors
/// When a part is missing.
pub fn basics() -> Result<Facts> {
    Ok(vec![
        ("CPU", cpu()),
        ("kernel", read("/proc/sys/kernel/osrelease")),
        ("load average before", load_average()),
        ("Envoy", envoy_version(&run(&artifacts::envoy()?, &["--version"]))),
        ("cellgate", run(&artifacts::cellgate()?, &["--version"])),
        ("commit", run(Path::new("git"), &["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty"])),
        ("Cellgate's module", size(&artifacts::wasm()?)?),
    ])
}

/// The load average over 1, 5 and 15 minutes.
#[must_use]
pub fn load_average() -> String {
    read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn cpu() -> String {
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = info.lines().filter(|line| line.starts_with("processor")).count();
    format!("{}, {cores} cores", model.map_or("unknown", |(_, name)| name))
}

/// `…/envoy  version: HASH/1.40.0/Clean/RELEASE/BoringSSL`, shortened to the version and how it was built.
fn envoy_version(line: &str) -> String {
    let mut parts = line.split('/').rev();
    let (_tls, build, _state, version) = (parts.next(), parts.next(), parts.next(), parts.next());
    match (version, build) {
        (Some(version), Some(build)) => format!("{version} {build}"),
        _ => line.to_owned(),
    }
}

/// The size of a file as a report prints it.
///
/// # Errors
/// When the file does not exist.
pub fn size(file: &Path) -> Result<String> {
    Ok(format!("{} bytes", std::fs::metadata(file)?.len()))
}

/// The first line of a program's output, or an empty string on failure. No figure depends on it.
#[must_use]
pub fn run(program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned()
}

fn read(file: &str) -> String {
    std::fs::read_to_string(file).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envoys_version_is_parsed_from_its_output() {
        let line = ".tools/envoy-1.40.0/envoy  version: 0a1b2c/1.40.0/Clean/RELEASE/BoringSSL";
        assert_eq!(envoy_version(line), "1.40.0 RELEASE");
        assert_eq!(envoy_version("something else"), "something else");
    }
}
