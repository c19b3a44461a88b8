//! reeve-worker
