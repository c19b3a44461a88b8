//! Projects: which one a command is about.

use clap::Args;

/// The project that a command is about.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ProjectArgs {
    /// The project that is meant [default: your key's]; only admins may name another.
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
}

impl ProjectArgs {
    /// As the wire has it: empty for none.
    pub(crate) fn name(&self) -> String {
        self.project.clone().unwrap_or_default()
    }
}
