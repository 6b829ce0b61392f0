//! Leases batches to workers and concludes what their attempts brought.

pub mod lease;
pub mod store;

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use rand::SeedableRng;
use rand::rngs::StdRng;
use uuid::{NoContext, Uuid};

use super::state::{Batch, Command, Event, Policy};
use super::step;

/// Names a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BatchKey {
    /// Participant whose records it holds.
    pub participant_id: i32,
    /// Its id for life, also the idempotency key at the destination.
    pub message_id: Uuid,
}

/// What a lease is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseKind {
    /// Send the batch.
    Send,
    /// Ask what became of it.
    Query,
}

impl LeaseKind {
    /// Return the name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Query => "query",
        }
    }
}

/// A batch that a worker may act on until the lease ends; its attempt is committed.
#[derive(Debug, Clone)]
pub struct Lease {
    /// The batch.
    pub key: BatchKey,
    /// School year of its records.
    pub school_year: i16,
    /// What to do.
    pub kind: LeaseKind,
    /// The schedule's view after the lease.
    pub batch: Batch,
    /// Size of the frozen bytes.
    pub body_bytes: u64,
    /// SHA-256 of the frozen bytes.
    pub body_sha256: Vec<u8>,
    /// Failures to connect that the breaker had counted.
    pub failures: i32,
}

/// What a worker saw, kept with its attempt; codes only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Note {
    /// Status of the answer.
    pub http_status: Option<u16>,
    /// What was seen, as a code.
    pub seen: &'static str,
    /// Whether the peer could not be reached: counts at the breaker.
    pub connect_failed: bool,
    /// Failures the breaker had counted when the lease began; an answer ends them.
    pub failures: i32,
}

/// Source of chance for back-off; seeded by whoever builds the engine.
#[derive(Debug)]
pub struct Chance(Mutex<StdRng>);

impl Chance {
    /// Use a generator seeded with `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }

    /// Use a generator seeded by the system.
    pub fn from_system() -> Self {
        Self(Mutex::new(StdRng::from_os_rng()))
    }

    fn step(
        &self,
        policy: &Policy,
        batch: &Batch,
        event: Event,
        now: Timestamp,
    ) -> (Batch, Vec<Command>) {
        let mut rng = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        step(policy, batch, event, now, &mut *rng)
    }
}

/// Make a message id (UUID version 7) of the time `now`.
pub fn new_message_id(now: Timestamp) -> Uuid {
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, nanos))
}
