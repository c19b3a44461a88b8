//! What the operator sets about webhooks.

use std::time::Duration;

use super::{NodeConfig, Violation};
use crate::args::NodeArgs;
use crate::webhooks::address::PrivateNetworks;

/// Where webhooks may be sent, and how long an attempt may take. The same on every node: any of them may lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSettings {
    /// Networks that are allowed though they are not public.
    pub allow_private: PrivateNetworks,
    /// How long one attempt may take in all.
    pub timeout: Duration,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self {
            allow_private: PrivateNetworks::default(),
            timeout: Duration::from_secs(15),
        }
    }
}

impl WebhookSettings {
    pub(super) fn from_args(args: &NodeArgs) -> Result<Self, Violation> {
        let default = Self::default();
        let allow_private = args.webhook_allow_private.as_deref().unwrap_or_default();
        Ok(Self {
            allow_private: PrivateNetworks::parse(allow_private).map_err(|rule| Violation {
                field: "webhook_allow_private",
                rule,
            })?,
            timeout: args
                .webhook_timeout_ms
                .map_or(default.timeout, Duration::from_millis),
        })
    }
}

impl NodeConfig {
    pub(super) fn check_webhooks(&self, check: &mut impl FnMut(bool, &'static str, String)) {
        let bounds = Duration::from_millis(1)..=Duration::from_secs(60);
        check(
            bounds.contains(&self.webhooks.timeout),
            "webhook_timeout_ms",
            "must be from 1 to 60000".to_owned(),
        );
    }
}
