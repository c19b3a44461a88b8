//! reeve-cli
