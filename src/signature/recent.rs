//! Keeps recently used values, never more than a given number of them.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, RwLock};

/// A map that forgets what was not used for long; shared by threads, readers do not wait for readers.
pub struct Recent<K, V> {
    half_max: usize,
    generations: RwLock<Generations<K, V>>,
}

// When the young generation is full it becomes the old one, and the old one is dropped: as good as
// least-recently-used for this purpose, without a write for every read.
struct Generations<K, V> {
    young: HashMap<K, Arc<V>>,
    old: HashMap<K, Arc<V>>,
}

impl<K: Hash + Eq + Clone, V> Recent<K, V> {
    /// Keep at most `entries_max` values (at least two).
    pub fn new(entries_max: usize) -> Self {
        Self {
            half_max: (entries_max / 2).max(1),
            generations: RwLock::new(Generations { young: HashMap::new(), old: HashMap::new() }),
        }
    }

    /// Return the value of `key`, if it is still kept.
    pub fn find(&self, key: &K) -> Option<Arc<V>> {
        let old = {
            let generations = self.generations.read().ok()?;
            if let Some(value) = generations.young.get(key) {
                return Some(Arc::clone(value));
            }
            Arc::clone(generations.old.get(key)?)
        };
        self.keep(key.clone(), Arc::clone(&old));
        Some(old)
    }

    /// Keep `value` under `key`.
    pub fn keep(&self, key: K, value: Arc<V>) {
        // A poisoned lock means a thread died while it wrote; then nothing more is kept.
        let Ok(mut generations) = self.generations.write() else {
            return;
        };
        if generations.young.len() >= self.half_max {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(key, value);
    }

    /// Return how many values are kept.
    pub fn len(&self) -> usize {
        self.generations
            .read()
            .map_or(0, |generations| generations.young.len() + generations.old.len())
    }

    /// Tell whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_more_is_kept_than_permitted_and_the_used_survive() {
        let recent: Recent<u32, u32> = Recent::new(10);
        for number in 0..100 {
            recent.keep(number, Arc::new(number));
            recent.find(&0);
            assert!(recent.len() <= 10);
        }
        assert_eq!(recent.find(&0).as_deref(), Some(&0));
        assert_eq!(recent.find(&50), None);
    }
}
