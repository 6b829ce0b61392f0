//! Makes a year's results of a secondary pupil by TT 22/2021/TT-BGDĐT.

use super::chance::Chance;
use super::comment::Band;
use crate::codes::{Assessment, Subject};

/// T, K, Đ, CĐ of study and of conduct.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    NotReached,
    Reached,
    Fair,
    Good,
}

impl Standing {
    const FROM_BEST: [Self; 4] = [Self::Good, Self::Fair, Self::Reached, Self::NotReached];

    /// Return the code that stands on the transcript.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Good => "T",
            Self::Fair => "K",
            Self::Reached => "Đ",
            Self::NotReached => "CĐ",
        }
    }

    /// Return how teachers speak of such a year.
    pub(super) fn band(self) -> Band {
        match self {
            Self::Good => Band::Good,
            Self::Fair | Self::Reached => Band::Fair,
            Self::NotReached => Band::Weak,
        }
    }

    /// Return the number of steps below the best.
    fn below_best(self) -> usize {
        Self::FROM_BEST.iter().position(|standing| *standing == self).unwrap_or(0)
    }
}

/// A mark in tenths, or the word of a subject assessed by comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Tenths(i32),
    Passed,
    Failed,
    Exempt,
}

impl Mark {
    /// Write the mark as it stands on the transcript.
    pub(super) fn write(self) -> String {
        match self {
            Self::Tenths(tenths) => format!("{}.{}", tenths / 10, tenths % 10),
            Self::Passed => "Đ".to_owned(),
            Self::Failed => "CĐ".to_owned(),
            Self::Exempt => "M".to_owned(),
        }
    }
}

/// Marks of one subject.
#[derive(Debug, Clone, Copy)]
pub(super) struct SubjectResult {
    pub(super) term1: Mark,
    pub(super) term2: Mark,
    pub(super) year: Mark,
    pub(super) retest: Option<Mark>,
}

/// A year's results.
#[derive(Debug, Clone)]
pub(super) struct Results {
    /// In the order of the subjects handed in.
    pub(super) subjects: Vec<SubjectResult>,
    pub(super) study: [Standing; 3],
    pub(super) study_retested: Option<Standing>,
    pub(super) conduct: [Standing; 3],
    pub(super) conduct_retrained: Option<Standing>,
    pub(super) absences: i32,
}

/// Round the year's average half up to tenths: (term 1 + 2 × term 2) / 3 (TT 22 Đ9).
pub(super) fn year_average(term1: i32, term2: i32) -> i32 {
    (2 * (term1 + 2 * term2) + 3) / 6
}

/// Derive the study result of a set of marks (TT 22 Đ9.2), with its adjustment.
pub(super) fn study(marks: &[Mark]) -> Standing {
    let plain = plain_study(marks);
    // Pulled two or more levels below by exactly one subject: the level next above (TT 22 Đ9.2).
    let pulled = (0..marks.len()).any(|index| {
        let mut others = marks.to_vec();
        others.remove(index);
        let without = plain_study(&others);
        without >= Standing::Fair && plain.below_best() >= without.below_best() + 2
    });
    match plain {
        Standing::NotReached if pulled => Standing::Reached,
        Standing::Reached if pulled => Standing::Fair,
        plain => plain,
    }
}

fn plain_study(marks: &[Mark]) -> Standing {
    let failed = marks.iter().filter(|mark| **mark == Mark::Failed).count();
    let scored = || {
        marks.iter().filter_map(|mark| match mark {
            Mark::Tenths(tenths) => Some(*tenths),
            _ => None,
        })
    };
    let reaches = |least: i32, six: i32| {
        scored().all(|mark| mark >= least) && scored().filter(|mark| *mark >= six).count() >= 6
    };
    if failed == 0 && reaches(65, 80) {
        Standing::Good
    } else if failed == 0 && reaches(50, 65) {
        Standing::Fair
    } else if failed <= 1 && reaches(35, 50) {
        Standing::Reached
    } else {
        Standing::NotReached
    }
}

/// Derive the conduct of the year from both terms (TT 22 Đ8.2).
pub(super) fn conduct_year(term1: Standing, term2: Standing) -> Standing {
    use Standing::{Fair, Good, NotReached, Reached};
    match (term2, term1) {
        (Good, Fair | Good) => Good,
        (Good, _) => Fair,
        (Fair, NotReached) => Reached,
        (Fair, _) => Fair,
        (Reached, Good) => Fair,
        (Reached, _) => Reached,
        (NotReached, _) => NotReached,
    }
}

impl Results {
    /// Draw the results of a pupil in `subjects`.
    pub(super) fn draw(chance: &mut Chance, subjects: &[&Subject]) -> Self {
        let (mean, spread) = match chance.between(0, 999) {
            0..=279 => (88.0, 6.0),
            280..=659 => (76.0, 8.0),
            660..=969 => (63.0, 8.0),
            _ => (49.0, 9.0),
        };
        let exempt = chance.permille(4);
        let subjects: Vec<SubjectResult> = subjects
            .iter()
            .map(|subject| one_subject(chance, subject, mean, spread, exempt))
            .collect();
        let study = [
            study(&subjects.iter().map(|one| one.term1).collect::<Vec<_>>()),
            study(&subjects.iter().map(|one| one.term2).collect::<Vec<_>>()),
            study(&subjects.iter().map(|one| one.year).collect::<Vec<_>>()),
        ];
        let (term1, term2) = (conduct(chance, mean), conduct(chance, mean));
        let conduct = [term1, term2, conduct_year(term1, term2)];
        let mut results = Self {
            subjects,
            study,
            study_retested: None,
            conduct_retrained: (conduct[2] == Standing::NotReached && chance.percent(85))
                .then_some(Standing::Reached),
            conduct,
            absences: if mean < 50.0 && chance.percent(10) {
                chance.between(46, 70)
            } else {
                chance.between(0, 12) * chance.between(0, 2)
            },
        };
        results.retest(chance);
        results
    }

    // Subjects below 5.0 or not passed are tested again in summer when the year is not reached.
    fn retest(&mut self, chance: &mut Chance) {
        if self.study[2] != Standing::NotReached || !chance.percent(80) {
            return;
        }
        for subject in &mut self.subjects {
            subject.retest = match subject.year {
                Mark::Tenths(tenths) if tenths < 50 => Some(Mark::Tenths(chance.between(48, 68))),
                Mark::Failed => Some(Mark::Passed),
                _ => None,
            };
        }
        let marks: Vec<Mark> =
            self.subjects.iter().map(|subject| subject.retest.unwrap_or(subject.year)).collect();
        self.study_retested = Some(study(&marks));
    }

    /// Tell whether the pupil moves up (TT 22 Đ12).
    pub(super) fn promoted(&self) -> bool {
        self.conduct_retrained.unwrap_or(self.conduct[2]) >= Standing::Reached
            && self.study_retested.unwrap_or(self.study[2]) >= Standing::Reached
            && self.absences <= 45
    }

    /// Tell whether the summer changed anything, so that the transcript is issued in August.
    pub(super) fn settled_in_summer(&self) -> bool {
        self.conduct_retrained.is_some() || self.study_retested.is_some()
    }

    /// Return the award of the year (TT 22 Đ15).
    pub(super) fn award(&self) -> Option<&'static str> {
        if self.conduct[2] != Standing::Good || self.study[2] != Standing::Good {
            return None;
        }
        let high = self
            .subjects
            .iter()
            .filter(|subject| matches!(subject.year, Mark::Tenths(90..)))
            .count();
        Some(if high >= 6 { "Học sinh Xuất sắc" } else { "Học sinh Giỏi" })
    }
}

fn one_subject(
    chance: &mut Chance,
    subject: &Subject,
    mean: f64,
    spread: f64,
    exempt: bool,
) -> SubjectResult {
    if subject.assessment == Assessment::Comment {
        let all = |mark| SubjectResult { term1: mark, term2: mark, year: mark, retest: None };
        if exempt && &*subject.slug == "giao_duc_the_chat" {
            return all(Mark::Exempt);
        }
        let mut result = all(Mark::Passed);
        if mean < 50.0 && chance.percent(6) {
            result.term2 = Mark::Failed;
            result.year = Mark::Failed;
        } else if chance.permille(6) {
            result.term1 = Mark::Failed;
        }
        return result;
    }
    let level = chance.around(mean, spread);
    let mut term = |shift: f64| {
        let mark = chance.around(level + shift, 3.0).round().clamp(18.0, 100.0);
        // A float between 18 and 100 always fits.
        mark as i32
    };
    let (term1, term2) = (term(0.0), term(1.5));
    SubjectResult {
        term1: Mark::Tenths(term1),
        term2: Mark::Tenths(term2),
        year: Mark::Tenths(year_average(term1, term2)),
        retest: None,
    }
}

fn conduct(chance: &mut Chance, mean: f64) -> Standing {
    let good = if mean > 70.0 { 930 } else { 760 };
    match chance.between(0, 999) {
        drawn if drawn < good => Standing::Good,
        drawn if drawn < good + 60 || mean > 70.0 => Standing::Fair,
        drawn if drawn < 993 => Standing::Reached,
        _ => Standing::NotReached,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_year_average_is_rounded_half_up_to_tenths() {
        for (term1, term2, year) in [(70, 71, 71), (64, 65, 65), (52, 48, 49), (100, 100, 100)] {
            assert_eq!(year_average(term1, term2), year);
        }
    }

    #[test]
    fn one_bad_subject_pulls_down_one_level_less() {
        let mut marks = vec![Mark::Tenths(85); 8];
        assert_eq!(study(&marks), Standing::Good);
        marks[0] = Mark::Tenths(40);
        assert_eq!(study(&marks), Standing::Fair, "Đ because of one subject");
        marks[0] = Mark::Tenths(55);
        assert_eq!(study(&marks), Standing::Fair, "one level is not adjusted");
        marks[0] = Mark::Tenths(20);
        assert_eq!(study(&marks), Standing::Reached, "CĐ because of one subject");
        marks[1] = Mark::Tenths(20);
        assert_eq!(study(&marks), Standing::NotReached, "two subjects");
    }

    #[test]
    fn the_conduct_of_the_year_follows_article_8() {
        use Standing::{Fair, Good, NotReached, Reached};
        assert_eq!(conduct_year(Fair, Good), Good);
        assert_eq!(conduct_year(Reached, Good), Fair);
        assert_eq!(conduct_year(Good, Reached), Fair);
        assert_eq!(conduct_year(NotReached, Fair), Reached);
        assert_eq!(conduct_year(Fair, Reached), Reached);
        assert_eq!(conduct_year(Good, NotReached), NotReached);
    }
}
