//! reeve-bench
