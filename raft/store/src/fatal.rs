//! The one place that a fault goes to after which this process must not go on.

use std::sync::Arc;

use tokio::sync::watch;

/// Why the process must stop. The node logs it and exits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FatalError {
    /// What happened, for people.
    pub message: String,
}

/// Keeps the first fault.
#[derive(Clone, Debug)]
pub(crate) struct FatalCell(Arc<watch::Sender<Option<FatalError>>>);

impl FatalCell {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    /// Records a fault; only the first counts.
    pub(crate) fn set(&self, message: impl Into<String>) {
        let message = message.into();
        self.0.send_if_modified(|fault| {
            if fault.is_some() {
                return false;
            }
            tracing::error!(%message, "this node must stop");
            *fault = Some(FatalError { message });
            true
        });
    }

    pub(crate) fn get(&self) -> Option<FatalError> {
        self.0.borrow().clone()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<FatalError>> {
        self.0.subscribe()
    }
}
