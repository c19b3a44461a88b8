//! `reeve-chaos faults --self-test`: every injector against small processes, with its effect seen from outside.
//!
//! An injector's own proof says that a rule is installed. The self-test looks from the other side: packets that do
//! not arrive, records that are missing, a clock that is wrong; and that all is well again afterwards.

mod bench;
mod disk;
mod leak;
mod net;
mod process;
mod proxy;
mod table;

use std::path::Path;

use anyhow::{Context, Result};

use crate::fault::{Fault, World};
use crate::sandbox::{self, Facts, Standing};

use bench::Bench;
pub use leak::hold;

/// Runs it. True: nothing failed; what cannot be had here is skipped and does not fail.
///
/// # Errors
/// The harness itself failed.
pub fn run() -> Result<bool> {
    let standing = sandbox::enter()?;
    let temporary = tempfile::tempdir()?;
    let directory = match &standing {
        Standing::Inside => sandbox::scratch(),
        Standing::Outside(_) => temporary.path().to_owned(),
    };
    let mut bench = Bench::new(World::new(Facts::gather()), &directory);
    match &standing {
        Standing::Inside => leak::cases(&mut bench),
        Standing::Outside(why) => bench.skip("sandbox", &why.join(", ")),
    }
    net::cases(&mut bench).context("network")?;
    proxy::cases(&mut bench).context("proxies")?;
    process::cases(&mut bench).context("processes")?;
    disk::cases(&mut bench).context("disks")?;
    table::print(&mut std::io::stdout().lock(), bench.rows())?;
    Ok(bench.rows().iter().all(table::Row::is_good))
}

/// Prints which faults can be had here, and what the others lack.
///
/// # Errors
/// Nobody listens.
pub fn list() -> Result<bool> {
    let facts = Facts::gather();
    let mut rows: Vec<(&str, String)> = Vec::new();
    for fault in examples() {
        // The sandbox is entered when a scenario begins.
        let needs = fault
            .needs()
            .iter()
            .filter(|need| **need != sandbox::Need::Sandbox);
        let lacks: Vec<String> = needs.filter_map(|need| facts.lacks(*need)).collect();
        if rows.iter().all(|(label, _)| *label != fault.label()) {
            rows.push((fault.label(), lacks.join(", ")));
        }
    }
    table::print_list(&mut std::io::stdout().lock(), &rows)?;
    Ok(true)
}

/// One of each kind.
fn examples() -> Vec<Fault> {
    let mut faults: Vec<Fault> = net::examples().into_iter().map(|(_, fault)| fault).collect();
    faults.extend(process::examples());
    faults.extend(disk::examples());
    faults
}

/// This program, as a stand-in.
fn own_program() -> Result<String> {
    let own = std::env::current_exe().context("where this program is")?;
    Ok(own.to_string_lossy().into_owned())
}

/// The lines that a stand-in printed.
fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}
