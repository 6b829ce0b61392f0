//! Hands out wall-clock and monotonic time, so that tests and simulations can set both.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// Source of time for every decision in the gateway.
pub trait Clock: Send + Sync {
    /// Return the wall-clock time (UTC, microseconds or better).
    fn now(&self) -> Timestamp;
    /// Return time since an arbitrary start; never goes backwards.
    fn monotonic(&self) -> Duration;
}

/// A clock that can be shared between threads.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's own clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

static PROCESS_START: LazyLock<Instant> = LazyLock::new(|| {
    #[expect(clippy::disallowed_methods, reason = "this is the one door to monotonic time")]
    Instant::now()
});

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the one door to the wall clock")]
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        PROCESS_START.elapsed()
    }
}

/// A clock that stands still until it is moved; for tests and simulations.
#[derive(Debug)]
pub struct ManualClock {
    start: Timestamp,
    moved_ms: AtomicI64,
}

impl ManualClock {
    /// Start at `start` and stand still.
    pub fn new(start: Timestamp) -> Self {
        Self { start, moved_ms: AtomicI64::new(0) }
    }

    /// Move forward by `ms` milliseconds.
    pub fn advance_ms(&self, ms: i64) {
        self.moved_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let moved = SignedDuration::from_millis(self.moved_ms.load(Ordering::SeqCst));
        self.start.checked_add(moved).unwrap_or(self.start)
    }

    fn monotonic(&self) -> Duration {
        let moved = self.moved_ms.load(Ordering::SeqCst);
        Duration::from_millis(u64::try_from(moved).unwrap_or(0))
    }
}
