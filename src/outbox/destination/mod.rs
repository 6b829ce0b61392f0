//! Stops sending to a destination that refuses us, and slows sending to one that cannot be reached.

pub mod store;
