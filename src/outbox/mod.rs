//! Keeps sealed records until each destination has them.

pub mod state;
pub mod step;
pub mod store;
pub mod destination;
pub mod members;
pub mod schedule;
pub mod forming;

#[cfg(test)]
mod tests;

use serde::Deserialize;

pub use state::{Batch, BatchState, Command, Event, Outcome, Policy, QueryOutcome, Reason};
pub use step::step;
pub use store::NewEntry;

/// Settings of the section `[outbox]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Pause between two looks for work when nothing was found, in milliseconds.
    pub poll_interval_ms: u64,
    /// Longest time a record waits for its batch to fill, in milliseconds.
    pub linger_ms: u64,
    /// Attempts in flight per destination and process.
    pub attempts_in_flight_max: usize,
    /// Threads that open and join the records of batches.
    pub builders_max: usize,
    /// Time a worker may take to build a batch before another takes over, in milliseconds.
    pub forming_lease_ms: u64,
    /// Leases ended per round.
    pub expired_leases_max: u32,
}
