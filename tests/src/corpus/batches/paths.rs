//! Paths with escaped slashes in the key, for upstreams that split the path before they decode it.

use super::Case;

pub(super) fn cases() -> Vec<Case> {
    PATHS.iter().map(|(path, expect)| Case::new(format!("slash: {path}"), expect).method("GET").path(*path)).collect()
}

const PATHS: &[(&str, &str)] = &[
    ("/projects/group%2Fname", "cell-b exact"),
    ("/projects/group%2fname/issues?x=y", "cell-b exact"),
    ("/projects/gr%6Fup%2Fname/", "cell-b exact"),
    ("/projects/group%5Cname", "cell-c exact"),
    ("/projects/acme/group%2Fname", "cell-a exact"),
    ("/projects/group/name", "421 key_unplaced"),
    ("/projects/group%2F%2Fname", "421 key_unplaced"),
    ("/projects/group%252Fname", "421 key_unplaced"),
    ("/projects/group%2F..%2Fname", "400 key_malformed"),
    ("/projects/..%2Fgroup", "400 key_malformed"),
    ("/projects/%2e%2E%2fgroup", "400 key_malformed"),
    ("/projects/group%5C..%5Cname", "400 key_malformed"),
    ("/projects/group%2F.", "400 key_malformed"),
    ("/projects/group%2Fname;v=1", "400 key_malformed"),
    ("/projects//group%2Fname", "400 key_malformed"),
    ("/projects/group%2F%zz", "400 key_malformed"),
    ("/Projects/group%2Fname", "400 key_malformed"),
    ("/projects%2Fgroup/name", "400 body_absent"),
];
