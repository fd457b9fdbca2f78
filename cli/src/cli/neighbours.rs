//! `cellgate neighbours`: examines the cluster before an installation changes anything.

use std::path::{Path, PathBuf};

use clap::Args;

use super::commands::{print, read};
use super::{Exit, Failure, values};
use crate::doctor::Level;
use crate::http_client::Server;
use crate::neighbours::{Access, ReleasePlan, examine, read_cluster, read_file, text};

/// Options of `cellgate neighbours`.
#[derive(Debug, Args)]
pub(crate) struct NeighboursArgs {
    /// A file with the objects that the release installs, as JSON; the chart writes it
    #[arg(long, value_name = "FILE")]
    pub(crate) plan: PathBuf,
    /// A file with the cluster's objects, as `kubectl get KIND,… --all-namespaces --output=json` prints them; `-` reads stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) objects: Option<PathBuf>,
    /// The API server behind `kubectl proxy`, such as `http://127.0.0.1:8001`
    #[arg(long, value_name = "URL", value_parser = values::server, conflicts_with = "objects")]
    pub(crate) api: Option<Server>,
    /// In a pod, the directory with the token of its service account
    #[arg(
        long,
        value_name = "DIRECTORY",
        default_value = "/var/run/secrets/kubernetes.io/serviceaccount",
        conflicts_with_all = ["objects", "api"]
    )]
    pub(crate) service_account: PathBuf,
}

/// `cellgate neighbours`: compares a release with the cluster.
///
/// # Errors
/// A file cannot be read or is not valid, or there is no access to the cluster.
pub(crate) async fn neighbours(args: NeighboursArgs) -> Result<Exit, Failure> {
    let bad = |file: &Path, error: &dyn std::fmt::Display| {
        Failure::new(Exit::BadInput, format!("{}: {error}", file.display()))
    };
    let plan = ReleasePlan::read(&read(&args.plan)?).map_err(|error| {
        bad(
            &args.plan,
            &format!("not a valid plan: {error}; use `plan.json` of the chart's ConfigMap for `neighbours`"),
        )
    })?;
    let objects = match (&args.objects, args.api) {
        (Some(file), _) => read_file(&read(file)?).map_err(|error| bad(file, &error))?,
        (None, Some(server)) => read_cluster(&Access::Proxy(server), &plan).await,
        (None, None) => {
            let access = Access::of_pod(&args.service_account);
            read_cluster(&access.map_err(|error| Failure::new(Exit::Unavailable, error))?, &plan).await
        }
    };
    let findings = examine(&plan, &objects);
    print(&text(&objects, &findings))?;
    let has_errors = findings.iter().any(|finding| finding.level == Level::Error);
    Ok(if has_errors { Exit::Found } else { Exit::Ok })
}
