//! Holds the budgets of questions per agency and per officer.

use std::hash::Hash;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use uuid::Uuid;

use super::Settings;
use super::catalogue::Way;

type Keyed<K> = RateLimiter<K, HashMapStateStore<K>, DefaultClock>;

/// Budgets of one process; keys are registered agencies and officers, so they are few.
pub struct Pace {
    agencies: Keyed<i32>,
    officers: Keyed<Uuid>,
    by_number: Keyed<Uuid>,
}

/// A budget is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooFast {
    /// Seconds until the next question may be asked, at least 1.
    pub retry_after_s: u32,
}

impl Pace {
    /// Make full budgets.
    pub fn new(settings: &Settings) -> Self {
        Self {
            agencies: RateLimiter::hashmap(Quota::per_minute(settings.agency_per_minute)),
            officers: RateLimiter::hashmap(Quota::per_minute(settings.officer_per_minute)),
            by_number: RateLimiter::hashmap(Quota::per_hour(settings.officer_by_number_per_hour)),
        }
    }

    /// Take one question out of every budget it falls under.
    pub fn take(&self, agency: i32, officer: Uuid, way: Way) -> Result<(), TooFast> {
        take(&self.agencies, &agency)?;
        take(&self.officers, &officer)?;
        if way == Way::Number {
            take(&self.by_number, &officer)?;
        }
        Ok(())
    }
}

fn take<K: Hash + Eq + Clone>(budget: &Keyed<K>, key: &K) -> Result<(), TooFast> {
    budget.check_key(key).map_err(|not_until| {
        let wait: Duration = not_until.wait_time_from(DefaultClock::default().now());
        let seconds = wait.as_secs().saturating_add(1);
        TooFast { retry_after_s: u32::try_from(seconds).unwrap_or(u32::MAX) }
    })
}
