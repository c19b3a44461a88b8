//! Sessions against a real store, in one process.
