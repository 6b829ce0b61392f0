//! Composes teachers' comments of varied length from sentences.

use super::chance::Chance;
use super::words::Sentences;

/// How well things went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Band {
    Good,
    Fair,
    Weak,
}

/// What the places in a sentence are filled with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filling<'a> {
    pub(super) given: &'a str,
    pub(super) subject: &'a str,
    pub(super) class: &'a str,
}

impl Sentences {
    fn of(&self, band: Band) -> &[String] {
        match band {
            Band::Good => &self.good,
            Band::Fair => &self.fair,
            Band::Weak => &self.weak,
        }
    }
}

fn push_filled(text: &mut String, sentence: &str, filling: Filling<'_>) {
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let (place, after) = after.split_once('}').unwrap_or((after, ""));
        match place {
            "ten" => text.push_str(filling.given),
            "mon" => text.push_str(filling.subject),
            "lop" => text.push_str(filling.class),
            _ => {}
        }
        rest = after;
    }
    text.push_str(rest);
}

/// Compose a comment of `band` with about `wanted` characters and never more than `most`.
///
/// Sentences do not repeat; a good or fair comment may end with one of the band below.
pub(super) fn compose(
    chance: &mut Chance,
    sentences: &Sentences,
    band: Band,
    wanted: usize,
    most: usize,
    filling: Filling<'_>,
) -> String {
    let list = sentences.of(band);
    let below = match band {
        Band::Good => sentences.of(Band::Fair),
        Band::Fair => sentences.of(Band::Good),
        Band::Weak => sentences.of(Band::Fair),
    };
    let mut left: Vec<&String> = list.iter().collect();
    let mut text = String::with_capacity(wanted * 2);
    let mut length = 0;
    while !left.is_empty() {
        let last = i32::try_from(left.len()).unwrap_or(1) - 1;
        let at = usize::try_from(chance.between(0, last)).unwrap_or(0);
        let sentence = left.swap_remove(at);
        let size = sentence.chars().count() + 12;
        if !text.is_empty() && (length >= wanted || length + size > most) {
            break;
        }
        if !text.is_empty() {
            text.push(' ');
        }
        push_filled(&mut text, sentence, filling);
        length += size;
    }
    if length < wanted && length + 140 < most && chance.percent(50) {
        text.push(' ');
        push_filled(&mut text, chance.text(below), filling);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::chance::Purpose;
    use super::super::words::Words;
    use super::*;
    use crate::platform::config::Tables;

    const FILLING: Filling<'_> = Filling { given: "Khang", subject: "toán", class: "4A" };

    #[test]
    fn comments_come_in_hundreds_of_variants_and_fill_every_place() {
        let words = Words::load(&Tables::default()).unwrap();
        let mut chance = Chance::of(5, 1, Purpose::Pupil, 0, 0);
        let mut seen = HashSet::new();
        for turn in 0..2000 {
            let wanted = 40 + turn % 560;
            let sentences = &words.comments.homeroom;
            let text = compose(&mut chance, sentences, Band::Good, wanted, 600, FILLING);
            let length = text.chars().count();
            assert!((30..=640).contains(&length), "{length}");
            assert!(!text.contains('{'));
            seen.insert(text);
        }
        assert!(seen.len() > 300, "{}", seen.len());
        assert!(seen.iter().any(|text| text.contains('&')));
        assert!(seen.iter().any(|text| text.contains('"')));
    }

    #[test]
    fn a_comment_stays_below_its_limit() {
        let words = Words::load(&Tables::default()).unwrap();
        let mut chance = Chance::of(5, 1, Purpose::Pupil, 0, 0);
        for _ in 0..500 {
            for band in [Band::Good, Band::Fair, Band::Weak] {
                let kind = &words.comments.competency;
                let text = compose(&mut chance, kind, band, 600, 480, FILLING);
                assert!(text.chars().count() <= 480);
            }
        }
    }
}
