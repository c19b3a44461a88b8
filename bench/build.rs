//! Compiles the part of etcd's API that is measured against, and the echo service.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("proto");
    println!("cargo:rerun-if-changed=proto");
    let files = ["etcd.proto", "echo.proto"].map(|name| root.join(name));
    tonic_prost_build::configure().compile_fds(protox::compile(files, [&root])?)?;
    Ok(())
}
