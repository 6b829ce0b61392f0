//! Gives due batches to workers for a time, and takes them back from workers that were lost.

pub mod store;
