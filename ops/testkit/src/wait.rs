//! Waiting for a condition, with a limit and a name for what is waited for.

use std::future::Future;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks until there is an answer.
///
/// # Errors
/// There is none within the limit; the message names what was waited for.
pub async fn until_some<T, F>(limit: Duration, what: &str, mut look: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look().await {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            bail!("not within {limit:?}: {what}");
        }
        sleep(PAUSE).await;
    }
}

/// Looks until it is so.
///
/// # Errors
/// It is not so within the limit; the message names what was waited for.
pub async fn until<F>(limit: Duration, what: &str, mut look: impl FnMut() -> F) -> Result<()>
where
    F: Future<Output = bool>,
{
    until_some(limit, what, || {
        let answer = look();
        async move { answer.await.then_some(()) }
    })
    .await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn the_limit_is_kept_and_the_message_says_what_was_waited_for() {
        let never = until(Duration::from_millis(30), "a leader", || async { false }).await;
        assert!(never.unwrap_err().to_string().contains("a leader"));
    }

    #[tokio::test]
    async fn the_answer_is_handed_on() {
        let mut looks = 0;
        let found = until_some(Duration::from_secs(5), "the third look", || {
            looks += 1;
            let answer = (looks == 3).then_some(looks);
            async move { answer }
        });
        assert_eq!(found.await.unwrap(), 3);
    }
}
