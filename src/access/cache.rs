//! Remembers what the database said about a certificate, for a short and bounded time.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

type Entries<T> = HashMap<[u8; 32], (Duration, T)>;

/// Answers by fingerprint, each kept for the same time.
pub(super) struct Cache<T> {
    entries: Mutex<Entries<T>>,
    keep: Duration,
    entries_max: usize,
}

impl<T: Clone> Cache<T> {
    /// Keep each answer for `keep` and at most `entries_max` of them.
    pub(super) fn new(keep: Duration, entries_max: usize) -> Self {
        Self { entries: Mutex::new(HashMap::new()), keep, entries_max }
    }

    /// Find the answer for `key` unless it is too old at `now` (monotonic).
    pub(super) fn find(&self, key: &[u8; 32], now: Duration) -> Option<T> {
        let entries = self.lock();
        let (kept_at, value) = entries.get(key)?;
        (now < *kept_at + self.keep).then(|| value.clone())
    }

    /// Keep the answer for `key` that was asked for at `now` (monotonic).
    pub(super) fn keep(&self, key: [u8; 32], value: T, now: Duration) {
        if self.keep.is_zero() {
            return;
        }
        let mut entries = self.lock();
        if entries.len() >= self.entries_max && !entries.contains_key(&key) {
            entries.retain(|_, (kept_at, _)| now < *kept_at + self.keep);
            // Still full: strangers with many certificates; start again rather than grow.
            if entries.len() >= self.entries_max {
                entries.clear();
            }
        }
        entries.insert(key, (now, value));
    }

    /// Forget everything.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    // A panic elsewhere cannot leave a half-made entry, so a poisoned lock is used on.
    fn lock(&self) -> MutexGuard<'_, Entries<T>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_for_its_time_and_not_longer() {
        let cache = Cache::new(Duration::from_millis(10), 2);
        let at = Duration::from_millis;
        cache.keep([1; 32], "a", at(100));
        assert_eq!(cache.find(&[1; 32], at(109)), Some("a"));
        assert_eq!(cache.find(&[1; 32], at(110)), None);
    }

    #[test]
    fn the_cache_never_grows_over_its_limit() {
        let cache = Cache::new(Duration::from_secs(1), 2);
        for key in 0..9 {
            cache.keep([key; 32], key, Duration::ZERO);
            assert!(cache.lock().len() <= 2);
        }
        assert_eq!(cache.find(&[8; 32], Duration::ZERO), Some(8));
    }
}
