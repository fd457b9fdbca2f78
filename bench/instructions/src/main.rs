//! Runs one hot path, or lists the hot paths: `cellgate-instructions [PATH]`. `scripts/instructions.py` runs it under
//! callgrind, which counts only the instructions inside [`measured`]. The count is the same in every run.
//!
//! Each path first runs once without being counted, so that one-time work (a first allocation, a relocation) is not in
//! the count.
#![forbid(unsafe_code)]

mod paths;

use std::process::ExitCode;

/// The allocator of the filter's VM. The C library's allocator would change the count with each of its versions.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    let all = paths::all();
    let Some(wanted) = std::env::args().nth(1) else {
        for path in &all {
            println!("{}", path.name);
        }
        return ExitCode::SUCCESS;
    };
    let Some(path) = all.into_iter().find(|path| path.name == wanted) else {
        eprintln!("`{wanted}` is not a path: run without an argument to list the paths");
        return ExitCode::from(64);
    };
    let mut run = (path.prepare)();
    let good = run() && measured(&mut *run);
    if !good {
        eprintln!("the path `{wanted}` returned a wrong result");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The function that callgrind counts. Callgrind finds it by name, so the name must be neither mangled nor inlined
/// away.
#[inline(never)]
fn measured(run: &mut dyn FnMut() -> bool) -> bool {
    std::hint::black_box(run())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_path_gives_the_right_result_every_time() {
        let names: BTreeSet<_> = paths::all().iter().map(|path| path.name).collect();
        assert_eq!(names.len(), paths::all().len());
        for path in paths::all() {
            let mut run = (path.prepare)();
            assert!(run() && measured(&mut *run), "{}", path.name);
        }
    }
}
