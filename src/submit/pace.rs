//! Holds requests to a destination's rate.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// The rate of one destination in this process (generic cell rate algorithm).
pub(super) struct Pace {
    limiter: DefaultDirectRateLimiter,
    clock: DefaultClock,
    wait_max: Duration,
}

impl Pace {
    /// Allow `rate_per_s` requests per second, `burst` of them at once; nobody waits over `wait_max_ms`.
    pub(super) fn new(rate_per_s: NonZeroU32, burst: NonZeroU32, wait_max_ms: u64) -> Self {
        let clock = DefaultClock::default();
        let quota = Quota::per_second(rate_per_s).allow_burst(burst);
        Self {
            limiter: RateLimiter::direct_with_clock(quota, clock.clone()),
            clock,
            wait_max: Duration::from_millis(wait_max_ms),
        }
    }

    /// Wait for the next place; false when it would take too long.
    pub(super) async fn wait(&self) -> bool {
        let mut left = self.wait_max;
        loop {
            let Err(early) = self.limiter.check() else {
                return true;
            };
            let pause = early.wait_time_from(self.clock.now());
            if pause > left {
                return false;
            }
            left -= pause;
            tokio::time::sleep(pause).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_burst_passes_at_once_and_the_next_is_held_back() {
        let two = NonZeroU32::new(2).unwrap();
        let pace = Pace::new(NonZeroU32::MIN, two, 10);
        assert!(pace.wait().await);
        assert!(pace.wait().await);
        assert!(!pace.wait().await, "the next place is a second away, the limit 10 ms");
    }
}
