//! `cellgate neighbours`: what an installation must know before it changes anything.

use std::path::{Path, PathBuf};

use clap::Args;

use super::commands::{print, read};
use super::{Exit, Failure, server};
use crate::doctor::Level;
use crate::http_client::Server;
use crate::neighbours::{Access, Plan, examine, read_cluster, read_file, text};

/// Options of `cellgate neighbours`.
#[derive(Debug, Args)]
pub(crate) struct NeighboursArgs {
    /// What the release brings, to compare with what others have in the cluster: the chart writes it
    #[arg(long, value_name = "FILE")]
    pub(crate) plan: PathBuf,
    /// The cluster's objects, as `kubectl get KIND,… --all-namespaces --output=json` prints them; `-` is stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) objects: Option<PathBuf>,
    /// The API server by `kubectl proxy`, such as `http://127.0.0.1:8001`
    #[arg(long, value_name = "URL", value_parser = server, conflicts_with = "objects")]
    pub(crate) api: Option<Server>,
    /// In a pod: where its service account's token is
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
/// A file cannot be read, or is not what it should be; or there is no way to the cluster.
pub(crate) async fn neighbours(args: NeighboursArgs) -> Result<Exit, Failure> {
    let bad = |file: &Path, error: &dyn std::fmt::Display| {
        Failure::new(Exit::BadInput, format!("{}: {error}", file.display()))
    };
    let plan = Plan::read(&read(&args.plan)?).map_err(|error| bad(&args.plan, &error))?;
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
    let wrong = findings.iter().any(|finding| finding.level == Level::Error);
    Ok(if wrong { Exit::No } else { Exit::Ok })
}
