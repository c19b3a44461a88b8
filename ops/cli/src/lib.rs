//! `reeve`, the one program: nodes, workers, a cluster for development, and the client commands.
//!
//! Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 error, 2 the run could not be placed,
//! 3 the run failed, 4 timed out waiting.

mod args;
mod client;
mod cmd;
mod definition_file;
mod demo;
mod dev;
mod drain_progress;
mod error;
mod feed;
mod follow;
mod output;
mod process;
mod progress;
mod top;
mod trace;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::error::CliError;
use crate::output::{Output, note};

/// Reads a definition as `reeve test apply` does, for the fuzzer.
///
/// # Errors
/// Every rule that the text breaks.
#[doc(hidden)]
pub fn parse_definition(
    text: &str,
) -> Result<reeve_proto::v1::TestDefinition, Vec<reeve_proto::definition::FieldViolation>> {
    definition_file::parse(text)
}

/// Parses the command line, does what it says, and gives the exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come as errors too. That the text cannot be printed is no reason to say more.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { error::EXIT_ERROR } else { 0 });
        }
    };
    let output = Output::new(cli.global.output);
    match dispatch(cli, &output) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            if let Some(text) = error.render() {
                note(&text);
            }
            ExitCode::from(error.exit_code())
        }
    }
}

fn dispatch(cli: Cli, output: &Output) -> Result<u8, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let global = &cli.global;
    runtime.block_on(async {
        match cli.command {
            Command::Test(command) => cmd::test::run(global, output, command).await,
            Command::Run(command) => cmd::run::run(global, output, command).await,
            Command::Worker(command) => match command.command {
                Some(command) => cmd::workers::run(global, output, command).await,
                None => cmd::worker::run(command.agent).await,
            },
            Command::Probe(command) => cmd::probe::run(global, output, command).await,
            Command::Key(command) => cmd::key::run(global, output, command).await,
            Command::Events(args) => cmd::events::run(global, output, *args).await,
            Command::Project(command) => cmd::project::run(global, output, command).await,
            Command::Webhook(command) => cmd::webhook::run(global, output, command).await,
            Command::Registrar(command) => cmd::sip::registrar(global, output, command).await,
            Command::Account(command) => cmd::sip::account(global, output, command).await,
            Command::Media(command) => cmd::sip::media(global, output, command).await,
            Command::Status { read } => cmd::status::run(global, output, read).await,
            Command::Top => top::run(global).await,
            Command::Cluster(command) => cmd::cluster::run(global, output, command).await,
            Command::Node(command) => cmd::node::run(*command).await,
            Command::Dev(command) => dev::run(output, command).await,
            Command::Demo => demo::run(output).await,
            Command::Completions { shell } => cmd::completions::run(output, shell),
        }
    })
}
