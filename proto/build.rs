//! Compiles every `.proto` under `reeve/` without a `protoc` on the machine.

use std::path::PathBuf;

/// Messages with a secret in them; `src/redacted.rs` prints them without it.
const SECRET: [&str; 13] = [
    ".reeve.v1.CreateWorkerResponse",
    ".reeve.v1.RegenerateTokenResponse",
    ".reeve.v1.BootstrapKeyRequest",
    ".reeve.v1.BootstrapKeyResponse",
    ".reeve.v1.CreateKeyResponse",
    ".reeve.v1.Hello",
    ".reeve.v1.PutChunkRequest",
    ".reeve.v1.CreateWebhookResponse",
    ".reeve.v1.RotateWebhookSecretResponse",
    ".reeve.v1.SipCredentials",
    ".reeve.v1.NewSipAccount",
    ".reeve.v1.GetMediaRequest",
    ".reeve.internal.v1.SigningSecret",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let mut files = Vec::new();
    for package in ["reeve/v1", "reeve/internal/v1"] {
        for entry in std::fs::read_dir(root.join(package))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "proto") {
                files.push(path);
            }
        }
    }
    files.sort();
    println!("cargo:rerun-if-changed=reeve");
    let descriptors = protox::compile(&files, [&root])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), prost_bytes(&descriptors))?;
    tonic_prost_build::configure()
        .bytes(".reeve.internal.v1")
        .btree_map(".")
        .skip_debug(SECRET)
        .compile_fds(descriptors)?;
    Ok(())
}

fn prost_bytes(descriptors: &impl prost::Message) -> Vec<u8> {
    descriptors.encode_to_vec()
}
