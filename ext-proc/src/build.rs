//! The version and the build of this program.

/// The version of the crate.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit of the build, from `CELLGATE_BUILD` at compile time.
pub(crate) const BUILD: &str = match option_env!("CELLGATE_BUILD") {
    Some(build) => build,
    None => "dev",
};
