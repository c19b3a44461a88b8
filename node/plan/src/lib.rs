//! reeve-plan
