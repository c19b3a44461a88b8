//! The transition tables: the only place where a status is written.
//!
//! Status fields are private to the types in this folder, so a status written anywhere else does not compile.

pub mod assignment;
pub mod endpoint;
pub mod probe;
pub mod run;
pub mod worker;
