//! What this program is.

/// The version of the crate.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit it was built from, if the build said so in `CELLGATE_BUILD`.
pub(crate) const BUILD: &str = match option_env!("CELLGATE_BUILD") {
    Some(build) => build,
    None => "dev",
};
