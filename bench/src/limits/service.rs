//! The services that are measured, and their store.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use cellgate_tests::ext_proc::ExtProc;
use cellgate_tests::process::Process;
use cellgate_tests::valkey::Valkey;
use cellgate_tests::wait;
use serde_json::Value;

use crate::noop_service::LISTENING;
use crate::variant::own_service;

/// A request waits so long for the store where the cost of its answer is measured: it must answer every call, however busy the
/// machine is.
pub(super) const PATIENT: Duration = Duration::from_secs(2);

/// The metric that is 1 while the service's store answers.
pub(super) const AVAILABLE: &str = "cellgate_rate_limit_store_available";

/// The metric of checks that the store has answered.
pub(super) const BY_STORE: &str = "cellgate_rate_limit_answers_total{by=\"store\"}";

/// The options of a service that waits at most `timeout` for `store`. Without a timeout, it has the default.
///
/// # Errors
/// When the file of the secret cannot be written.
pub(super) fn store_options(store: &Valkey, timeout: Option<Duration>, directory: &Path) -> Result<Vec<String>> {
    let secret = directory.join("limit-secret");
    std::fs::write(&secret, "00112233445566778899aabbccddeeff\n")?;
    let mut options = vec![
        "--limit-store".to_owned(),
        format!("redis://{}/0", store.address()?),
        "--limit-secret-file".to_owned(),
        secret.display().to_string(),
    ];
    if let Some(timeout) = timeout {
        options.extend(["--limit-store-timeout".to_owned(), format!("{}ms", timeout.as_millis())]);
    }
    Ok(options)
}

/// Starts `cellgate serve`, and waits until its store answers.
///
/// # Errors
/// When it does not start, or its store does not answer.
pub(super) async fn cellgate(config: &Value, directory: &Path, options: &[String]) -> Result<ExtProc> {
    let service = ExtProc::start(config, directory, options).await?;
    store_answers(&service, true).await?;
    Ok(service)
}

/// Waits until a service says that its store answers, or that it does not.
///
/// # Errors
/// When it does not say so in time.
pub(super) async fn store_answers(service: &ExtProc, answers: bool) -> Result<()> {
    let wanted = f64::from(u8::from(answers));
    wait::until(&format!("{AVAILABLE} to be {wanted}"), || async {
        Ok((service.metric(AVAILABLE).await? == wanted).then_some(()))
    })
    .await
}

/// Starts the service that does nothing.
///
/// # Errors
/// When it does not start.
pub(super) async fn noop(directory: &Path) -> Result<(Process, SocketAddr)> {
    let mut command = own_service("noop-limits")?.context("this program")?;
    let process = Process::spawn("noop", &mut command, &directory.join("noop.log"))?;
    let address = wait::until("the no-op service", || async {
        process.must_run()?;
        Ok(process.log().lines().find_map(|line| line.strip_prefix(LISTENING)?.parse().ok()))
    })
    .await?;
    Ok((process, address))
}

/// A directory for the files of a part.
///
/// # Errors
/// When it cannot be made.
pub(super) fn directory() -> Result<tempfile::TempDir> {
    Ok(tempfile::Builder::new().prefix("cellgate-bench-").tempdir()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cellgate_tests::valkey::ServerOptions;

    #[tokio::test]
    async fn the_timeout_is_an_option_only_if_it_is_not_the_default() {
        let (directory, store) = (directory().unwrap(), Valkey::start(ServerOptions::new()).await.unwrap());
        let default = store_options(&store, None, directory.path()).unwrap();
        assert_eq!(default[1], format!("redis://{}/0", store.address().unwrap()));
        assert!(std::fs::read_to_string(&default[3]).unwrap().len() > 32);
        let patient = store_options(&store, Some(PATIENT), directory.path()).unwrap();
        assert_eq!(patient[4..], ["--limit-store-timeout", "2000ms"]);
    }
}
