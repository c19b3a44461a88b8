//! `reeve key …`, and how long a secret is good for.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use reeve_proto::v1;

use super::{ReadArgs, parse_name, parse_seconds};

/// Until when a key or a token is taken.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct TokenTtlArgs {
    /// The token is refused this long from now on, such as 12h [default: never].
    #[arg(long, value_parser = parse_seconds, value_name = "DURATION")]
    pub(crate) token_ttl: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make the first admin key of a new cluster, for which no key is needed; -o name prints nothing but the secret.
    Bootstrap {
        /// Its name [default: bootstrap].
        #[arg(long)]
        name: Option<String>,
    },
    /// Make a key, which is shown this once; -o name prints nothing but the secret.
    Create {
        /// Unique among keys in force.
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        name: String,
        /// viewer reads, operator also changes tests, runs and workers, admin also keys and nodes; worker is for ping workers.
        #[arg(long, value_parser = parse_name::<v1::Role>)]
        role: v1::Role,
        /// What its calls are for [default: yours].
        #[arg(long)]
        project: Option<String>,
        /// It is refused this long from now on, such as 720h [default: never].
        #[arg(long, value_parser = parse_seconds, value_name = "DURATION")]
        ttl: Option<u64>,
        /// Repeating the command under the same id makes no second key, and does not show the secret again.
        #[arg(long)]
        request_id: Option<String>,
    },
    /// List the keys, oldest first; never their secrets.
    List {
        /// Revoked and expired ones too.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        read: ReadArgs,
    },
    /// Refuse a key from now on, on every node; its streams end.
    Revoke {
        /// Id or name.
        id: String,
        /// Repeating the command under the same id changes nothing twice.
        #[arg(long)]
        request_id: Option<String>,
    },
    /// Show the key that you use.
    Whoami,
}
