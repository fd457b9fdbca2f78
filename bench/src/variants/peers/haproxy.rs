//! HAProxy instead of Envoy. It buffers the whole body and applies `json_query` to it.
//!
//! Its faults:
//! - `json_query` takes the first of two keys, even if the cell takes the last.
//! - It does not find a key that is written with an escape.
//! - It does not check the rest of the document: a body that is truncated after the key is routed like a valid one.
//!   HAProxy's manual says that `json_query` is not a means of sanitization.
//! - It sees only the start of a body above `tune.bufsize`. Over HTTP/2, HAProxy resets the request if the key is not
//!   in that part. Every connection needs two such buffers, which is why the default is 16 KB.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use cellgate_bench_documents::KeyAt;
use cellgate_tests::ports::KeptPort;
use cellgate_tests::process::Process;
use cellgate_tests::wait;
use tokio::net::TcpStream;

use crate::cases::{BUFFER_LIMIT, Case, TENANTS};
use crate::variant::{Cannot, OtherProxy, Scene};

/// The size of Envoy's body buffer, plus room for a request head.
const BUFFER: usize = BUFFER_LIMIT as usize + 32 * 1024;

/// Starts HAProxy from `PATH` with one thread, and waits until it accepts connections. `None` if it is not installed.
///
/// # Errors
/// When HAProxy does not start, or exits.
pub(crate) async fn start(scene: Scene<'_>) -> Result<Option<OtherProxy>> {
    let Some(program) = installed() else { return Ok(None) };
    let port = KeptPort::take()?;
    let address = port.address()?;
    let map = scene.directory.join("tenants.map");
    std::fs::write(&map, TENANTS.map(|(tenant, cell)| format!("{tenant} {cell}\n")).concat())?;
    let file = scene.directory.join("haproxy.cfg");
    let cells: Vec<_> = scene.cells.iter().map(|cell| (cell.name(), cell.address())).collect();
    std::fs::write(&file, config(address, &cells, &map)?)?;
    let mut command = Command::new(program);
    // `-db`: in the foreground, one process.
    command.arg("-db").arg("-f").arg(&file);
    let process = Process::spawn("haproxy", &mut command, &scene.directory.join("haproxy.log"))?;
    let accepts = wait::until("HAProxy", || async {
        process.must_run()?;
        Ok(TcpStream::connect(address).await.ok())
    });
    accepts.await?;
    Ok(Some(OtherProxy { pid: process.pid(), address, _owner: Box::new((process, port)) }))
}

/// HAProxy does not find a key beyond its buffer, and responds with the 421 of [`config`].
pub(crate) fn can(case: &Case) -> Result<(), Cannot> {
    let is_seen = case.bytes() <= BUFFER_LIMIT as usize || case.key == KeyAt::First;
    if is_seen { Ok(()) } else { Err(Cannot::Status(421)) }
}

/// The path of HAProxy, if it is on `PATH`.
pub(crate) fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join("haproxy")).find(|program| program.is_file())
}

fn config(address: SocketAddr, cells: &[(&str, SocketAddr)], map: &Path) -> Result<String> {
    let map = map
        .to_str()
        .filter(|path| !path.contains([' ', ',', ')']))
        .context("HAProxy cannot read a path with spaces, commas or parentheses")?;
    let mut config = format!(
        "global
    nbthread 1
    tune.bufsize {BUFFER}
    tune.maxrewrite 1024
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
frontend tenants
    bind {address}
    http-request wait-for-body time 30s
    http-request set-var(txn.cell) req.body,json_query('$.tenant.id'),map_str({map})
    http-request return status 421 content-type text/plain string \"no cell\" unless {{ var(txn.cell) -m found }}
    http-request set-header x-cell %[var(txn.cell)]
    use_backend %[var(txn.cell)]
"
    );
    for (name, address) in cells {
        write!(config, "backend {name}\n    server {name} {address}\n")?;
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::SIZES;

    fn address(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    #[test]
    fn every_cell_is_a_backend() {
        let cells = [("cell-a", address(1)), ("cell-b", address(2))];
        let config = config(address(80), &cells, Path::new("/tmp/tenants.map")).unwrap();
        assert!(config.contains("bind 127.0.0.1:80\n"), "{config}");
        assert!(config.contains("map_str(/tmp/tenants.map)"), "{config}");
        assert!(config.ends_with("backend cell-b\n    server cell-b 127.0.0.1:2\n"), "{config}");
    }

    #[test]
    fn a_path_that_would_end_the_expression_is_rejected() {
        assert!(config(address(80), &[], Path::new("/tmp/a)b")).is_err());
    }

    #[test]
    fn only_a_late_key_of_a_large_body_is_not_found() {
        let can =
            SIZES.map(|size| [KeyAt::First, KeyAt::Last].map(|key| can(&Case { key, ..Case::plain(size) }).is_ok()));
        assert_eq!(can, [[true; 2], [true; 2], [true; 2], [true; 2], [true, false]]);
    }
}
