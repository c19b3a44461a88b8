//! reeve-chaos
