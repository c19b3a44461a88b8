//! `reeve webhook …`.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};

use super::{ProjectArgs, ReadArgs};

/// Which webhook, and under which request.
#[derive(Debug, Args)]
pub(crate) struct WebhookArgs {
    /// Id or name.
    pub(crate) id: String,
    /// Repeating the command under the same id changes nothing twice.
    #[arg(long)]
    pub(crate) request_id: Option<String>,
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum WebhookCommand {
    /// Make a webhook and its secret, which is shown this once; -o name prints nothing but the secret.
    Create {
        /// Where events are posted to, https://…
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        url: String,
        /// Unique within its project [default: none].
        #[arg(long)]
        name: Option<String>,
        /// Only these: run.status_changed, probe.health_changed; may be repeated [default: all].
        #[arg(long = "event", value_name = "EVENT")]
        events: Vec<String>,
        /// Only events about this test, by id or name [default: about all].
        #[arg(long)]
        test: Option<String>,
        /// Repeating the command under the same id makes no second webhook, and does not show the secret again.
        #[arg(long)]
        request_id: Option<String>,
        #[command(flatten)]
        project: ProjectArgs,
    },
    /// Change what is named; the rest stays as it is.
    Update {
        #[command(flatten)]
        webhook: WebhookArgs,
        /// Where events are posted to.
        #[arg(long)]
        url: Option<String>,
        /// Its name.
        #[arg(long)]
        name: Option<String>,
        /// Only these; may be repeated.
        #[arg(long = "event", value_name = "EVENT")]
        events: Vec<String>,
        /// Events of every kind.
        #[arg(long, conflicts_with = "events")]
        all_events: bool,
        /// Only events about this test.
        #[arg(long)]
        test: Option<String>,
        /// Events about every test.
        #[arg(long, conflicts_with = "test")]
        all_tests: bool,
    },
    /// List the webhooks, oldest first; never their secrets.
    List {
        #[command(flatten)]
        read: ReadArgs,
        #[command(flatten)]
        project: ProjectArgs,
    },
    /// Show one webhook.
    Get {
        /// Id or name.
        id: String,
        #[command(flatten)]
        read: ReadArgs,
        #[command(flatten)]
        project: ProjectArgs,
    },
    /// Delete a webhook; what is on its way to it is dropped.
    Delete(WebhookArgs),
    /// Make a new secret, which is shown this once; messages are signed with the old one too for 24 hours.
    RotateSecret(WebhookArgs),
    /// List what is on its way to a webhook, what was given up, and what arrived last, newest first.
    Deliveries {
        /// Id or name.
        id: String,
        /// Only what was given up.
        #[arg(long, conflicts_with = "pending")]
        dead: bool,
        /// Only what is on its way.
        #[arg(long)]
        pending: bool,
        /// At most so many [default: all].
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        limit: Option<u32>,
        #[command(flatten)]
        read: ReadArgs,
        #[command(flatten)]
        project: ProjectArgs,
    },
    /// Send again what was given up.
    Replay {
        #[command(flatten)]
        webhook: WebhookArgs,
        /// The number of one event, which may also be one that waits for its next attempt.
        #[arg(long, value_name = "N", required_unless_present = "all", value_parser = clap::value_parser!(u64).range(1..))]
        seq: Option<u64>,
        /// All that were given up.
        #[arg(long, conflicts_with = "seq")]
        all: bool,
    },
    /// Let events wait until the webhook is resumed.
    Pause(WebhookArgs),
    /// Take up a webhook that was paused, or whose receiver was gone.
    Resume(WebhookArgs),
    /// Send an event of the type webhook.test, and print the id of its message.
    Test(WebhookArgs),
}
