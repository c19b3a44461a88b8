//! reeve-state
