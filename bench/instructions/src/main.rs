//! Runs one hot path once, or lists them: `cellgate-instructions [PATH]`. `scripts/instructions.py` runs it under
//! callgrind, which counts the instructions inside [`measured`] and nothing else: they are the same in every run.
//!
//! Each path runs once before, uncounted, so that what is done only once (a first allocation, a relocation) is not in
//! the count.
#![forbid(unsafe_code)]

mod paths;

use std::process::ExitCode;

/// The allocator of the filter's VM; the C library's would take other instructions with each of its versions.
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
        eprintln!("no path is called {wanted}");
        return ExitCode::from(64);
    };
    let mut run = (path.prepare)();
    let good = run() && measured(&mut *run);
    if !good {
        eprintln!("{wanted} did not do what its name says");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// What callgrind counts. The name must be found in the program, so it is not to be mangled away or merged.
#[inline(never)]
fn measured(run: &mut dyn FnMut() -> bool) -> bool {
    std::hint::black_box(run())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_path_does_what_its_name_says_again_and_again() {
        let names: BTreeSet<_> = paths::all().iter().map(|path| path.name).collect();
        assert_eq!(names.len(), paths::all().len());
        for path in paths::all() {
            let mut run = (path.prepare)();
            assert!(run() && measured(&mut *run), "{}", path.name);
        }
    }
}
