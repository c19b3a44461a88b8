//! What Reeve is measured against.

pub mod echo;
pub mod etcd;
pub mod kamailio;
pub mod sipp;
