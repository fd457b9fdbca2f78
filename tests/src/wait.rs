//! Waits for a condition with a timeout. This crate waits in no other way.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// The timeout of every condition. It is generous, because only a failing test uses all of it.
pub const TIMEOUT: Duration = Duration::from_secs(30);

const INTERVAL: Duration = Duration::from_millis(10);

/// Calls `check` until it returns a value. `what` completes the sentence "waited 30 s for ...".
///
/// # Errors
/// At once if `check` fails; otherwise after [`TIMEOUT`].
pub async fn until<T, F, Answer>(what: &str, mut check: F) -> Result<T>
where
    F: FnMut() -> Answer,
    Answer: Future<Output = Result<Option<T>>>,
{
    let start = Instant::now();
    loop {
        if let Some(value) = check().await? {
            return Ok(value);
        }
        if start.elapsed() > TIMEOUT {
            bail!("waited {} s for {what}", TIMEOUT.as_secs());
        }
        #[expect(clippy::disallowed_methods, reason = "the interval between two checks of a condition")]
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Runs one operation with the timeout [`TIMEOUT`].
///
/// # Errors
/// The operation's own error, or a timeout.
pub async fn within<T>(what: &str, operation: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(TIMEOUT, operation).await {
        Ok(answer) => answer,
        Err(_) => bail!("waited {} s for {what}", TIMEOUT.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn check_is_called_until_it_returns_a_value() {
        let mut asked = 0;
        let value = until("the third answer", || {
            asked += 1;
            let answer = (asked == 3).then_some("third");
            async move { Ok(answer) }
        });
        assert_eq!(value.await.unwrap(), "third");
    }

    #[tokio::test]
    async fn an_error_of_check_ends_the_wait_at_once() {
        let refused = until("nothing", || async { Err::<Option<()>, _>(anyhow::anyhow!("exited")) }).await;
        assert_eq!(refused.unwrap_err().to_string(), "exited");
    }
}
