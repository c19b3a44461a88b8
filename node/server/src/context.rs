//! What the parts of a node share.

use std::sync::Arc;

use reeve_store::Store;
use tokio_util::sync::CancellationToken;

use crate::config::NodeConfig;
use crate::evidence::Evidence;
use crate::liveness::Liveness;

/// Handed to every part of the node; a clone is cheap.
#[derive(Clone)]
pub struct Context {
    /// The replicated state.
    pub store: Store,
    /// What the operator set.
    pub config: Arc<NodeConfig>,
    /// Who was heard, and when.
    pub liveness: Liveness,
    /// Objects and live figures.
    pub evidence: Evidence,
    /// Cancelled when the node stops.
    pub shutdown: CancellationToken,
}
