//! Ready means: there is a leader, a quorum answers, and this node has applied what was committed before the question.

use std::time::Duration;

use reeve_store::Consistency;
use tokio::time::Instant;

use crate::context::Context;
use crate::error::ApiError;

/// A node that needs longer is not ready.
const PATIENCE: Duration = Duration::from_millis(1_000);

/// Whether the node is ready.
///
/// # Errors
/// Why it is not.
pub async fn check(context: &Context) -> Result<(), ApiError> {
    if context.shutdown.is_cancelled() {
        return Err(ApiError::ShuttingDown);
    }
    context
        .store
        .read(Consistency::Linearizable, Instant::now() + PATIENCE)
        .await?;
    Ok(())
}
