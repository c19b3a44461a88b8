//! `reeve registrar …`, `reeve account …` and `reeve media …`: what SIP endpoints need.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use reeve_proto::names::Named;
use reeve_proto::v1::SipTransport;

use super::{ProjectArgs, ReadArgs};

/// Who is asked for, and under which request id.
#[derive(Debug, Clone, Args)]
pub(crate) struct NamedArgs {
    /// Its name.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) project: ProjectArgs,
    /// Repeating the command under the same id changes nothing twice.
    #[arg(long)]
    pub(crate) request_id: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RegistrarCommand {
    /// Create a registrar, or replace the one of this name: what is not given is not set.
    Apply {
        #[command(flatten)]
        named: NamedArgs,
        /// Realm of the addresses of record: sip:user@DOMAIN.
        #[arg(long, value_parser = NonEmptyStringValueParser::new())]
        domain: String,
        /// Where requests go [default: to the domain].
        #[arg(long)]
        host: Option<String>,
        /// Which port [default: 5060, or 5061 for tls].
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
        port: Option<u16>,
        /// How SIP travels to it: udp, tcp or tls. The certificate must be for the outbound proxy's host, else --host, else the domain.
        #[arg(long, default_value = "udp", value_parser = parse_transport)]
        transport: SipTransport,
        /// A SIP URI that all requests pass first.
        #[arg(long, value_name = "URI")]
        outbound_proxy: Option<String>,
    },
    /// List registrars.
    List {
        #[command(flatten)]
        project: ProjectArgs,
        #[command(flatten)]
        read: ReadArgs,
    },
    /// Show one registrar.
    Get {
        /// Its name.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        name: String,
        #[command(flatten)]
        project: ProjectArgs,
        #[command(flatten)]
        read: ReadArgs,
    },
    /// Delete a registrar that no queued or running run uses.
    Delete(NamedArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Create accounts of a pool, or replace those of the same names; others stay. Secrets are sealed and never shown again.
    Apply {
        /// The pool; it exists once it has accounts.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        pool: String,
        /// A file of lines USERNAME,SECRET,REALM (.csv; a first line that begins with username is left out), or a YAML or JSON list of
        /// {username, secret, realm}; - is stdin. Without a secret, an account that exists keeps the one that it has.
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        project: ProjectArgs,
    },
    /// List the accounts of a pool and which runs use them; without a pool, the pools.
    List {
        /// The pool.
        pool: Option<String>,
        #[command(flatten)]
        project: ProjectArgs,
        #[command(flatten)]
        read: ReadArgs,
    },
    /// Delete accounts that no queued or running run uses.
    Delete {
        /// The pool.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        pool: String,
        /// Which.
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        usernames: Vec<String>,
        /// All of the pool's.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        project: ProjectArgs,
        /// Repeating the command under the same id changes nothing twice.
        #[arg(long)]
        request_id: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum MediaCommand {
    /// Store a sound file: WAV of at most 1 MiB, 8,000 Hz, one channel, 16 bit PCM, PCMU or PCMA.
    Put {
        #[command(flatten)]
        named: NamedArgs,
        /// The file.
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
    },
    /// List media files.
    List {
        #[command(flatten)]
        project: ProjectArgs,
        #[command(flatten)]
        read: ReadArgs,
    },
    /// Delete a media file that no queued or running run sends.
    Delete(NamedArgs),
}

fn parse_transport(text: &str) -> Result<SipTransport, String> {
    SipTransport::from_name(text).ok_or_else(|| "expected udp, tcp or tls".to_owned())
}
