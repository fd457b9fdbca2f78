//! Writes the Rust code of `proto/cellgate/`: `generator DIRECTORY [--check]`. With `--check` it only tells whether the code
//! is current.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

/// The directory of the crate has the sources, and gets the code.
const PROTO: &str = "cellgate/sync/v1/sync.proto";
const PACKAGE: &str = "cellgate.sync.v1";
const CODE: &str = "src/generated/cellgate.sync.v1.rs";

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let root = arguments.next().ok_or("usage: generator DIRECTORY [--check]")?;
    let is_check = arguments.next().is_some_and(|argument| argument == "--check");
    let root = Path::new(&root);
    let code = generate(root)?;
    let path = root.join(CODE);
    if !is_check {
        std::fs::write(&path, code)?;
    } else if std::fs::read_to_string(&path).ok().as_ref() != Some(&code) {
        eprintln!("{} is not current; scripts/generate.sh writes it", path.display());
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn generate(root: &Path) -> Result<String, Box<dyn Error>> {
    let descriptors = protox::compile([root.join(PROTO)], [root])?;
    let folder = std::env::temp_dir().join(format!("cellgate-proto-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let written = tonic_prost_build::configure()
        .build_transport(false)
        // It has the secret.
        .skip_debug(["cellgate.sync.v1.LeaseGrants"])
        .client_mod_attribute(PACKAGE, "#[cfg(feature = \"client\")]")
        .server_mod_attribute(PACKAGE, "#[cfg(feature = \"server\")]")
        .emit_rerun_if_changed(false)
        .out_dir(&folder)
        .compile_fds(descriptors);
    let code = written.and_then(|()| std::fs::read_to_string(folder.join(format!("{PACKAGE}.rs"))));
    std::fs::remove_dir_all(&folder)?;
    Ok(code?)
}
