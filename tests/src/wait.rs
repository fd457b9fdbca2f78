//! Waiting for a condition, with a deadline: the only way this crate waits.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long a condition may take before the test fails. Generous, because it is only ever spent by a failure.
pub const PATIENCE: Duration = Duration::from_secs(30);

const INTERVAL: Duration = Duration::from_millis(10);

/// Asks `check` until it yields a value. `what` completes the sentence "waited 30 s for ...".
///
/// # Errors
/// When `check` fails, at once; or when [`PATIENCE`] is over.
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
        if start.elapsed() > PATIENCE {
            bail!("waited {} s for {what}", PATIENCE.as_secs());
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Bounds one operation by [`PATIENCE`].
///
/// # Errors
/// The operation's own, or that it took too long.
pub async fn within<T>(what: &str, operation: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(PATIENCE, operation).await {
        Ok(answer) => answer,
        Err(_) => bail!("waited {} s for {what}", PATIENCE.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn asks_again_until_there_is_a_value() {
        let mut asked = 0;
        let value = until("the third answer", || {
            asked += 1;
            let answer = (asked == 3).then_some("third");
            async move { Ok(answer) }
        });
        assert_eq!(value.await.unwrap(), "third");
    }

    #[tokio::test]
    async fn an_error_ends_the_wait_at_once() {
        let refused = until("nothing", || async { Err::<Option<()>, _>(anyhow::anyhow!("exited")) }).await;
        assert_eq!(refused.unwrap_err().to_string(), "exited");
    }
}
