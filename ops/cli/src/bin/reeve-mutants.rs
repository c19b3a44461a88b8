//! The program `reeve` with known bugs, for the chaos harness: under a name of its own, so that nobody takes it for the other. It is built
//! only with the feature `mutants`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    reeve_cli::main()
}
