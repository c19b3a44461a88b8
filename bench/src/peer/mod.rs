//! What Reeve is measured against.

pub mod echo;
pub mod etcd;
