//! reeve-node
