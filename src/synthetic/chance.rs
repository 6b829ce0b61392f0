//! Draws every made-up choice from a seeded generator, so that the same seed gives the same people.

use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// What a stream of choices is for; streams never share numbers.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    School = 1,
    Teacher = 2,
    Class = 3,
    Pupil = 4,
    Fault = 5,
}

/// A stream of choices.
#[derive(Debug)]
pub(super) struct Chance(ChaCha8Rng);

impl Chance {
    /// Open the stream of `purpose` number `first`, `second` within the territory-and-level `scope`.
    pub(super) fn of(seed: u64, scope: u32, purpose: Purpose, first: u64, second: u64) -> Self {
        let mut bytes = [0_u8; 32];
        let (head, rest) = bytes.split_at_mut(8);
        head.copy_from_slice(&seed.to_le_bytes());
        let (kind, rest) = rest.split_at_mut(8);
        kind.copy_from_slice(&((u64::from(scope) << 8) | purpose as u64).to_le_bytes());
        let (one, two) = rest.split_at_mut(8);
        one.copy_from_slice(&first.to_le_bytes());
        two.copy_from_slice(&second.to_le_bytes());
        Self(ChaCha8Rng::from_seed(bytes))
    }

    /// Tell yes in `parts` of 1,000 cases.
    pub(super) fn permille(&mut self, parts: u32) -> bool {
        self.0.random_range(0..1000) < parts
    }

    /// Tell yes in `parts` of 100 cases.
    pub(super) fn percent(&mut self, parts: u32) -> bool {
        self.0.random_range(0..100) < parts
    }

    /// Tell yes with the probability `share` (0 to 1).
    pub(super) fn share(&mut self, share: f64) -> bool {
        self.0.random::<f64>() < share
    }

    /// Draw a whole number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: i32, high: i32) -> i32 {
        self.0.random_range(low..=high.max(low))
    }

    /// Draw a number near `mean`, about a third of them further away than `spread`.
    pub(super) fn around(&mut self, mean: f64, spread: f64) -> f64 {
        // Four uniform draws are near enough to a normal curve and have no far tails.
        let sum: f64 = (0..4).map(|_| self.0.random::<f64>()).sum();
        mean + spread * (sum - 2.0) * 1.732
    }

    /// Draw one of `list`; `None` only of an empty list.
    pub(super) fn one<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        if list.is_empty() {
            return None;
        }
        list.get(self.0.random_range(0..list.len()))
    }

    /// Draw one text of `list`; empty only of an empty list.
    pub(super) fn text<'a>(&mut self, list: &'a [String]) -> &'a str {
        self.one(list).map_or("", String::as_str)
    }

    /// Draw one of `list` by its weights; `None` only when all weights are zero.
    pub(super) fn weighted<'a, T>(&mut self, list: &'a [(T, u32)]) -> Option<&'a T> {
        let total: u32 = list.iter().map(|(_, weight)| weight).sum();
        if total == 0 {
            return None;
        }
        let mut left = self.0.random_range(0..total);
        for (item, weight) in list {
            if left < *weight {
                return Some(item);
            }
            left -= weight;
        }
        None
    }

    /// Draw one text of `list` by its weights.
    pub(super) fn weighted_text<'a>(&mut self, list: &'a [(String, u32)]) -> &'a str {
        self.weighted(list).map_or("", String::as_str)
    }

    /// Draw a UUID of version 4 (RFC 9562).
    pub(super) fn uuid(&mut self) -> uuid::Uuid {
        uuid::Builder::from_random_bytes(self.0.random()).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_stream_gives_the_same_choices_and_another_gives_others() {
        let draw = |seed, purpose, first| {
            let mut chance = Chance::of(seed, 7, purpose, first, 0);
            (0..20).map(|_| chance.between(0, 999)).collect::<Vec<_>>()
        };
        let base = draw(1, Purpose::Pupil, 1);
        assert_eq!(base, draw(1, Purpose::Pupil, 1));
        assert_ne!(base, draw(2, Purpose::Pupil, 1));
        assert_ne!(base, draw(1, Purpose::School, 1));
        assert_ne!(base, draw(1, Purpose::Pupil, 2));
    }

    #[test]
    fn weights_decide_how_often_an_item_is_drawn() {
        let mut chance = Chance::of(3, 7, Purpose::Pupil, 0, 0);
        let list = [("a", 90), ("b", 10), ("never", 0)];
        let drawn: Vec<_> = (0..2000).filter_map(|_| chance.weighted(&list)).copied().collect();
        let share = drawn.iter().filter(|item| **item == "b").count();
        assert!((120..280).contains(&share), "{share}");
        assert!(!drawn.contains(&"never"));
    }

    #[test]
    fn a_drawn_uuid_has_version_4() {
        let mut chance = Chance::of(3, 7, Purpose::Pupil, 0, 0);
        for _ in 0..50 {
            assert_eq!(chance.uuid().get_version_num(), 4);
        }
    }
}
